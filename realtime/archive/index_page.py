"""The index page of an archive: one HTML page that loads nothing from the network."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gscon_live.common.files import write_output
from gscon_live.common.templates import rendered
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.realtime.archive.entries import Entry
from gscon_live.realtime.archive.store import EVENTS, RECORDINGS, REPORT, Archive
from gscon_live.realtime.archive.voices import Speaker
from gscon_live.realtime.display import report_page

INDEX = "index.html"

_TEMPLATE = Path(report_page.__file__).parent / "archive_index.html.j2"
#: How the page names the modalities that are missing.
_MISSING = dict(zip(MODALITIES, ("words", "voice", "face"), strict=True))


def write_index(
    archive: Archive, tables: list[Path], who: Mapping[Speaker, str] | None = None
) -> Path:
    """Writes the page, and returns its path.

    Args:
        archive: what it is about.
        tables: the files of its tables, to link to.
        who: the people behind the speakers; None: nobody was looked for.

    Raises:
        Failure: it cannot be written; what was there before is left as it was.
    """
    entries = sorted(archive.done.values(), key=lambda entry: _natural(entry.facts.name))
    failures = sorted(archive.failed.values(), key=lambda failure: failure.path)
    seconds = sum(entry.summary.duration for entry in entries)
    page = rendered(
        _TEMPLATE,
        title=archive.out.resolve().name or "Archive",
        emotions=EMOTIONS,
        facts=[
            ("Recordings", f"{len(entries):,}"),
            ("Hours", f"{seconds / 3600:.1f}"),
            ("Utterances", f"{sum(entry.summary.utterances for entry in entries):,}"),
            ("Failed", f"{len(failures):,}"),
        ],
        tables=[path.name for path in tables],
        failures=failures,
        people=bool(who),
        recordings=[_row(entry, who or {}) for entry in entries],
    )
    path = archive.out / INDEX
    # UTF-8 cannot encode a lone surrogate: it becomes a question mark.
    write_output(path, page.encode("utf-8", errors="replace"))
    return path


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts names as people do: `interview 2` comes before `interview 10`."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _row(entry: Entry, who: Mapping[Speaker, str]) -> dict[str, Any]:
    """A recording for the script of the page; the names are short, since there may be many."""
    summary = entry.summary
    folder = f"{RECORDINGS}/{entry.folder}"
    notes = [
        f"{count} of {summary.utterances} without {_MISSING[modality]}"
        for modality, count in summary.missing.items()
        if count
    ]
    if summary.gaps:
        notes.append(f"{summary.gaps} {'gap' if summary.gaps == 1 else 'gaps'}")
    return {
        "name": entry.facts.name,
        "path": entry.path,
        "report": f"{folder}/{REPORT}",
        "events": f"{folder}/{EVENTS}",
        "seconds": round(summary.duration, 1),
        "utterances": summary.utterances,
        "speakers": [_named(name, who.get((entry.folder, name))) for name in summary.speakers],
        "counts": [
            sum(voice.labels.get(emotion, 0) for voice in summary.speakers.values())
            for emotion in EMOTIONS
        ],
        "shape": summary.shape,
        "heights": summary.heights,
        "notes": notes,
    }


def _named(speaker: str, person: str | None) -> str:
    return speaker if person is None else f"{speaker} = {person}"
