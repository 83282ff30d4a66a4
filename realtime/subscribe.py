"""`gscon-live subscribe`: prints the events of a running session as they come."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gscon_live.common import cli, signals
from gscon_live.realtime.events import sinks
from gscon_live.realtime.events.client import ENDPOINT, TOPICS, Subscriber
from gscon_live.realtime.events.following import await_publisher, follow
from gscon_live.realtime.events.schema import TOPICS as TOPIC_OF


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
        await_publisher(subscriber, _notice)
        sink = sinks.of_name(options.format)(sys.stdout)
        if isinstance(sink, sinks.Text):
            sink.live = sys.stdout.isatty()
        shown = {kind for kind, topic in TOPIC_OF.items() if topic in topics}
        try:
            _print(subscriber, sink, shown, options.once)
        finally:
            sink.close()


def _print(subscriber: Subscriber, sink: sinks.Sink, shown: set[str], once: bool) -> None:
    for event, raw in follow(subscriber, _notice, once):
        if event.type not in shown:
            continue
        if isinstance(sink, sinks.JsonLines):
            sink.write_line(raw)
        else:
            sink.write(event)


def _notice(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    cli.program(main)
