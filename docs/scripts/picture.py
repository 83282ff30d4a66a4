"""`python docs/scripts/picture.py`: the picture of the README, taken from the sample conversation.

It replays the sample conversation and takes a screenshot of the report in a browser without a
window. Chromium or Chrome must be installed.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gscon_live.common import cli
from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime import sample

PICTURE = Path(__file__).parents[1] / "images" / "report.png"
#: Width and height in pixels: the page down to the end of the emotions over time.
SIZE = (1240, 1076)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


def browser() -> str | None:
    """The path of a browser that can take screenshots, or None if none is installed."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def take(page: Path, picture: Path, size: tuple[int, int] = SIZE) -> None:
    """Opens an HTML file in a browser and writes a screenshot as a PNG.

    Args:
        page: the HTML file.
        picture: the PNG to write.
        size: width and height of the picture in pixels.

    Raises:
        InputError: there is no browser.
        Failure: the browser wrote no picture.
    """
    program = browser()
    if program is None:
        raise InputError(f"no browser found; install one of {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory(prefix="gscon-browser-") as profile:
        screenshot = Path(profile) / "page.png"
        process = subprocess.run(
            [program, *_FLAGS, f"--user-data-dir={profile}/user", f"--screenshot={screenshot}",
             f"--window-size={size[0]},{size[1]}", page.resolve().as_uri()],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if not screenshot.is_file():
            last = (process.stderr.strip().splitlines() or ["no error message"])[-1]
            raise Failure(f"{program}: took no picture of {page} ({last})")
        shutil.move(screenshot, picture)


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser(
        "python docs/scripts/picture.py",
        "Replays the sample conversation and writes the picture of its report.",
        "python docs/scripts/picture.py",
    )
    parser.add_argument("picture", nargs="?", type=Path, default=PICTURE, metavar="OUT.png")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gscon-picture-") as folder:
        page = Path(folder) / "report.html"
        replay = [sys.executable, "-m", "gscon_live.realtime.replay", str(sample.CONVERSATION)]
        subprocess.run([*replay, "--report", str(page), "--quiet"], check=True)
        take(page, chosen.picture)
    print(chosen.picture)


if __name__ == "__main__":
    sys.exit(cli.run(main))
