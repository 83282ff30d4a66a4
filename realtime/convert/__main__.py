"""`gscon-live convert EVENTS.jsonl --to FORMAT`: events as tables, captions, annotations."""

import sys
from collections.abc import Sequence
from pathlib import Path

from gscon_live.common import cli
from gscon_live.common.files import write_output
from gscon_live.common.outputs import Outputs
from gscon_live.realtime.convert import label_studio_export
from gscon_live.realtime.convert.formats import FORMATS, Request, format_of
from gscon_live.realtime.convert.label_studio_export import Exported
from gscon_live.realtime.events import corrections
from gscon_live.realtime.events.event_files import read_events

EXAMPLES = """
gscon-live convert out.jsonl --to eaf --media interview.mp4
gscon-live convert out.jsonl --to TextGrid --out interview.TextGrid
gscon-live convert out.jsonl --to parquet
gscon-live convert project-1.json --to corrections --out archive/corrections.json
"""

#: Not of events, but of what people corrected.
CORRECTIONS = "corrections"


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit code."""
    parser = cli.parser(
        "gscon-live convert",
        "Converts a file of events: "
        + "; ".join(f"{name}: {kind.summary}" for name, kind in FORMATS.items())
        + f". What people corrected in Label Studio or on a report becomes {CORRECTIONS}.",
        EXAMPLES,
    )
    parser.add_argument(
        "events",
        type=Path,
        metavar="EVENTS.jsonl|EXPORT.json",
        help=f"a file of events; for {CORRECTIONS}, an export of Label Studio, or a file "
        f"*{corrections.ENDING} that a report has saved",
    )
    parser.add_argument("--to", required=True, choices=[*FORMATS, CORRECTIONS], help="the format")
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
    if chosen.to == CORRECTIONS:
        return _write_corrections(chosen.events, chosen.out)
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


def _write_corrections(export: Path, chosen: Path | None) -> int:
    """Writes what people have corrected; adds it to a file of corrections that is there."""
    if export.name.endswith(corrections.ENDING):
        exported = Exported(corrections.read(export), 0)
    else:
        exported = label_studio_export.read(export)
    out = chosen or export.with_suffix(corrections.ENDING)
    outputs = Outputs()
    outputs.reads(export, "the export")
    outputs.writes(out, "--out", lambda head: corrections.SCHEMA.encode() in head)
    outputs.check()
    before = corrections.read(out) if out.exists() else corrections.Corrections()
    write_output(out, corrections.encode(before.joined(exported.corrections)))
    print(out)
    if exported.left_out:
        print(
            f"{exported.left_out} regions belong to no utterance and are left out",
            file=sys.stderr,
        )
    return cli.OK


if __name__ == "__main__":
    cli.program(main)
