"""`gscon-live page`: a page in the browser that shows a running session."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from gscon_live.common import extras

extras.require("web", __name__)

import msgspec

from gscon_live.common import cli, signals
from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.events.client import ENDPOINT, MORE_TOPICS, TOPICS, Hello, Subscriber
from gscon_live.realtime.gateway import address, own_browser, server
from gscon_live.realtime.gateway.event_feed import EventFeed
from gscon_live.realtime.gateway.event_ring import EventRing
from gscon_live.realtime.pipeline.visitor import STOP, Visitor

#: Seconds in which a publisher has to answer.
_PATIENCE = 5.0

EXAMPLES = """
gscon-live page
gscon-live page --port 9000 --open
gscon-live page tcp://192.168.1.20:5560 --keys keys/
gscon-live page --host 0.0.0.0 --name lab.example --certificate lab.pem --key lab.key
"""


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(
        "gscon-live page",
        "Shows a running session in the browser. Prints the address of the page.",
        EXAMPLES,
    )
    parser.add_argument("endpoint", nargs="?", default=ENDPOINT, metavar="ENDPOINT",
                        help=f"where the session publishes (default: {ENDPOINT})")  # fmt: skip
    parser.add_argument("--port", type=int, default=address.PORT, metavar="N",
                        help=f"port of the page, 0 for any (default: {address.PORT})")  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                        help="where to listen; beyond this machine only with TLS")  # fmt: skip
    parser.add_argument("--name", metavar="NAME", help="the name under which browsers reach it")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="for TLS: a PEM file")
    parser.add_argument("--key", type=Path, metavar="FILE", help="for TLS: its key, a PEM file")
    parser.add_argument("--token-file", type=Path, metavar="FILE",
                        help="keeps the token for the next start; made if missing")  # fmt: skip
    parser.add_argument("--keys", type=Path, metavar="DIR",
                        help="folder with server.key and client.key_secret")  # fmt: skip
    parser.add_argument("--open", action="store_true", help="open it in your browser")
    parser.add_argument("--wait", action="store_true", help="wait for a session that starts later")
    parser.add_argument(
        "--stop-with-input",
        action="store_true",
        help="end when standard input is closed: for programs that start this one",
    )
    parser.add_argument("--can-stop", action="store_true",
                        help="print stop when a viewer ends the session: set by live")  # fmt: skip
    parser.add_argument("--visitor", metavar="JSON",
                        help="where sound and pictures of visitors go: set by live")  # fmt: skip
    return parser


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    options = _parser().parse_args(arguments)
    signals.raise_interrupts()
    place = address.Place(
        host=options.host,
        port=options.port,
        name=options.name,
        certificate=options.certificate,
        key=options.key,
        token_file=options.token_file,
    )
    visitor = None if options.visitor is None else _visitor(options.visitor)
    listening = address.listen(place)
    with listening.socket:
        subscriber = Subscriber(options.endpoint, (*TOPICS, *MORE_TOPICS), options.keys)
        try:
            later = options.wait or options.stop_with_input
            hello = None if later else _greeted(subscriber)
        except BaseException:
            subscriber.close()
            raise
        print(f"{listening.address}?token={listening.door.token}", flush=True)
        if options.open and own_browser.there_is_one():
            own_browser.open_page(f"{listening.address}?ticket={listening.door.ticket.issue()}")
        elif options.open:
            print(own_browser.NONE, file=sys.stderr)
        feed = EventFeed(subscriber, EventRing(), hello)
        server.serve(
            feed,
            listening,
            beside=options.stop_with_input,
            visitor=visitor,
            stop=_stop if options.can_stop else None,
        )


def _stop() -> None:
    """Tells the program that started this one that a viewer ends the session."""
    with contextlib.suppress(OSError):  # it has gone
        print(STOP, flush=True)


def _visitor(text: str) -> Visitor:
    try:
        return msgspec.json.decode(text, type=Visitor)
    except msgspec.DecodeError as error:
        raise InputError(f"--visitor: {error}; leave it out, as live gives it") from error


def _greeted(subscriber: Subscriber) -> Hello:
    try:
        return subscriber.ready(_PATIENCE)
    except Failure as error:
        raise InputError(f"{error}; --wait waits for a session that starts later") from error


if __name__ == "__main__":
    cli.program(main)
