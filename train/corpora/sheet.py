"""Rows of comma-separated files, plain or gzipped, with errors that say where."""

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gscon_live.common.errors import InputError


@dataclass(frozen=True)
class Row:
    """One row; `line` is the line of the file on which it ends."""

    path: Path
    line: int
    cells: dict[str, str]

    def wrong(self, what: str) -> InputError:
        """The error that this row is."""
        return InputError(f"{self.path}, line {self.line}: {what}")

    def words(self, column: str) -> str:
        """The text of a cell.

        Raises:
            InputError: it is empty.
        """
        found = self.cells[column].strip()
        if not found:
            raise self.wrong(f"column {column!r} is empty")
        return found

    def one_of(self, column: str, names: Sequence[str]) -> str:
        """The text of a cell that holds one of some names.

        Raises:
            InputError: it holds another.
        """
        found = self.words(column)
        if found not in names:
            raise self.wrong(f"column {column!r} has {found!r}, none of {', '.join(names)}")
        return found

    def whole(self, column: str) -> int:
        """The whole number in a cell.

        Raises:
            InputError: it holds something else.
        """
        found = self.words(column)
        if not found.isdecimal() or len(found) > 9:
            raise self.wrong(f"column {column!r} has {found!r}, not a whole number")
        return int(found)

    def number(self, column: str) -> float | None:
        """The number in a cell; None where the cell is empty.

        Raises:
            InputError: it holds something else, or NaN or an infinity.
        """
        found = self.cells[column].strip()
        if not found:
            return None
        try:
            value = float(found)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(
                f"column {column!r} has {found!r}, not a finite number; "
                "leave the cell empty where nothing was measured"
            )
        return value


def rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a file with a header; a name that ends in `.gz` is read as gzip.

    Raises:
        InputError: one of `columns` is missing, a row has too few or too many cells, or the file
            is no such text.
    """
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig", newline="")
        ) as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            for column in columns:
                if header.count(column) != 1:
                    count = "no" if column not in header else "more than one"
                    raise InputError(
                        f"{path}: {count} column {column!r}; the header has {', '.join(header)}"
                    )
            for cells in reader:
                if not cells:
                    continue
                row = Row(path, reader.line_num, dict(zip(header, cells, strict=False)))
                if len(cells) != len(header):
                    raise row.wrong(f"{len(cells)} cells; the header has {len(header)}")
                yield row
    except (OSError, EOFError, UnicodeError, csv.Error, zlib.error) as error:
        raise InputError(f"{path}: not a comma-separated UTF-8 file: {error}") from error
