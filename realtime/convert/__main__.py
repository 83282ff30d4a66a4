"""`gscon-live convert EVENTS.jsonl --to FORMAT`: events as tables, captions, annotations."""

from collections.abc import Sequence
from pathlib import Path

from gscon_live.common import cli
from gscon_live.common.files import write_output
from gscon_live.common.outputs import Outputs
from gscon_live.realtime.convert.formats import FORMATS, Request, format_of
from gscon_live.realtime.events import corrections
from gscon_live.realtime.events.event_files import read_events

EXAMPLES = """
gscon-live convert out.jsonl --to eaf --media interview.mp4
gscon-live convert out.jsonl --to TextGrid --out interview.TextGrid
gscon-live convert out.jsonl --to parquet
"""


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit code."""
    parser = cli.parser(
        "gscon-live convert",
        "Converts a file of events: "
        + "; ".join(f"{name}: {kind.summary}" for name, kind in FORMATS.items())
        + ".",
        EXAMPLES,
    )
    parser.add_argument("events", type=Path, metavar="EVENTS.jsonl", help="a file of events")
    parser.add_argument("--to", required=True, choices=list(FORMATS), help="the format")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where to write (default: beside the events, with the format's ending)",
    )
    parser.add_argument(
        "--media", metavar="PATH|URL", help="the recording, for eaf and label-studio"
    )
    parser.add_argument("--corrections", metavar="FILE|off", help=corrections.HELP)
    chosen = parser.parse_args(arguments)
    kind = format_of(chosen.to)
    kind.check()
    out: Path = chosen.out or chosen.events.with_suffix(kind.ending)
    given, path = corrections.chosen(chosen.events, chosen.corrections)
    outputs = Outputs()
    outputs.reads(chosen.events, "the events")
    if path is not None:
        outputs.reads(path, "the corrections")
    if chosen.media is not None:
        outputs.reads(chosen.media, "the recording")
    outputs.writes(out, "--out", lambda head: kind.ours(out, head))
    outputs.check()
    events = read_events(chosen.events)
    corrected = list(corrections.corrected(events, given))
    request = Request(chosen.events, corrected, chosen.media, events, given)
    write_output(out, kind.write(request))
    print(out)
    return cli.OK


if __name__ == "__main__":
    cli.program(main)
