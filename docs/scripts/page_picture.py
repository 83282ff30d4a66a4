"""`python docs/scripts/page_picture.py`: the picture of the page in the browser.

It replays the sample conversation with `--page`, and takes a screenshot of the page when the replay
has ended. Playwright, and Chromium or Chrome, must be installed.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

from gscon_live.common import cli
from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime import sample

PICTURE = Path(__file__).parents[1] / "images" / "page.png"
#: Width and height in pixels: the page down to the end of its timeline.
SIZE = {"width": 1240, "height": 934}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def take(address: str, picture: Path) -> None:
    """Opens the page, agrees to its notice, and writes a screenshot at the end of the session.

    Raises:
        InputError: there is no browser.
    """
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise InputError(f"no browser found; install one of {', '.join(BROWSERS)}")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page(viewport=SIZE)
        tab.set_default_timeout(600_000)
        tab.goto(address)
        tab.get_by_text("This is a recording.").first.wait_for()
        tab.get_by_role("button", name="Everybody here knows and agrees").click()
        tab.get_by_text("The session has ended").wait_for()
        tab.screenshot(path=picture)
        browser.close()


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser(
        "python docs/scripts/page_picture.py",
        "Replays the sample conversation and writes the picture of its page.",
        "python docs/scripts/page_picture.py",
    )
    parser.add_argument("picture", nargs="?", type=Path, default=PICTURE, metavar="OUT.png")
    chosen = parser.parse_args(arguments)
    words = ["replay", str(sample.CONVERSATION), "--page", "page.port=0"]
    with subprocess.Popen(
        [sys.executable, "-m", "gscon_live", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            address = next((line for line in process.stderr if line.startswith("page: ")), None)
            if address is None:
                raise Failure("the replay printed no address")
            take(address.split()[1], chosen.picture)
        finally:
            process.terminate()
            process.stderr.read()
    print(chosen.picture)


if __name__ == "__main__":
    sys.exit(cli.run(main))
