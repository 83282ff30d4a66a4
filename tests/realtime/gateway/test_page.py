"""The page in a real browser: what a person sees, hears, and can do by keyboard."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import browser
import msgspec
import pytest
from browser import DESKTOP, Viewer, measured, viewing
from gateways import Page, Station, shown
from made_events import conversation
from sessions import WAIT, Family, cut, read, start, utterances, wait_for

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent, Provisional, UtteranceEvent
from gscon_live.realtime.pipeline.services import EVENT_BYTES, EVENTS_QUEUE_BYTES

replace = msgspec.structs.replace
HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.chromium() as running:
        yield running


def live(kept: list[Any] | None, count: int = 10) -> list[AnyEvent]:
    """A live session."""
    latency = schema.Latency(
        end_of_speech_to_event=0.83, segmentation=0.5, transcription=0.2, features=0.1, fusion=0.03
    )
    events = [
        replace(event, latency=latency) if isinstance(event, UtteranceEvent) else event
        for event in conversation(count, seed=3)
    ]
    first = replace(
        events[0], source="USB Audio, camera 0", started_at="2026-11-29T02:00:00+00:00", kept=kept
    )
    return [first, *events[1:]]


@pytest.fixture
def station(tmp_path: Path) -> Iterator[tuple[Station, Page]]:
    with shown(tmp_path, conversation(1, seed=3).__next__().session) as pair:
        yield pair


def test_the_notice_comes_before_everything_else(
    chromium: Any, station: tuple[Station, Page]
) -> None:
    sender, served = station
    sender.send(live(kept=[], count=3)[:-1])
    with viewing(chromium, served) as viewer:
        viewer.see("#consent-kept", "Nothing is kept")
        dialog = viewer.tab.locator("#consent")
        assert "has to know this, and to agree" in dialog.inner_text()
        assert "European Union" in dialog.inner_text()
        for _ in range(3):
            viewer.tab.keyboard.press("Escape")
        assert dialog.evaluate("dialog => dialog.open")
        viewer.tab.keyboard.press("Enter")
        viewer.wait("!document.getElementById('consent').open")
        viewer.tab.reload()
        viewer.see("#said", "Good morning")
        assert not dialog.evaluate("dialog => dialog.open")
        viewer.tab.get_by_role("button", name="Show the notice again").click()
        assert dialog.evaluate("dialog => dialog.open")


@pytest.mark.parametrize(
    ("kept", "state", "words"),
    [
        ([], "nothing", "Nothing is kept"),
        (
            ["sound", "pictures", "events"],
            "recording",
            "RECORDING: sound, pictures, words and answers are being saved",
        ),
        (["events"], "recording", "Sound and pictures are not"),
        (None, "unknown", "It is not known whether this session is kept"),
    ],
)
def test_what_is_kept_stands_at_the_top_and_stays_there(
    chromium: Any, station: tuple[Station, Page], kept: list[str] | None, state: str, words: str
) -> None:
    sender, served = station
    with viewing(chromium, served) as viewer:
        viewer.see("#kept", "not known")
        viewer.agree()
        sender.send(live(kept)[:-1])
        viewer.see("#kept", words)
        dialog = viewer.tab.locator("#consent")
        # Who agreed before the session is asked again, unless nothing is kept.
        assert dialog.evaluate("dialog => dialog.open") == (state != "nothing")
        if state != "nothing":
            viewer.agree()
        viewer.see("#said", "something green")
        viewer.tab.mouse.wheel(0, 5000)
        viewer.wait("scrollY > 100")
        banner = viewer.tab.locator("#kept")
        assert state in (banner.get_attribute("class") or "").split()
        box = banner.bounding_box()
        assert box is not None
        assert box["y"] == 0
        assert box["height"] >= 30
        assert box["width"] >= DESKTOP["width"] - 20


def test_a_download_is_on_the_page_and_everybody_sees_that_there_was_one(
    chromium: Any, station: tuple[Station, Page]
) -> None:
    """By keyboard. "Nothing is kept" is not true any more then, for those who come later, too."""
    sender, served = station
    events = live([])[:-1]
    with viewing(chromium, served) as viewer, viewing(chromium, served) as second:
        viewer.agree()
        second.agree()
        assert not viewer.tab.locator("#download").is_visible()
        sender.send(events)
        viewer.see("#said", "Congratulations")
        second.see("#kept", "Nothing is kept")
        viewer.tab.locator("#download").focus()
        viewer.tab.keyboard.press("Enter")
        viewer.see("#downloading", "All events of this session are in the file. It ends with what")
        viewer.see("#downloading", "Ask everybody here first")
        assert viewer.serious() == []
        viewer.tab.keyboard.press("Escape")
        viewer.wait("!document.getElementById('downloading').open")
        second.see("#kept", "Nothing is kept")
        viewer.tab.keyboard.press("Enter")  # the focus is where it was
        viewer.tab.get_by_role("link", name="Everything").focus()
        with viewer.tab.expect_download() as download:
            viewer.tab.keyboard.press("Enter")
        lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
        assert [schema.decode(line) for line in lines] == events
        for each in (viewer, second):
            each.see("#kept", "DOWNLOADED: somebody saved words and answers from this page.")
            each.see("#consent-kept", "Sound and pictures are not.")
            each.agree()
        with viewing(chromium, served) as third:
            third.see("#consent-kept", "DOWNLOADED")


@pytest.mark.parametrize("kept", [["sound", "pictures", "events"], ["events"]])
def test_a_download_adds_nothing_where_the_events_are_kept(
    chromium: Any, station: tuple[Station, Page], kept: list[Any]
) -> None:
    sender, served = station
    with viewing(chromium, served) as viewer:
        sender.send(live(kept, 2)[:-1])
        viewer.see("#consent-kept", "RECORDING")
        viewer.agree()
        viewer.tab.locator("#download").click()
        assert not viewer.tab.locator("#downloading-kept").is_visible()
        with viewer.tab.expect_download():
            viewer.tab.get_by_role("link", name="CSV").click()
        wait_for(lambda: served.state()["saved"])
        viewer.tab.reload()
        viewer.see("#kept", "RECORDING")


def test_a_session_is_ended_on_the_page_after_a_question(chromium: Any, tmp_path: Path) -> None:
    events = live([])
    with (
        shown(tmp_path, events[0].session, "--can-stop") as (sender, served),
        viewing(chromium, served) as viewer,
    ):
        viewer.agree()
        end, question = viewer.tab.locator("#end"), viewer.tab.locator("#ending")
        assert not end.is_visible()
        sender.send(events[:-1])
        end.wait_for()
        end.focus()
        viewer.tab.keyboard.press("Enter")
        viewer.see("#ending", "It ends for everybody")
        assert viewer.serious() == []
        viewer.tab.keyboard.press("Enter")  # lets it go on
        question.wait_for(state="hidden")
        viewer.tab.keyboard.press("Enter")
        question.wait_for()
        viewer.tab.keyboard.press("Tab")
        viewer.tab.keyboard.press("Enter")
        viewer.see("#ending", "The session is asked to end")
        sender.send(events[-1:])
        question.wait_for(state="hidden")
        end.wait_for(state="hidden")
        viewer.see("#status", "The session has ended")
        served.process.terminate()
        assert served.process.communicate(timeout=WAIT)[0] == "stop\n"
        # What ended is not missed.
        viewer.wait("performance.getEntriesByName('http://x').length === 0")
        viewer.see("#status", "The session has ended")
        viewer.complaints.clear()  # the browser's own, of connections that were refused


def test_words_answers_and_opinions_are_read_on_the_page(
    chromium: Any, station: tuple[Station, Page]
) -> None:
    sender, served = station
    events = live([])
    said = [event for event in events if isinstance(event, UtteranceEvent)]
    with viewing(chromium, served) as viewer:
        viewer.agree()
        for event in events:
            sender.send([event])
            if isinstance(event, Provisional):
                viewer.see("#now", "is still speaking; this may change")
                viewer.see("#now", event.utterance.text or "(no words)")
            if isinstance(event, UtteranceEvent):
                viewer.tab.locator(f"#u{event.utterance.id}").wait_for()
        viewer.see("#status", "The session has ended")
        viewer.see("#status", "answers 0.8 s after the end of speech")
        rows = viewer.tab.locator("#said li").all_inner_texts()
        assert len(rows) == len(said)
        for row, event in zip(reversed(rows), said, strict=True):
            assert event.utterance.speaker in row
            assert (event.utterance.text or "no words") in row
            assert f"{event.emotion.label}" in row
            assert ("too unsure to use" in row) == event.emotion.abstained
            assert ("no face is in view" in row) == (not event.modalities.visual.present)
        last = said[-1]
        shares = viewer.tab.locator("#now .share").all_inner_texts()
        assert [re.split(r"\s+", share.strip(), maxsplit=1) for share in shares] == [
            [name, f"{round(100 * value)} %"] for name, value in last.emotion.probabilities.items()
        ]
        assert viewer.tab.locator("#now .share.best").inner_text().startswith(last.emotion.label)
        assert viewer.tab.locator("#opinions h3").all_inner_texts() == ["Words", "Voice", "Face"]
        heads = viewer.tab.locator("#time .head").all_inner_texts()
        assert heads == ["", "Ben", "Ada", "Words", "Voice", "Face"]
        assert viewer.tab.locator("#time .speaker .block").count() == len(said)
        # Newest at the right, and in view.
        lefts = [box["x"] for box in (viewer.tab.locator(f"#time [href='#u{e.utterance.id}']")
                                      .bounding_box() for e in said) if box]  # fmt: skip
        assert lefts == sorted(lefts)
        assert DESKTOP["width"] / 2 < lefts[-1] < DESKTOP["width"]
        viewer.see("#health", "7 pictures are missing (0.7 s): the face stage fell behind.")
        viewer.see("#health", "The search for faces works again.")
        assert said[-1].utterance.text in viewer.text("#spoken")
        assert said[-1].emotion.label in viewer.text("#spoken")


def test_words_that_may_change_are_paler(chromium: Any, station: tuple[Station, Page]) -> None:
    sender, served = station
    events = live([])
    at = next(n for n, event in enumerate(events) if isinstance(event, Provisional))
    event = events[at]
    assert isinstance(event, Provisional)
    text = event.utterance.text or "Nine o'clock"
    stable = text[: len(text) // 2]
    utterance = msgspec.structs.replace(event.utterance, text=text, stable_text=stable)
    with viewing(chromium, served) as viewer:
        viewer.agree()
        sender.send([*events[:at], msgspec.structs.replace(event, utterance=utterance)])
        viewer.see("#now", text)
        assert viewer.tab.locator("#now .may-change").all_text_contents() == [text[len(stable) :]]


def test_a_reload_and_a_second_viewer_see_what_went_before(
    chromium: Any, station: tuple[Station, Page]
) -> None:
    sender, served = station
    events = live([])
    sender.send(events[:-4])
    with viewing(chromium, served) as viewer, viewing(chromium, served) as second:
        viewer.agree()
        second.agree()
        for each in (viewer, second):
            each.see("#said", "Good morning, Ada.")
            each.see("#said", "something green is growing")
        assert viewer.tab.url == f"http://{served.host}:{served.port}/"
        viewer.tab.reload()
        viewer.see("#said", "Good morning, Ada.")
        sender.send(events[-4:])
        for each in (viewer, second):
            each.see("#said", "Congratulations")
            assert each.tab.locator("#said li").count() == 10


def test_a_session_that_goes_is_missed_on_the_page(
    chromium: Any, station: tuple[Station, Page]
) -> None:
    sender, served = station
    sender.send(live([])[:-1])
    with viewing(chromium, served) as viewer:
        viewer.agree()
        viewer.see("#said", "Good morning")
        sender.__exit__(None, None, None)
        viewer.see("#status", "The session is gone")
        viewer.see("#health", "The session does not answer")


def test_a_gateway_that_goes_is_looked_for(chromium: Any, station: tuple[Station, Page]) -> None:
    sender, served = station
    sender.send(live([])[:-1])
    with viewing(chromium, served) as viewer:
        viewer.agree()
        viewer.see("#said", "Good morning")
        served.process.kill()
        viewer.see("#status", "The connection is lost")
        assert "Good morning" in viewer.text("#said")
        viewer.complaints.clear()  # the browser's own, of connections that were refused


def seen(*tracks: int, speaks: int | None = None) -> schema.FaceEvent:
    probabilities = dict.fromkeys(EMOTIONS, 0.05) | {"joy": 0.7}
    return schema.FaceEvent(
        schema=schema.SCHEMA, session="s", seq=0, time=1.0,
        faces=[schema.TrackedFace(track=track, box=(0.1 * track, 0.2, 0.1, 0.25),
                                  speaks=track == speaks, probabilities=probabilities)
               for track in tracks],
    )  # fmt: skip


def test_faces_are_drawn_as_they_come_and_go_with_them(
    chromium: Any, station: tuple[Station, Page]
) -> None:
    sender, served = station
    sender.send(live([])[:-1])
    with viewing(chromium, served) as viewer:
        viewer.agree()
        viewer.see("#said", "Good morning")
        assert not viewer.tab.locator("#view").is_visible()
        sender.send([seen(1, 2, speaks=2)])
        viewer.tab.locator("#on-frame .face.speaks").wait_for()
        sender.send([seen(1, 2, speaks=2)])
        boxes = viewer.tab.locator("#on-frame .face").evaluate_all(
            "boxes => boxes.map(box => box.style.left)"
        )
        assert boxes == ["10%", "20%"]
        assert "Face 2 looks like joy, 70 %, speaks" in viewer.text("#view-words")
        viewer.tab.locator("#view").wait_for(state="hidden")  # none came for a while
        # They are no part of the conversation: nothing is said to be missing.
        assert "did not reach this page" not in viewer.text("#health")
        assert viewer.serious() == []


def test_nothing_in_an_event_becomes_markup(chromium: Any, station: tuple[Station, Page]) -> None:
    sender, served = station
    events = live([], 2)
    event = next(e for e in events if isinstance(e, UtteranceEvent))
    hostile = replace(
        event,
        utterance=replace(event.utterance, text=HOSTILE, speaker=HOSTILE),
        emotion=replace(event.emotion, label=HOSTILE, probabilities={HOSTILE: 0.6, "x": 0.4}),
        modalities=replace(event.modalities, visual=schema.Modality(present=False, reason=HOSTILE)),
    )
    lost = schema.Gap(schema=schema.SCHEMA, session=event.session, seq=0, time=1.0, what="audio",
                      count=1, seconds=1.0, reason=HOSTILE)  # fmt: skip
    started = replace(events[0], source=HOSTILE)
    for path in ("/", "/overlay"):
        with viewing(chromium, served, path) as viewer:
            if path == "/":
                viewer.agree()
            sender.send([started, hostile, lost])
            viewer.see("body", HOSTILE)
            assert viewer.tab.locator("img, body script, iframe").count() == 0


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_is_readable_for_everybody(
    chromium: Any, station: tuple[Station, Page], colours: str, size: dict[str, int]
) -> None:
    """Contrast, names and roles, in both colour schemes, at the width of a phone too."""
    sender, served = station
    sender.send(live(["sound", "events"])[:-1])
    with viewing(chromium, served, color_scheme=colours) as viewer:
        viewer.tab.set_viewport_size(size)
        viewer.see("#consent-kept", "RECORDING")
        # The rules of the page do not apply to what axe does in it.
        assert viewer.serious() == []
        viewer.agree()
        viewer.see("#said", "something green")
        assert viewer.serious() == []
        assert viewer.tab.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert viewer.tab.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(17, 20, 27)" if colours == "dark" else "rgb(245, 246, 248)"
        )


def stands_still(viewer: Viewer) -> bool:
    """Whether nothing scrolls the timeline."""
    place = "document.getElementById('scroll').scrollLeft"
    before = viewer.tab.evaluate(place)
    time.sleep(0.3)
    return bool(viewer.tab.evaluate(place) == before)


def test_the_keyboard_reaches_everything(chromium: Any, station: tuple[Station, Page]) -> None:
    sender, served = station
    sender.send(live([], 40)[:-1])
    with viewing(chromium, served) as viewer:
        viewer.see("#consent-kept", "Nothing is kept")
        viewer.tab.keyboard.press("Enter")
        viewer.wait("!document.getElementById('consent').open")
        viewer.tab.locator("#u39").wait_for()
        viewer.tab.evaluate("document.activeElement.blur()")
        reached = []
        for _ in range(4):
            viewer.tab.keyboard.press("Tab")
            reached.append(viewer.tab.evaluate(
                "document.activeElement.id || document.activeElement.className"))  # fmt: skip
            if reached[-1] == "scroll":
                before = viewer.tab.evaluate("document.activeElement.scrollLeft")
                for _ in range(5):
                    viewer.tab.keyboard.press("ArrowLeft")
                viewer.wait(f"document.getElementById('scroll').scrollLeft < {before} - 40")
                viewer.wait("!document.getElementById('newest').hidden")
                # The browser goes on scrolling for a moment after the key.
                wait_for(lambda: stands_still(viewer))
                viewer.tab.keyboard.press("Shift+Tab")
                viewer.tab.keyboard.press("Enter")
                viewer.wait("document.getElementById('newest').hidden")
        assert reached[0] == "skip"
        assert "scroll" in reached
        assert "notice" in reached


def test_the_page_keeps_its_size_however_long_the_session_is(
    chromium: Any, station: tuple[Station, Page]
) -> None:
    sender, served = station
    events = live([], 700)
    with viewing(chromium, served) as viewer:
        viewer.agree()
        for begin in range(0, len(events), 100):
            sender.send(events[begin : begin + 100])
            wait_for(lambda until=begin: served.state()["events"] >= min(until + 100, len(events)))
        viewer.see("#status", "700 utterances")
        assert viewer.tab.locator("#said li").count() == 200
        assert viewer.tab.locator("#time .block").count() <= 4 * 120
        assert viewer.tab.locator("#time").bounding_box()["width"] < 60 * 900


def test_a_page_that_stays_open_for_hours_does_not_grow(
    chromium: Any, station: tuple[Station, Page]
) -> None:
    """2,000 utterances, of 2.6 hours, as fast as they can be sent."""
    sender, served = station
    events = live([], 2000)
    readings: list[tuple[int, float]] = []
    # With as many faces, half of what may wait for a subscriber: ZeroMQ counts messages as waiting
    # until half of a queue is read. So none is lost, however slow the subscriber is.
    step = EVENTS_QUEUE_BYTES // EVENT_BYTES // 4
    with viewing(chromium, served) as viewer:
        viewer.agree()
        sent = 0
        for begin in range(0, len(events), step):
            batch = events[begin : begin + step]
            for event in batch:
                sender.send([event, seen(1, 2)])
            sent += len(batch)
            wait_for(lambda until=sent: served.state()["events"] >= until, WAIT)
            last = next(e for e in reversed(batch) if isinstance(e, UtteranceEvent))
            viewer.tab.locator(f"#u{last.utterance.id}").wait_for(state="attached")
            viewer.tab.locator("#view").wait_for(state="hidden")
            readings.append(measured(viewer))
    print("\n".join(f"{nodes} nodes, {heap:.2f} MiB" for nodes, heap in readings))
    half = len(readings) // 2
    assert half >= 4
    before, after = readings[2:half], readings[half:]
    assert max(nodes for nodes, _ in after) <= 1.05 * max(nodes for nodes, _ in before)
    assert max(heap for _, heap in after) <= 1.05 * max(heap for _, heap in before) + 0.5


@pytest.mark.alone
def test_ten_viewers_at_once_see_everything(chromium: Any, station: tuple[Station, Page]) -> None:
    sender, served = station
    events = live([], 100)
    with ExitStack() as stack:
        viewers = [stack.enter_context(viewing(chromium, served)) for _ in range(10)]
        for viewer in viewers:
            viewer.agree()
        wait_for(lambda: served.state()["viewers"] == 10)
        sender.send(events)
        for viewer in viewers:
            viewer.see("#status", "100 utterances")
            assert viewer.tab.locator("#said li").count() == 100
            assert "did not reach this page" not in viewer.text("#health")
        assert served.state()["missed"] == 0
    wait_for(lambda: served.state()["viewers"] == 0)


def test_the_overlay_has_no_background_and_shows_the_last_lines(
    chromium: Any, station: tuple[Station, Page]
) -> None:
    sender, served = station
    with viewing(chromium, served, "/overlay") as viewer:
        sender.send(live([])[:-1])
        viewer.see("#lines", "Congratulations")
        assert viewer.tab.locator(".line").count() == 2
        for element in ("html", "body", "main"):
            colour = viewer.tab.locator(element).evaluate(
                "e => getComputedStyle(e).backgroundColor"
            )
            assert colour == "rgba(0, 0, 0, 0)"
        viewer.tab.reload()  # as OBS does
        viewer.see("#lines", "Congratulations")


def test_a_paced_replay_of_the_sample_is_followed_on_the_page(
    chromium: Any, tmp_path: Path
) -> None:
    recording = cut(tmp_path / "short.mkv", 9.0)
    out = tmp_path / "out.jsonl"
    process = start("gscon_live", "replay", recording, "--page", "page.port=0", "--speed", 1,
                    "--events", out)  # fmt: skip
    with Family(process.pid) as family:
        assert process.stderr is not None
        address = next(line for line in process.stderr if line.startswith("page: ")).split()[1]
        with viewing(chromium, Page(process, address)) as viewer:
            viewer.agree()
            viewer.see("#kept", "This is a recording")
            viewer.see("#status", "The session has ended")
            answers = utterances(read(out))
            assert answers
            for event in answers:
                viewer.see(f"#u{event.utterance.id}", event.utterance.text)
                viewer.see(f"#u{event.utterance.id}", event.emotion.label)
        process.terminate()
        process.communicate(timeout=WAIT)
    assert process.returncode == 0
    assert family.left() == []
