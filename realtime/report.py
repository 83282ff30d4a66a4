"""`gscon-live report EVENTS.jsonl OUT.html`: a page to read in a browser, from a file of events."""

from collections.abc import Sequence
from pathlib import Path

from gscon_live.common import extras

extras.require("live", __name__)

from gscon_live.common import cli
from gscon_live.common.outputs import Outputs
from gscon_live.realtime.display import report_page
from gscon_live.realtime.events.event_files import read_events


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser(
        "gscon-live report",
        "Turns a file of events into one HTML page to look at. Several sessions stand one below "
        "the other.",
        """
        gscon-live report session.jsonl session.html
        """,
    )
    parser.add_argument("events", type=Path, metavar="EVENTS.jsonl", help="a file of events")
    parser.add_argument("out", type=Path, metavar="OUT.html", help="the page to write")
    parser.add_argument("--title", help="heading of the page (default: the name of the events)")
    options = parser.parse_args(arguments)
    outputs = Outputs()
    outputs.reads(options.events, "the events")
    outputs.writes(options.out, "OUT.html", report_page.ours, report_page.ENDINGS)
    outputs.check()
    report_page.write_report(
        read_events(options.events), options.out, options.title or options.events.stem
    )
    print(options.out)


if __name__ == "__main__":
    cli.program(main)
