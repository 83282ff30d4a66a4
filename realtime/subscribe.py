"""`gscon-live subscribe`: prints the events of a running session as they come."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from gscon_live.common import cli, signals
from gscon_live.common.errors import Failure
from gscon_live.realtime.events import sinks
from gscon_live.realtime.events.client import ENDPOINT, TOPICS, Subscriber
from gscon_live.realtime.events.schema import TOPICS as TOPIC_OF
from gscon_live.realtime.events.schema import SessionEnded


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(
        "gscon-live subscribe",
        "Prints the events of a running session as they come.",
        """
        gscon-live subscribe
        gscon-live subscribe --format jsonl --once > session.jsonl
        gscon-live subscribe tcp://192.168.1.20:5560 --keys keys/
        """,
    )
    parser.add_argument("endpoint", nargs="?", default=ENDPOINT, metavar="ENDPOINT",
                        help=f"where the publisher is (default: {ENDPOINT})")  # fmt: skip
    parser.add_argument("--format", choices=sinks.names(), default="text",
                        help="text for people, or jsonl, csv, vtt (default: text)")  # fmt: skip
    parser.add_argument("--topics", default=",".join(TOPICS), metavar="A,B",
                        help=f"which events (default: {','.join(TOPICS)}); also face")  # fmt: skip
    parser.add_argument("--keys", type=Path, metavar="DIR",
                        help="folder with server.key and client.key_secret")  # fmt: skip
    parser.add_argument("--once", action="store_true", help="stop at the end of the session")
    return parser


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    signals.raise_interrupts()
    topics = [topic for topic in options.topics.split(",") if topic]
    # The session's end is needed for --once, also if it is not printed.
    wanted = {*topics, "session"} if options.once else {*topics}
    with Subscriber(options.endpoint, sorted(wanted), options.keys) as subscriber:
        _await_publisher(subscriber)
        sink = sinks.of_name(options.format)(sys.stdout)
        if isinstance(sink, sinks.Text):
            sink.live = sys.stdout.isatty()
        shown = {kind for kind, topic in TOPIC_OF.items() if topic in topics}
        try:
            _print(subscriber, sink, shown, options.once)
        finally:
            sink.close()


def _await_publisher(subscriber: Subscriber) -> None:
    try:
        subscriber.ready(timeout=1.0)
    except Failure:
        _notice(f"waiting for a publisher at {subscriber.endpoint}")
        subscriber.ready(timeout=math.inf)


def _print(subscriber: Subscriber, sink: sinks.Sink, shown: set[str], once: bool) -> None:
    missed = unreadable = 0
    connected = True
    while True:
        received = subscriber.receive(1.0)
        if subscriber.connected != connected:
            connected = not connected
            _notice("the publisher is back" if connected else "the publisher has gone; waiting")
        if subscriber.missed > missed:
            _notice(f"missed {subscriber.missed - missed} events ({subscriber.missed} in all)")
            missed = subscriber.missed
        if subscriber.unreadable > unreadable:
            unreadable = subscriber.unreadable
            _notice(f"{unreadable} messages could not be read; is this version older than theirs?")
        if received is None:
            continue
        event, raw = received
        if event.type in shown:
            if isinstance(sink, sinks.JsonLines):
                sink.write_line(raw)
            else:
                sink.write(event)
        if once and isinstance(event, SessionEnded):
            return


def _notice(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    cli.program(main)
