"""`gscon-live report EVENTS.jsonl OUT.html`: a page to read in a browser, from a file of events."""

from collections.abc import Sequence
from pathlib import Path

from gscon_live.common import extras

extras.require("live", __name__)

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.common.files import write_output
from gscon_live.common.outputs import Outputs
from gscon_live.realtime.display import report_page
from gscon_live.realtime.display.report_data import sessions
from gscon_live.realtime.events import corrections
from gscon_live.realtime.events.event_files import read_events

EXAMPLES = """
gscon-live report session.jsonl session.html
gscon-live report session.jsonl session.html --media interview.mp4
gscon-live report session.jsonl session.html --figure session.svg
"""


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser(
        "gscon-live report",
        "Turns a file of events into one HTML page to look at. Several sessions stand one below "
        "the other.",
        EXAMPLES,
    )
    parser.add_argument("events", type=Path, metavar="EVENTS.jsonl", help="a file of events")
    parser.add_argument("out", type=Path, metavar="OUT.html", help="the page to write")
    parser.add_argument("--title", help="heading of the page (default: the name of the events)")
    parser.add_argument("--media", type=Path, metavar="RECORDING",
                        help="the page plays this file, from where it lies")  # fmt: skip
    parser.add_argument("--figure", type=Path, metavar="OUT.svg",
                        help="writes the session as a picture, too")  # fmt: skip
    parser.add_argument("--corrections", metavar="FILE|off", help=corrections.HELP)
    options = parser.parse_args(arguments)
    if options.media is not None and not options.media.is_file():
        raise InputError(f"--media {options.media}: no such file; give the recording")
    given, path = corrections.chosen(options.events, options.corrections)
    outputs = Outputs()
    outputs.reads(options.events, "the events")
    if path is not None:
        outputs.reads(path, "the corrections")
    if options.media is not None:
        outputs.reads(options.media, "--media")
    outputs.writes(options.out, "OUT.html", report_page.ours, report_page.ENDINGS)
    if options.figure is not None:
        outputs.writes(options.figure, "--figure", report_page.is_figure, (".svg",))
    outputs.check()
    events = read_events(options.events)
    if options.media is not None and (count := len(sessions(events))) > 1:
        raise InputError(
            f"--media {options.media}: {options.events} has {count} sessions, and it is the "
            "recording of one; choose the recordings on the page"
        )
    if options.figure is not None:
        picture = report_page.figure(corrections.corrected(events, given), options.events)
    media = [] if options.media is None else [report_page.address(options.media, options.out)]
    beside = report_page.Beside(given, corrections.path_for(options.events).name, media)
    report_page.write_report(events, options.out, options.title or options.events.stem, beside)
    print(options.out)
    if options.figure is not None:
        write_output(options.figure, picture.encode("utf-8", errors="replace"))
        print(options.figure)


if __name__ == "__main__":
    cli.program(main)
