"""A page that stays open beside a live session: python tests/realtime/open_page.py --minutes 60

A live session hears a virtual microphone and sees a virtual camera, which play the sample again and
again. Chromium shows its page, with the camera's pictures. Prints over time what the page's scripts
hold and what the processes of the session hold, and exits 1 where one of them grew.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import memory
from browser import chromium, measured, viewing
from devices import VirtualMicrophone, camera_server, virtual_microphone
from gateways import Page
from sessions import WAIT, Family, cut
from sound import recorded

from gscon_live.realtime.sample import CONVERSATION

#: How much may grow after the warm-up, in MiB: what the page's scripts hold, and the processes.
SCRIPTS, PROCESSES = 2.0, 60.0
#: Readings in a session, and the share of them that is its warm-up.
READINGS, WARM_UP = 30, 0.2


@contextlib.contextmanager
def session(options: Sequence[str]) -> Iterator[Page]:
    """A live session that hears and sees the sample again and again, with its page."""
    with (
        tempfile.TemporaryDirectory() as folder,
        virtual_microphone() as microphone,
        camera_server(cut(Path(folder) / "camera.mkv", 20.0)) as camera,
    ):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gscon_live", "live", "--camera", camera.url),
                *("--page", "--headless", "page.port=0", *options),
            ],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True, text=True,
        )  # fmt: skip
        over = threading.Event()
        try:
            assert process.stderr is not None
            address = next(line for line in process.stderr if line.startswith("page: ")).split()[1]
            # The pipe must not fill up.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            threading.Thread(target=_talk, args=(microphone, over)).start()
            yield Page(process, address)
        finally:
            over.set()
            process.terminate()
            process.wait(WAIT)


def _talk(microphone: VirtualMicrophone, over: threading.Event) -> None:
    sound = recorded(CONVERSATION)
    while not over.wait(2.0):
        microphone.play(sound)
        over.wait(len(sound) / 16_000)


def grown(readings: Sequence[float]) -> float:
    """By how much evenly spaced readings grew after the warm-up, see `memory.growth`."""
    growth = memory.growth([*enumerate(readings)], WARM_UP * len(readings))
    assert growth is not None
    return growth


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("options", nargs="*", help="more options of the session, after --")
    chosen = parser.parse_args()
    scripts, processes = [], []
    with (
        session(chosen.options) as served,
        chromium() as browser,
        viewing(browser, served) as viewer,
    ):
        viewer.agree()
        began = time.monotonic()
        for number in range(1, READINGS + 1):
            time.sleep(max(0.0, began + number * chosen.minutes * 60 / READINGS - time.monotonic()))
            nodes, held = measured(viewer)
            scripts.append(held)
            processes.append(memory.held(Family(served.process.pid)) / memory.MEBIBYTE)
            state = served.state()
            print(
                f"{(time.monotonic() - began) / 60:5.1f} min: {state['events']} events, "
                f"{state['missed']} missed, page {nodes} nodes, {held:.2f} MiB, "
                f"session {processes[-1]:.0f} MiB",
                flush=True,
            )
    growth = grown(scripts), grown(processes)
    print(
        f"after the warm-up the page grew by {growth[0]:+.2f} MiB, the session by {growth[1]:+.0f}"
    )
    return int(growth[0] > SCRIPTS or growth[1] > PROCESSES or state["missed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
