"""The browser of the tests, with a microphone and a camera whose contents come from files."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gateways import Page
from sessions import WAIT, wait_for

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


#: Environment of a command that finds no browser to open.
NO_BROWSER = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""}

DESKTOP = {"width": 1240, "height": 900}


def _driver() -> Any:
    return pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@contextmanager
def chromium(*flags: str) -> Iterator[Any]:
    """Chromium or Chrome, driven by Playwright. Skips where one of them is not installed."""
    playwright = _driver()
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium or Chrome is installed")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=[*FLAGS, *flags])
        yield running
        running.close()


def opens_into(file: Path) -> dict[str, str]:
    """Environment of a command whose browser writes the address that it is given into a file."""
    return {"BROWSER": shlex.join([sys.executable, "-c", f"open({str(file)!r}, 'a').write('%s ')"])}


def devices_from(recording: Path, folder: Path, size: str = "320x240") -> list[str]:
    """Flags for a microphone and a camera that give a recording, once, from when they are opened;
    whoever asks for them gets them. Chromium plays such pictures at 30 a second."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("FFmpeg is not installed")
    sound, pictures = folder / "sound.wav", folder / "pictures.mjpeg"
    command = [ffmpeg, "-v", "error", "-y", "-i", recording]
    subprocess.run([*command, "-ac", "1", "-ar", "48000", sound], check=True)
    scale = f"scale={size.replace('x', ':')}:force_original_aspect_ratio=decrease"
    pad = f"pad={size.replace('x', ':')}:(ow-iw)/2:(oh-ih)/2"
    subprocess.run(
        [*command, "-an", "-vf", f"{scale},{pad}", "-r", "30", "-q:v", "3", pictures], check=True
    )
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={sound}%noloop",
        f"--use-file-for-fake-video-capture={pictures}",
    ]


class Viewer:
    """A tab, what it complained of, and what it asked others than the gateway for."""

    def __init__(self, chromium: Any, served: Page, path: str = "/", **options: Any) -> None:
        self.context = chromium.new_context(viewport=DESKTOP, **options)
        self.context.set_default_timeout(WAIT * 1000)
        self.tab = self.context.new_page()
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        self.tab.on("console", self._note)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", self._ask)
        self._own = (f"http://{served.host}:{served.port}/", f"ws://{served.host}:{served.port}/")
        self.tab.goto(served.address.replace("/?", f"{path}?"))

    def agree(self) -> "Viewer":
        self.tab.get_by_role("button", name="Everybody here knows and agrees").click()
        return self

    def text(self, selector: str = "main") -> str:
        content: str = self.tab.locator(selector).inner_text()
        return content

    def see(self, selector: str, words: str) -> None:
        """Waits until the words stand there."""
        _driver().expect(self.tab.locator(selector)).to_contain_text(words, timeout=WAIT * 1000)

    def wait(self, condition: str) -> None:
        """Waits until a condition in JavaScript holds; the page itself may evaluate none."""
        wait_for(lambda: self.tab.evaluate(condition), WAIT)

    def serious(self) -> list[str]:
        """What axe calls serious or critical: contrast, names, roles, order."""
        axe = pytest.importorskip(
            "axe_playwright_python.sync_playwright", reason="axe is not installed"
        )
        results = axe.Axe().run(self.tab).response
        assert results["passes"]
        return [
            f"{found['id']}: {node['html'][:200]}"
            for found in results["violations"]
            if found["impact"] in ("serious", "critical")
            for node in found["nodes"]
        ]

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _ask(self, request: Any) -> None:
        if not request.url.startswith(self._own):
            self.elsewhere.append(request.url)


@contextmanager
def viewing(chromium: Any, served: Page, path: str = "/", **options: Any) -> Iterator[Viewer]:
    viewer = Viewer(chromium, served, path, **options)
    try:
        yield viewer
        assert viewer.complaints == []
        assert viewer.elsewhere == []
    finally:
        viewer.context.close()


def measured(viewer: Viewer) -> tuple[int, float]:
    """Number of nodes of the document, and size of what its scripts hold in MiB, once what is not
    used any more has gone."""
    session = viewer.context.new_cdp_session(viewer.tab)
    session.send("Performance.enable")
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    metrics = {item["name"]: item["value"]
               for item in session.send("Performance.getMetrics")["metrics"]}  # fmt: skip
    session.detach()
    return int(metrics["Nodes"]), metrics["JSHeapUsedSize"] / 2**20
