"""The report in a real browser: it plays the recording, takes corrections, and prints whole."""

import json
import re
import shutil
import subprocess
import wave
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from made_events import conversation
from sessions import wait_for

from gscon_live.common import cli
from gscon_live.realtime import report
from gscon_live.realtime.display.report_page import is_figure
from gscon_live.realtime.events import corrections, schema
from gscon_live.realtime.events.schema import UtteranceEvent

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

EVENTS = list(conversation())
SPOKEN = [event for event in EVENTS if isinstance(event, UtteranceEvent)]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.chromium("--autoplay-policy=no-user-gesture-required") as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file of events, and a recording of a minute beside it."""
    (tmp_path / "talk.jsonl").write_bytes(b"".join(schema.encode(e) + b"\n" for e in EVENTS))
    with wave.open(str(tmp_path / "talk é.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 60))
    return tmp_path


def opened(chromium: Any, folder: Path, *options: object, **context: Any) -> Any:
    """The report of the events, in a tab that complains of every error."""
    words = [folder / "talk.jsonl", folder / "talk.html", *options]
    assert cli.run(report.main, [*map(str, words)]) == 0
    tab = chromium.new_context(viewport={"width": 1240, "height": 900}, **context).new_page()
    tab.set_default_timeout(40_000)
    tab.complaints = []
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.asked = []
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto((folder / "talk.html").as_uri())
    return tab


def wait(tab: Any, condition: str) -> None:
    """Waits until a condition in JavaScript holds; the page itself may evaluate none."""
    wait_for(lambda: tab.evaluate(condition))


def test_a_recording_that_is_chosen_is_played_from_where_the_page_is_pressed(
    chromium: Any, folder: Path
) -> None:
    tab = opened(chromium, folder)
    assert len(tab.asked) == 1
    tab.set_input_files(".player input", str(folder / "talk é.wav"))
    wait(tab, "document.querySelector('video').duration > 59")
    third = SPOKEN[3].utterance
    tab.click(f"a.block[href='#u{third.id}']")
    wait(tab, f"document.querySelector('video').currentTime >= {third.start}")
    # What is heard is marked on the page.
    tab.wait_for_selector(f"tr#u{third.id}[aria-current]")
    assert tab.locator("tr[aria-current]").count() == 1
    # By keyboard, from the transcript.
    tab.evaluate("document.querySelector('video').pause()")
    last = SPOKEN[-1].utterance
    tab.focus(f"tr#u{last.id} .seek")
    tab.keyboard.press("Enter")
    wait(tab, f"document.querySelector('video').currentTime >= {last.start}")
    tab.wait_for_selector(f"tr#u{last.id}[aria-current]")
    # And on the recording's own control.
    tab.evaluate("document.querySelector('video').currentTime = 1.5")
    tab.wait_for_selector("tr#u0[aria-current]")
    assert tab.complaints == []
    assert not [url for url in tab.asked if not url.startswith(("file:", "blob:"))]


def test_a_recording_that_was_named_is_found_beside_the_page_when_it_is_wanted(
    chromium: Any, folder: Path
) -> None:
    tab = opened(chromium, folder, "--media", folder / "talk é.wav")
    assert len(tab.asked) == 1
    assert 'data-media="talk%20%C3%A9.wav"' in (folder / "talk.html").read_text()
    tab.click(".player .load")
    wait(tab, "document.querySelector('video').duration > 59")
    (folder / "talk é.wav").write_text("no sound")
    tab.reload()
    tab.click(".player .load")
    tab.wait_for_selector("text=This browser cannot play that file")


def test_the_picture_for_a_paper_is_saved_as_svg_and_as_png(chromium: Any, folder: Path) -> None:
    """Also from a dark page, and after another name: black on white, with all utterances."""
    from PIL import Image

    words = [folder / "talk.jsonl", folder / "again.html", "--figure", folder / "talk.svg"]
    assert cli.run(report.main, [*map(str, words)]) == 0
    tab = opened(chromium, folder, "--title", "A talk / 1: é", color_scheme="dark")
    saved = {}
    for kind in ("svg", "png"):
        with tab.expect_download() as download:
            tab.click(f".keep [data-save={kind}]")
        assert download.value.suggested_filename == f"emotions-A-talk-1-é.{kind}"
        saved[kind] = Path(download.value.path())

    def boxes(path: Path) -> list[dict[str, str]]:
        return [
            dict(element.attrib) for element in ElementTree.parse(path).iter() if element.attrib
        ]

    assert boxes(saved["svg"]) == boxes(folder / "talk.svg")
    assert is_figure(saved["svg"].read_bytes()[:65536])
    picture = Image.open(saved["png"]).convert("RGB")
    width, height = map(float, boxes(saved["svg"])[0]["viewBox"].split()[2:])
    assert picture.size == (3 * width, 3 * height)
    colours = {colour for _, colour in picture.getcolors(1 << 24)}
    assert picture.getpixel((picture.width - 1, 0)) == (255, 255, 255)
    assert {(0, 0, 0), (236, 215, 46), (0, 114, 178)} <= colours
    assert tab.complaints == []
    assert not [url for url in tab.asked if not url.startswith(("file:", "blob:"))]


def test_corrections_are_saved_as_a_file_that_the_next_report_uses(
    chromium: Any, folder: Path
) -> None:
    tab = opened(chromium, folder)
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.click(".correct")
    tab.fill("tr#u0 .who input", "Benjamin")
    tab.keyboard.press("Tab")
    tab.select_option("tr#u1 select", "fear")
    assert tab.input_value("tr#u3 .who input") == "Benjamin"
    assert tab.input_value("tr#u1 .who input") == "Ada"
    with tab.expect_download() as download:
        tab.click(".save")
    assert download.value.suggested_filename == "talk.corrections.json"
    download.value.save_as(folder / "talk.corrections.json")
    (session,) = corrections.read(folder / "talk.corrections.json").sessions.values()
    assert session.speakers == {"Ben": "Benjamin"}
    assert {number: own.label for number, own in session.utterances.items()} == {1: "fear"}

    # The next page has them, and saves them again with what is new.
    tab = opened(chromium, folder)
    assert "Benjamin" in tab.inner_text("tr#u0 .who")
    assert "by a person; the model says surprise" in tab.inner_text("tr#u1")
    tab.on("dialog", lambda dialog: dialog.dismiss())
    tab.click(".correct")
    assert tab.input_value("tr#u1 select") == "fear"
    tab.fill("tr#u3 .who input", "Cleo")
    tab.keyboard.press("Tab")
    with tab.expect_download() as download:
        tab.click(".save")
    saved = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    (own,) = saved["sessions"].values()
    assert own["speakers"] == {"Ben": "Benjamin"}
    assert own["utterances"] == {"1": {"label": "fear"}, "3": {"speaker": "Cleo"}}
    assert tab.complaints == []


def test_what_stands_out_can_be_picked_out(chromium: Any, folder: Path) -> None:
    tab = opened(chromium, folder)
    unsure = [e.utterance.id for e in SPOKEN if e.emotion.abstained or e.emotion.confidence < 0.5]
    assert 0 < len(unsure) < len(SPOKEN)
    tab.click("button[data-mark=unsure]")
    shown = tab.eval_on_selector_all(
        "tr[data-id]:not([hidden])", "rows => rows.map(r => r.dataset.id)"
    )
    assert [*map(int, shown)] == unsure


def test_everything_is_on_paper_without_colours_behind_it(chromium: Any, folder: Path) -> None:
    """Printed without background graphics: all words and values, the timeline, and its colours."""
    pdftotext, pdftoppm = shutil.which("pdftotext"), shutil.which("pdftoppm")
    if pdftotext is None or pdftoppm is None:
        pytest.skip("poppler is not installed")
    tab = opened(chromium, folder, color_scheme="dark")
    tab.click("button[data-mark=unsure]")  # paper has all rows all the same
    pdf = folder / "talk.pdf"
    tab.pdf(path=str(pdf), print_background=False, format="A4")
    printed = subprocess.run(
        [pdftotext, "-raw", str(pdf), "-"], capture_output=True, check=True, encoding="utf-8"
    ).stdout
    text = re.sub(r"\s+", "", printed)
    for event in SPOKEN:
        assert f"{event.emotion.label}{round(100 * event.emotion.confidence)}%" in text
        for word in event.utterance.text.split():
            assert word in text
    for share in ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"):
        assert share in text
    assert "Abstained" in text
    subprocess.run([pdftoppm, "-r", "50", str(pdf), str(folder / "sheet")], check=True)
    from PIL import Image

    sheets = [Image.open(path).convert("RGB") for path in sorted(folder.glob("sheet*.ppm"))]
    assert sheets[0].getpixel((2, 2)) == (255, 255, 255)
    colours = {colour for _, colour in sheets[0].getcolors(1 << 20)}
    # Joy's and sadness' own colours: plots, bars and chips are printed in them.
    assert {(236, 215, 46), (0, 114, 178)} <= colours
    # Nothing hangs over the right edge.
    for sheet in sheets:
        width, height = sheet.size
        edge = sheet.crop((width - 8, 0, width, height))
        assert edge.getcolors() == [(8 * height, (255, 255, 255))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(chromium: Any, folder: Path, scheme: str) -> None:
    tab = opened(chromium, folder, color_scheme=scheme)
    tab.click(".correct")
    outcome = axe.Axe().run(tab)
    serious = [
        (violation["id"], node["html"][:120])
        for violation in outcome.response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert serious == []
