"""Rows of comma-separated files, plain or gzipped, with errors that name file and line."""

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
    """A row; `line` is the line of the file on which it ends."""

    path: Path
    line: int
    cells: dict[str, str]

    def wrong(self, problem: str) -> InputError:
        """An error that names the file and the line."""
        return InputError(f"{self.path}, line {self.line}: {problem}")

    def words(self, column: str) -> str:
        """The text of a cell.

        Raises:
            InputError: it is empty.
        """
        cell = self.cells[column].strip()
        if not cell:
            raise self.wrong(f"column {column!r} is empty")
        return cell

    def one_of(self, column: str, names: Sequence[str]) -> str:
        """The text of a cell that must be one of `names`.

        Raises:
            InputError: it is not.
        """
        cell = self.words(column)
        if cell not in names:
            raise self.wrong(f"column {column!r} has {cell!r}, none of {', '.join(names)}")
        return cell

    def integer(self, column: str) -> int:
        """The non-negative integer in a cell.

        Raises:
            InputError: it holds anything else.
        """
        cell = self.words(column)
        if not cell.isdecimal() or len(cell) > 9:
            raise self.wrong(f"column {column!r} has {cell!r}, not a whole number")
        return int(cell)

    def number(self, column: str) -> float | None:
        """The number in a cell; None where the cell is empty.

        Raises:
            InputError: it holds something else, or NaN or an infinity.
        """
        cell = self.cells[column].strip()
        if not cell:
            return None
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(
                f"column {column!r} has {cell!r}, not a finite number; "
                "leave the cell empty where nothing was measured"
            )
        return value


def rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a file with a header; `.gz` files are decompressed.

    Raises:
        InputError: one of `columns` is missing, a row has too few or too many cells, or the file
            is not a CSV file in UTF-8.
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
