"""`read`: the tables of an archive, or of a file of events, as a data frame."""

import importlib.util
import io
import os
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, overload

from gscon_live.common.errors import InputError
from gscon_live.common.extras import MissingExtra
from gscon_live.realtime.archive import columns
from gscon_live.realtime.events import sinks
from gscon_live.realtime.events.corrections import beside, corrected
from gscon_live.realtime.events.event_files import read_events

if TYPE_CHECKING:
    import pandas
    import polars

Library = Literal["pandas", "polars"]


@overload
def read(
    path: str | os.PathLike[str], table: str = ..., library: Literal["pandas"] = ...
) -> "pandas.DataFrame": ...
@overload
def read(
    path: str | os.PathLike[str], table: str = ..., *, library: Literal["polars"]
) -> "polars.DataFrame": ...
def read(
    path: str | os.PathLike[str], table: str = "utterances", library: Library = "pandas"
) -> Any:
    """A table as a data frame, with numbers, whole numbers, booleans and texts as such.

    Args:
        path: an archive's folder, or a file of events, which has the table `utterances` alone.
        table: `utterances`, `recordings` or `speakers`; of an archive with details also `seconds`
            or `frames`, of one with people also `people`.
        library: "pandas" or "polars".

    Raises:
        InputError: there is no such archive, file or table, or the library is not installed.
    """
    if table not in columns.COLUMNS:
        raise InputError(f"table {table!r}: unknown; give one of {', '.join(columns.COLUMNS)}")
    if library not in ("pandas", "polars"):
        raise InputError(f"library {library!r}: unknown; give pandas or polars")
    _require(library)
    place = Path(path)
    if place.is_file():
        if table != "utterances":
            raise InputError(f"{place}: events have the table utterances alone; give an archive")
        return _from_csv(library, table, sinks.Csv.COLUMNS, _table_of(place))
    parquet, text = place / f"{table}.parquet", place / f"{table}.csv"
    if not text.is_file():
        option = columns.OPTIONAL.get(table)
        raise InputError(
            f"{place}: no archive with a table {table}; make one with gscon-live archive --out "
            f"DIR{'' if option is None else f' {option}'}"
        )
    # What was written last holds: a run without pyarrow leaves no Parquet.
    if parquet.is_file() and (library == "polars" or importlib.util.find_spec("pyarrow")):
        return _from_parquet(library, table, parquet)
    with text.open("rb") as file:
        return _from_csv(library, table, columns.COLUMNS[table], file)


def _require(library: str) -> None:
    if importlib.util.find_spec(library) is None:
        remedy = (
            "pip install polars" if library == "polars" else "pip install 'gscon-live[archive]'"
        )
        raise MissingExtra(f"this needs {library}, which is not installed; run {remedy}")


def _table_of(events: Path) -> IO[bytes]:
    text = io.StringIO(newline="")
    with closing(sinks.Csv(text)) as table:
        for event in corrected(read_events(events), beside(events)):
            table.write(event)
    return io.BytesIO(text.getvalue().encode("utf-8", errors="replace"))


def _from_parquet(library: Library, table: str, path: Path) -> Any:
    if library == "polars":
        import polars

        return polars.read_parquet(path)
    import pandas

    return _same_types(pandas.read_parquet(path), table)


def _from_csv(library: Library, table: str, names: tuple[str, ...], file: IO[bytes]) -> Any:
    kinds = {name: columns.kind_of(table, name) for name in names}
    if library == "polars":
        import polars

        types = {
            "text": polars.String,
            "number": polars.Float64,
            "integer": polars.Int64,
            "boolean": polars.Boolean,
        }
        frame = polars.read_csv(file, schema={name: types[kind] for name, kind in kinds.items()})
        return frame.with_columns(polars.col(polars.String).fill_null(""))
    import pandas

    # An utterance may consist of the word "NA", which pandas would take for a missing value.
    frame = pandas.read_csv(
        file,
        dtype={name: "str" for name, kind in kinds.items() if kind == "text"},
        keep_default_na=False,
        na_values={name: [""] for name, kind in kinds.items() if kind != "text"},
    )
    return _same_types(frame, table)


def _same_types(frame: "pandas.DataFrame", table: str) -> "pandas.DataFrame":
    """The same types however a table was stored, also where values are missing."""
    types = {"text": "str", "number": "float64", "integer": "int64", "boolean": "bool"}
    with_missing = {"integer": "Int64", "boolean": "boolean"}
    wanted = {}
    for name in frame.columns:
        kind = columns.kind_of(table, str(name))
        missing = bool(frame[name].isna().any()) or frame[name].empty
        wanted[name] = with_missing.get(kind, types[kind]) if missing else types[kind]
    return frame.astype(wanted)
