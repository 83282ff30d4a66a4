"""Tables: the names and kinds of their columns, and their files as CSV and Parquet.

CSV is UTF-8 with a header, line ends `\\r\\n`, and as many cells in every row. Numbers that are
missing are empty cells, and nulls in Parquet; texts that are missing are empty in both.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO

from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.realtime.events import sinks

Kind = Literal["text", "number", "integer", "boolean"]
Row = Sequence[Any]

#: The metadata of our Parquet files: the name of the table.
MARK = b"gscon.table"

#: The tables of an archive, by name; a file of each has the ending `.csv` or `.parquet`.
TABLES = ("utterances", "recordings", "speakers")
#: Those that an archive has only if it was asked for them, by which option.
OPTIONAL = {"seconds": "--details", "frames": "--details", "people": "--people"}

#: Columns that say of which recording a row is: its folder in the archive, and its file.
_WHERE = ("recording", "path")
#: Who speaks, the same in all recordings; empty where nobody asked for it.
_WHO = "person"
UTTERANCES = (*sinks.Csv.COLUMNS, *_WHERE, _WHO)
RECORDINGS = (
    *("path", "recording", "source", "session", "state", "reason", "duration", "utterances"),
    *("speakers", "speech", "confidence", "abstained", "gaps"),
    *(f"n_{emotion}" for emotion in EMOTIONS),
    *(f"without_{modality}" for modality in MODALITIES),
    *("has_audio", "has_video", "has_captions", "model", "notices"),
)
_SPOKEN = (
    *("utterances", "speech", "confidence", "abstained"),
    *(f"n_{emotion}" for emotion in EMOTIONS),
    *(f"p_{emotion}" for emotion in EMOTIONS),
)
SPEAKERS = ("path", "recording", "source", "speaker", *_SPOKEN, _WHO)
#: A row for each person: in how many recordings, as how many of their speakers.
PEOPLE = (_WHO, "recordings", "speakers", *_SPOKEN)
_EXPRESSION = tuple(f"face_{emotion}" for emotion in EMOTIONS)
#: A row for each second of a recording, as in the folder of its details.
SECONDS = (
    *("source", "second", "voice", "level", "pitch", "id", "speaker", "label"),
    *("pictures", "faces", "track", "x", "y", "width", "height", "mouth"),
    *_EXPRESSION,
)
#: A row for each face in each picture, and one for each picture without a face.
FRAMES = (
    *("source", "time", "picture_width", "picture_height", "faces", "track"),
    *("x", "y", "width", "height", "mouth"),
    *_EXPRESSION,
)
COLUMNS = {
    "utterances": UTTERANCES,
    "recordings": RECORDINGS,
    "speakers": SPEAKERS,
    "seconds": (*SECONDS, *_WHERE),
    "frames": (*FRAMES, *_WHERE),
    "people": PEOPLE,
}

_INTEGERS = {
    *("id", "utterances", "recordings", "speakers", "gaps", "second", "pictures", "track"),
    *("picture_width", "picture_height"),
}
_NUMBERS = {
    *("start", "end", "confidence", "duration", "speech", "time", "voice", "level", "pitch"),
    "overlap",
    *("x", "y", "width", "height", "mouth", "faces"),
}
#: Rows of a group in a Parquet file.
_GROUP = 50_000


def kind_of(table: str, column: str) -> Kind:
    """What the cells of a column are."""
    head, _, tail = column.partition("_")
    if column.endswith("_present") or head == "has":
        return "boolean"
    if column == "abstained":
        return "boolean" if table == "utterances" else "integer"
    if column in _INTEGERS or (head == "n" and tail in EMOTIONS) or head == "without":
        return "integer"
    if column in _NUMBERS or tail in EMOTIONS:
        return "number"
    return "text"


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Writes a table as CSV."""
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def read_csv(path: Path) -> Iterator[Row]:
    """The rows of a table in a CSV file, without its header; all cells are texts."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv_rows(file)


def csv_rows(text: TextIO) -> Iterator[Row]:
    """The rows of a table in an open text, without its header."""
    rows = csv.reader(text)
    next(rows, None)
    yield from rows


def write_parquet(
    path: Path | BinaryIO, table: str, columns: Sequence[str], rows: Iterable[Row]
) -> None:
    """Writes a table as Parquet, in groups of rows, so that its size does not matter. Needs the
    library pyarrow.

    Args:
        path: the file, or an open one.
        table: its name in `TABLES`.
        columns: the names of its columns.
        rows: its rows, all cells as texts.
    """
    import pyarrow
    import pyarrow.parquet

    kinds = [kind_of(table, column) for column in columns]
    types = {
        "text": pyarrow.string(),
        "number": pyarrow.float64(),
        "integer": pyarrow.int64(),
        "boolean": pyarrow.bool_(),
    }
    schema = pyarrow.schema(
        [pyarrow.field(name, types[kind]) for name, kind in zip(columns, kinds, strict=True)],
        metadata={MARK: table.encode()},
    )
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for group in _groups(rows):
            cells = [[typed(row[place], kind) for row in group] for place, kind in enumerate(kinds)]
            writer.write_table(pyarrow.table(cells, schema=schema))


def typed(cell: str, kind: Kind) -> Any:
    """The value of a cell; None where a number is missing."""
    if kind == "text":
        return cell
    if not cell:
        return None
    if kind == "boolean":
        return cell == "true"
    return int(cell) if kind == "integer" else float(cell)


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    for row in rows:
        group.append(row)
        if len(group) == _GROUP:
            yield group
            group = []
    if group:
        yield group
