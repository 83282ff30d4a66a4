"""The public API: recordings and live sessions in five lines, with the pipeline's own events."""

import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
from sessions import CONVERSATION, run

import gscon_live
from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import schema


def test_the_events_of_a_recording_are_those_of_the_command(
    four_utterances: Path, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    done = run("gscon_live.realtime.replay", four_utterances, "--events", path, "--quiet")
    assert done.returncode == 0, done.stderr
    events = list(gscon_live.recognise(four_utterances))
    assert b"".join(schema.encode(event) + b"\n" for event in events) == path.read_bytes()


def test_leaving_the_loop_ends_the_session() -> None:
    me = psutil.Process()
    others = {*me.children(recursive=True)}
    events = gscon_live.recognise(CONVERSATION, captions="off", transcriber="off")
    for event in events:
        if event.type == "utterance":
            break
    else:
        pytest.fail("there was no utterance")
    assert {*me.children(recursive=True)} > others
    events.close()  # type: ignore[attr-defined] - what the end of its life does to a generator
    assert {*me.children(recursive=True)} <= others


def test_a_program_needs_no_particular_form(four_utterances: Path, tmp_path: Path) -> None:
    """Five lines without a guard, from a file and from standard input."""
    program = (
        "import gscon_live\n"
        f"for event in gscon_live.recognise({str(four_utterances)!r}):\n"
        "    if event.type == 'utterance':\n"
        "        print(event.emotion.label)\n"
    )
    path = tmp_path / "program.py"
    path.write_text(program)
    by_file = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert by_file.returncode == 0, by_file.stderr
    assert by_file.stderr == ""
    assert len(by_file.stdout.splitlines()) == 4
    by_input = subprocess.run(
        [sys.executable], input=program, capture_output=True, text=True, check=False
    )
    assert by_input.stdout == by_file.stdout


def test_settings_reach_the_pipeline(four_utterances: Path) -> None:
    settings = ["publish.text=false", "recognition.prior=expressive"]
    events = gscon_live.recognise(four_utterances, settings=settings)
    answers = [event for event in events if event.type == "utterance"]
    assert answers
    assert {event.utterance.text for event in answers} == {""}
    expressive = {name: 0.25 if name == "neutral" else 0.125 for name in EMOTIONS}
    assert all(event.emotion.prior == expressive for event in answers)


@pytest.mark.parametrize(
    ("path", "more", "words"),
    [
        ("missing.mkv", {}, "missing.mkv"),
        (CONVERSATION, {"captions": "missing.vtt"}, "missing.vtt"),
        (CONVERSATION, {"settings": ["unknown.key=1"]}, "unknown.key"),
        (CONVERSATION, {"config": "nowhere"}, "nowhere"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(
    path: str, more: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        next(gscon_live.recognise(path, **more))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_every_type_of_event_has_its_name() -> None:
    for kind in msgspec.inspect.type_info(schema.AnyEvent).types:  # type: ignore[attr-defined]
        assert kind.tag in schema.TOPICS


@pytest.mark.fault
def test_a_url_is_opened_only_on_request_and_named_as_it_is() -> None:
    """`recognise` with a URL and without `allow_url`: refused, with the URL as given."""
    with pytest.raises(InputError, match=r"https://host/talk\.mp4: .*allow_url=True"):
        list(gscon_live.recognise("https://host/talk.mp4"))
