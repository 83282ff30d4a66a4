"""`gscon-live convert EVENTS.jsonl --to FORMAT`: events as tables, captions, annotations."""

import sys
from collections.abc import Sequence
from pathlib import Path

from gscon_live.common import cli
from gscon_live.common.files import write_output
from gscon_live.common.outputs import Outputs
from gscon_live.realtime.convert import label_studio_export
from gscon_live.realtime.convert.formats import FORMATS, Request, format_of
from gscon_live.realtime.events import corrections
from gscon_live.realtime.events.event_files import read_events

EXAMPLES = """
gscon-live convert out.jsonl --to eaf --media interview.mp4
gscon-live convert out.jsonl --to TextGrid --out interview.TextGrid
gscon-live convert out.jsonl --to parquet
gscon-live convert project-1.json --to corrections --out archive/corrections.json
"""

#: Not of events, but of an export of Label Studio.
CORRECTIONS = "corrections"


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit code."""
    parser = cli.parser(
        "gscon-live convert",
        "Converts a file of events: "
        + "; ".join(f"{name}: {kind.summary}" for name, kind in FORMATS.items())
        + f". An export of Label Studio becomes {CORRECTIONS}.",
        EXAMPLES,
    )
    parser.add_argument(
        "events",
        type=Path,
        metavar="EVENTS.jsonl|EXPORT.json",
        help=f"a file of events; for {CORRECTIONS}, an export of Label Studio",
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
    chosen = parser.parse_args(arguments)
    if chosen.to == CORRECTIONS:
        return _write_corrections(chosen.events, chosen.out)
    kind = format_of(chosen.to)
    kind.check()
    out: Path = chosen.out or chosen.events.with_suffix(kind.ending)
    outputs = Outputs()
    outputs.reads(chosen.events, "the events")
    if chosen.media is not None:
        outputs.reads(chosen.media, "the recording")
    outputs.writes(out, "--out", lambda head: kind.ours(out, head))
    outputs.check()
    request = Request(chosen.events, read_events(chosen.events), chosen.media)
    write_output(out, kind.write(request))
    print(out)
    return cli.OK


def _write_corrections(export: Path, chosen: Path | None) -> int:
    """Writes what people have corrected; adds it to a file of corrections that is there."""
    exported = label_studio_export.read(export)
    out = chosen or export.with_suffix(".corrections.json")
    outputs = Outputs()
    outputs.reads(export, "the export")
    outputs.writes(out, "--out", lambda head: corrections.FORMAT.encode() in head)
    outputs.check()
    before = corrections.read(out) if out.exists() else corrections.Corrections()
    write_output(out, before.joined(exported.corrections).encoded())
    print(out)
    if exported.left_out:
        print(
            f"{exported.left_out} regions belong to no utterance and are left out",
            file=sys.stderr,
        )
    return cli.OK


if __name__ == "__main__":
    cli.program(main)
