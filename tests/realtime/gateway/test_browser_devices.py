"""A visitor's own microphone and camera, in a real browser: what it says there, the session hears.

The browser's devices give files; all the rest is as in front of a screen.
"""

import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from browser import Viewer, chromium, devices_from, viewing
from gateways import Page
from sessions import WAIT, Family, cut, of, read, run, start, utterances, wait_for
from websockets.sync.client import connect
from whisper_models import whisper_model

from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import visitor
from gscon_live.realtime.sample import CONVERSATION

#: People and devices do not wait for a machine that is busy.
pytestmark = pytest.mark.alone


class Hosted(NamedTuple):
    """A live session with the devices of visitors, its page, and the file of its events."""

    process: "subprocess.Popen[str]"
    served: Page
    out: Path

    def told(self) -> list[dict[str, Any]]:
        """The lines of JSON so far."""
        lines = self.out.read_bytes().split(b"\n")[:-1] if self.out.exists() else []
        return [json.loads(line) for line in lines]

    def end(self) -> list[schema.AnyEvent]:
        """Ends the session as with Ctrl-C, and gives its events."""
        self.process.send_signal(2)
        errors = self.process.communicate(timeout=WAIT)[1]
        assert self.process.returncode == 0, errors
        return read(self.out)


@contextmanager
def hosted(folder: Path, *options: object) -> Iterator[Hosted]:
    out = folder / "live.jsonl"
    process = start(
        "gscon_live", "live", "--microphone", "browser", "--camera", "browser", "page.port=0",
        "--publish", "off", "--headless", "--events", out, *options,
    )  # fmt: skip
    with Family(process.pid) as family:
        assert process.stderr is not None
        address = next(line for line in process.stderr if line.startswith("page: ")).split()[1]
        try:
            yield Hosted(process, Page(process, address), out)
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=WAIT)
    assert family.left() == []


def agree(viewer: Viewer, session: Hosted) -> None:
    """Agrees when the session runs: then the notice says what it keeps."""
    wait_for(session.told, WAIT)
    viewer.see("#consent-kept", "words and answers are being saved")
    viewer.agree()
    viewer.see("#status", "Live")


def allow(viewer: Viewer) -> None:
    viewer.tab.locator("#allow").click()
    viewer.see("#visit-state", "The session hears and sees you.")


class Said(NamedTuple):
    live: list[schema.AnyEvent]
    replayed: list[schema.AnyEvent]
    page: str
    second: str


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """The sample, spoken into the browser, and the same from a replay."""
    folder = tmp_path_factory.mktemp("browser")
    words = ("--transcriber", whisper_model("tiny.en"))
    flags = devices_from(CONVERSATION, folder)
    replayed = folder / "replayed.jsonl"
    done = run("gscon_live", "replay", CONVERSATION, "--captions", "off", *words,
               "--events", replayed, "--quiet")  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = utterances(read(replayed))
    with hosted(folder, *words) as session, chromium(*flags) as running:
        with viewing(running, session.served) as viewer, viewing(running, session.served) as second:
            agree(viewer, session)
            second.agree()
            allow(viewer)
            viewer.see("#said", expected[0].utterance.text.split(",")[0])
            # Speech lasts as long as the recording; nothing else takes as long here.
            wait_for(
                lambda: sum(e["type"] == "utterance" for e in session.told()) >= len(expected),
                WAIT,
            )
            time.sleep(2.0)
            pages = [each.text("#said") for each in (viewer, second)]
        return Said(session.end(), read(replayed), *pages)


def test_the_sample_spoken_into_the_browser_gives_the_utterances_of_a_replay(said: Said) -> None:
    heard, expected = utterances(said.live), utterances(said.replayed)
    assert len(heard) == len(expected)
    pairs = list(zip(heard, expected, strict=True))
    begun = statistics.median(a.utterance.start - b.utterance.start for a, b in pairs)
    for a, b in pairs:
        print(f"{a.utterance.start - b.utterance.start - begun:+.3f} "
              f"{a.utterance.end - b.utterance.end - begun:+.3f} "
              f"{b.emotion.label} {a.emotion.label} {a.utterance.text}")  # fmt: skip
        assert abs(a.utterance.start - b.utterance.start - begun) <= 0.15
        assert abs(a.utterance.end - b.utterance.end - begun) <= 0.15
        # Pictures and sound have one clock: who is not in the picture is not seen.
        assert a.modalities.visual.present == b.modalities.visual.present
    same = sum(a.emotion.label == b.emotion.label for a, b in pairs)
    assert same >= 0.9 * len(pairs)


def test_nothing_of_it_is_lost_on_the_way(said: Said) -> None:
    """A busy machine may skip a picture afterwards, as with any camera; sound never."""
    lost = [gap for gap in of(schema.Gap, said.live) if gap.count]
    assert [gap for gap in lost if gap.what == "audio" or "visitor" in gap.reason] == []


