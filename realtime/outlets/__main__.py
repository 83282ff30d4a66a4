"""`gscon-live outlet KIND`: the events of a running session for programs of other fields."""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gscon_live.common import cli, extras, signals
from gscon_live.realtime.events.client import ENDPOINT, Subscriber
from gscon_live.realtime.events.following import await_publisher, follow
from gscon_live.realtime.events.schema import AnyEvent

EXAMPLES = """
gscon-live outlet lsl
gscon-live outlet osc --to 127.0.0.1:9000
gscon-live outlet agent
"""


class Outlet(Protocol):
    """Takes events one at a time and sends them on."""

    def write(self, event: AnyEvent, /) -> None: ...

    def close(self) -> None: ...


class Kind(NamedTuple):
    """A kind of outlet: what it is, the extra that it needs, and how it is built."""

    summary: str
    extra: str | None
    build: Callable[[Any], Outlet]


class _Lines:
    """Prints the perception line whenever it changes."""

    def __init__(self) -> None:
        from gscon_live.realtime.outlets.perception import Perception

        self._perception = Perception()

    def write(self, event: AnyEvent) -> None:
        perceived = self._perception.update(event)
        if perceived is not None:
            print(perceived.line, flush=True)

    def close(self) -> None:
        pass


def _lsl(options: Any) -> Outlet:
    from gscon_live.realtime.outlets.lsl import LslOutlet

    _notice("LSL is not encrypted: all of this network can read emotions and names of speakers")
    return LslOutlet(options.name)


def _osc(options: Any) -> Outlet:
    from gscon_live.realtime.outlets.osc import OscOutlet

    return OscOutlet(options.to, options.with_words, options.unencrypted)


KINDS: dict[str, Kind] = {
    "lsl": Kind("markers and probabilities for Lab Streaming Layer", "lsl", _lsl),
    "osc": Kind("messages of Open Sound Control", "osc", _osc),
    "agent": Kind(
        "a line on standard output whenever an emotion changes", None, lambda _: _Lines()
    ),
}


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    options = _parser().parse_args(arguments)
    signals.raise_interrupts()
    kind = KINDS[options.kind]
    if kind.extra is not None:
        extras.require(kind.extra, __name__)
    with closing(kind.build(options)) as outlet, Subscriber(
        options.endpoint, keys=options.keys
    ) as subscriber:  # fmt: skip
        await_publisher(subscriber, _notice)
        _notice(f"{options.kind}: ready")
        for event, _ in follow(subscriber, _notice, options.once):
            outlet.write(event)


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(
        "gscon-live outlet",
        "Sends the events of a running session to programs of other fields: "
        + "; ".join(f"{name}: {kind.summary}" for name, kind in KINDS.items())
        + ".",
        EXAMPLES,
    )
    parser.add_argument("kind", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("endpoint", nargs="?", default=ENDPOINT, metavar="ENDPOINT",
                        help=f"where the session publishes (default: {ENDPOINT})")  # fmt: skip
    parser.add_argument("--keys", type=Path, metavar="DIR",
                        help="folder with server.key and client.key_secret")  # fmt: skip
    parser.add_argument("--once", action="store_true", help="stop at the end of the session")
    parser.add_argument("--name", default="gscon", help="lsl: name of the streams (default: gscon)")
    parser.add_argument("--to", default="127.0.0.1:9000", metavar="HOST:PORT",
                        help="osc: the program (default: 127.0.0.1:9000)")  # fmt: skip
    parser.add_argument("--words", action="store_true", dest="with_words",
                        help="osc: send the words, too")  # fmt: skip
    parser.add_argument("--unencrypted", action="store_true",
                        help="osc: another machine, though all on the way can read")  # fmt: skip
    return parser


def _notice(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    cli.program(main)
