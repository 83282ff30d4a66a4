"""`gscon-live push`: gives a recording or standard input to a live session, in real time."""

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

from gscon_live.common import extras

extras.require("live", __name__)
extras.require("web", __name__)

import msgspec
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import ClientConnection, connect

from gscon_live.common import cli, signals
from gscon_live.common.errors import Failure, InputError
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.capture.paced_media import PacedMedia, in_real_time
from gscon_live.realtime.pipeline import visitor

#: Seconds in which the page has to answer, and between two messages about the clock.
_PATIENCE, _CLOCK_INTERVAL = 10.0, 2.0

EXAMPLES = """
gscon-live live --microphone browser --camera browser        (prints ADDRESS)
gscon-live push interview.mp4 ADDRESS
gscon-live push - ADDRESS < talk.wav
"""


class _Ready(msgspec.Struct, frozen=True):
    """The page's answer to the start."""

    wants: list[str]
    pictures: dict[str, Any]


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(
        "gscon-live push",
        "Gives sound and pictures to a session that takes those of visitors, as if live.",
        EXAMPLES,
    )
    parser.add_argument("recording", metavar="FILE", help="what is given; - is standard input")
    parser.add_argument("address", metavar="ADDRESS",
                        help="the address of the page, as live prints it")  # fmt: skip
    return parser


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    options = _parser().parse_args(arguments)
    signals.raise_interrupts()
    source = _source(options.recording)
    with contextlib.closing(_connected(options.address)) as connection:
        try:
            sound, pictures = _give(connection, source, options.recording)
        except ConnectionClosed as error:
            reason = error.rcvd.reason if error.rcvd is not None and error.rcvd.reason else "gone"
            raise Failure(f"{options.address.partition('?')[0]}: {reason}") from error
    print(f"gave {sound:.1f} s of sound and {pictures} pictures")


def _source(word: str) -> Path | BinaryIO:
    if word != "-":
        path = Path(word)
        if not path.is_file():
            raise InputError(
                f"recording {path}: no such file; give a file, or - for standard input"
            )
        return path
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise InputError("standard input is a terminal or closed; pipe a recording into it")
    return sys.stdin.buffer


def _connected(address: str) -> ClientConnection:
    parts = urlsplit(address)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname or "token=" not in parts.query:
        raise InputError(
            f"{address!r}: not the address of a page; copy the whole line after 'page:', with its "
            "token, and put it in quotes"
        )
    try:
        return connect(
            urlunsplit((scheme, parts.netloc, "/session", parts.query, "")),
            proxy=None,
            open_timeout=_PATIENCE,
            compression=None,
        )
    except (OSError, InvalidURI, InvalidHandshake, TimeoutError) as error:
        raise InputError(
            f"{parts.scheme}://{parts.netloc}/: no session takes sound and pictures there "
            f"({error}); start it with gscon-live live --microphone browser"
        ) from error


def _give(connection: ClientConnection, source: Path | BinaryIO, name: str) -> tuple[float, int]:
    """Gives all of it. Returns the seconds of sound and the number of pictures."""
    _say(connection, "start", rate=SAMPLE_RATE)
    ready = msgspec.json.decode(connection.recv(timeout=_PATIENCE), type=_Ready)
    wants_pictures = "pictures" in ready.wants
    media = PacedMedia(
        source,
        name,
        int(ready.pictures["width"]) if wants_pictures else 0,
        float(ready.pictures["rate"]),
    )
    sound, pictures, clock_sent = 0.0, 0, time.monotonic()
    with contextlib.closing(media):
        for at, part in in_real_time(media.parts()):
            if time.monotonic() - clock_sent > _CLOCK_INTERVAL:
                clock_sent = time.monotonic()
                _say(connection, "clock")
            connection.send(visitor.message(part.kind, at, part.content))
            sound += part.length
            pictures += part.kind == "picture"
    return sound, pictures


def _say(connection: ClientConnection, kind: str, **fields: object) -> None:
    message = {"type": kind, "now": time.monotonic(), **fields}
    connection.send(msgspec.json.encode(message).decode())


if __name__ == "__main__":
    cli.program(main)
