"""The live screen shows the newest, whatever the size of the terminal."""

import io

import msgspec
import pytest
from made_events import conversation
from rich.console import Console

from gscon_live.realtime.display.live_view import LiveView
from gscon_live.realtime.events import schema


@pytest.mark.fault
def test_a_terminal_of_80_by_24() -> None:
    """The live screen at 80x24 after long utterances and losses: the newest are visible."""
    console = Console(width=80, height=24, file=io.StringIO(), force_terminal=False)
    view = LiveView("microphone, camera", console)
    events = [event for event in conversation(8) if isinstance(event, schema.UtteranceEvent)]
    for number, event in enumerate(events):
        said = msgspec.structs.replace(event.utterance, text=f"utterance{number} " + "word " * 60)
        view.write(msgspec.structs.replace(event, utterance=said))
    for number in range(3):
        view.write(
            schema.Gap(schema=schema.SCHEMA, session="s", seq=0, time=1.0, what="frames",
                       count=number + 2, seconds=0.1, reason="long reason " * 20)
        )  # fmt: skip
    console.print(view.render())
    lines = console.file.getvalue().rstrip("\n").split("\n")  # type: ignore[attr-defined]
    assert len(lines) <= 23
    text = "\n".join(lines)
    assert text.count("pictures lost") == 3
    assert text.index("4 pictures") < text.index("2 pictures")
    below = text[text.index("utterances ─") :]
    assert "word" in below
    assert "Ctrl-C" in text


def test_while_somebody_speaks_the_newest_words_are_shown() -> None:
    console = Console(width=80, height=24, file=io.StringIO(), force_terminal=False)
    view = LiveView("microphone, camera", console)
    event = next(event for event in conversation(8) if isinstance(event, schema.UtteranceEvent))
    spoken = " ".join(f"word{number}" for number in range(30))
    fields = msgspec.structs.asdict(event)
    for stable in (None, "word0 word1", " ".join(spoken.split()[:28])):
        utterance = msgspec.structs.replace(event.utterance, text=spoken, stable_text=stable)
        view.write(schema.Provisional(**{**fields, "utterance": utterance}))
        console.print(view.render())
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert "word28 word29  … still speaking" in text
        assert "word3 " not in text
        assert event.utterance.speaker in text