def test_words_and_answers_stand_on_the_page_of_every_viewer(said: Said) -> None:
    for page in (said.page, said.second):
        for event in utterances(said.live):
            assert event.utterance.text in page
            assert event.emotion.label in page


def test_the_session_is_the_visitors(said: Said) -> None:
    (started,) = of(schema.SessionStarted, said.live)
    assert started.source == "the visitor's microphone, the visitor's camera"
    assert started.kept == ["events"]


def test_a_reload_keeps_the_session_and_gives_again_and_a_second_tab_takes_over(
    tmp_path: Path,
) -> None:
    short = cut(tmp_path / "short.mkv", 4.5)
    with (
        hosted(tmp_path, "--transcriber", "off") as session,
        chromium(*devices_from(short, tmp_path)) as running,
        viewing(running, session.served) as viewer,
    ):
        agree(viewer, session)
        allow(viewer)
        viewer.tab.locator("#u1").wait_for()
        viewer.tab.reload()
        viewer.see("#visit-state", "The session hears and sees you.")
        viewer.tab.locator("#u2").wait_for()
        with viewing(running, session.served) as second:
            second.agree()
            allow(second)
            viewer.see("#visit-state", "Another tab or program gives")
            second.tab.get_by_role("button", name="Stop").click()
            second.see("#visit-state", "Nothing is heard or seen")
            wait_for(lambda: not session.served.state()["giving"])
        wait_for(lambda: "gap" in [event["type"] for event in session.told()])
        events = session.end()
    gaps = [gap.reason for gap in of(schema.Gap, events) if gap.what == "audio"]
    assert any("is gone; it is waited for" in reason for reason in gaps)
    assert any("is back after" in reason for reason in gaps)
    assert len(of(schema.SessionStarted, events)) == 1


def test_the_picture_of_the_sessions_own_camera_is_seen_once_the_notice_is_agreed_to(
    tmp_path: Path,
) -> None:
    options = ("--camera", CONVERSATION, "--transcriber", "off")
    with (
        hosted(tmp_path, *options) as session,
        chromium() as running,
        viewing(running, session.served) as viewer,
    ):
        wait_for(session.told, WAIT)
        viewer.see("#consent-kept", "words and answers are being saved")
        assert viewer.tab.locator("#camera").evaluate("canvas => canvas.hidden")
        viewer.agree()
        viewer.tab.locator("#camera").wait_for(state="visible")
        colours = (
            "canvas => new Set(canvas.getContext('2d')"
            ".getImageData(0, 0, canvas.width, 40).data).size"
        )
        wait_for(lambda: viewer.tab.locator("#camera").evaluate(colours) > 20)
        viewer.tab.locator("#on-frame .face").wait_for()
        assert viewer.serious() == []
        events = session.end()
    # What only the page shows is no loss of the conversation.
    assert [gap.reason for gap in of(schema.Gap, events) if "page" in gap.reason] == []


def test_a_page_that_is_killed_comes_back_under_its_address_and_takes_sound_again(
    tmp_path: Path,
) -> None:
    tone = (8000 * np.sin(np.arange(320) * 0.3)).astype("<i2").tobytes()
    with hosted(tmp_path, "--transcriber", "off") as session:
        uri = session.served.address.replace("http", "ws", 1).replace("/?", "/session?")

        def give(seconds: float) -> None:
            with connect(uri, proxy=None) as page:
                page.send(json.dumps({"type": "start", "now": time.monotonic()}))
                page.recv(timeout=WAIT)
                for _ in range(round(seconds / 0.02)):
                    time.sleep(0.02)
                    page.send(visitor.message("sound", time.monotonic() - 0.02, tone))

        wait_for(session.told, WAIT)
        give(1.0)
        wait_for(lambda: any("is gone" in event.get("reason", "") for event in session.told()))
        time.sleep(10.0)  # a page that fails at once is not started again and again
        with Family(session.process.pid) as family:
            (served,) = (child for child in family.look() if "page" in child.cmdline())
        served.kill()
        served.wait(WAIT)
        wait_for(lambda: _answers(session.served), WAIT)
        give(1.0)
        wait_for(lambda: any("is back" in event.get("reason", "") for event in session.told()))
        assert len(of(schema.SessionStarted, session.end())) == 1


def _answers(served: Page) -> bool:
    try:
        return bool(served.state()["connected"])
    except OSError:
        return False


def test_who_does_not_allow_it_is_told_what_to_do(tmp_path: Path) -> None:
    with (
        hosted(tmp_path, "--transcriber", "off") as session,
        chromium() as running,
        viewing(running, session.served) as viewer,
    ):
        agree(viewer, session)
        assert viewer.serious() == []
        viewer.tab.locator("#allow").click()
        viewer.wait("document.getElementById('visit-state').textContent.includes('try again')")
        assert viewer.tab.locator("#allow").is_visible()
        assert not session.served.state()["giving"]
