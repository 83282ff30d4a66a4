"""What the page costs: the speed of a replay with the page and a viewer over that without."""

import contextlib
import statistics
import threading
from pathlib import Path

from gscon_live.common import extras

extras.require("web", __name__)

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from gscon_live.realtime.bench.measure import replay_factor
from gscon_live.realtime.bench.media import SAMPLE
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.session.page_process import PageProcess

#: Number of replays of each kind; they take turns, so that both meet the same machine.
_TURNS = 3


def page(settings: Settings, path: Path = SAMPLE) -> dict[str, float]:
    """The ratio of the median speeds of three replays each; 1: the page costs nothing."""
    without, beside = [], []
    for _ in range(_TURNS):
        without.append(replay_factor(settings, path)["replay_realtime_factor"])
        beside.append(_with_page(settings, path))
    return {"page_replay_ratio": statistics.median(beside) / statistics.median(without)}


def _with_page(settings: Settings, path: Path) -> float:
    with PageProcess(None, 0) as served:
        address = served.address.replace("http", "ws", 1).replace("/?", "/events?")
        with connect(address, proxy=None) as viewer:
            reading = threading.Thread(target=_read, args=[viewer])
            reading.start()
            factor = replay_factor(settings, path, served.endpoint)["replay_realtime_factor"]
        reading.join()
    return factor


def _read(viewer: ClientConnection) -> None:
    """Takes all events, as a browser does."""
    with contextlib.suppress(ConnectionClosed):
        for _ in viewer:
            pass
