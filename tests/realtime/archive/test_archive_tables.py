"""The tables and the page of an archive: every utterance once, types, and who reads them."""

import csv
import importlib.util
import io
import json
import re
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow.parquet
import pytest
from archive_folders import placed

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.archive import columns, index_page, tables
from gscon_live.realtime.archive.entries import Failed
from gscon_live.realtime.archive.store import Archive
from gscon_live.realtime.archive.views import read_events
from gscon_live.realtime.events.schema import UtteranceEvent


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Two recordings of one name, one of another, and a failure."""
    archive = Archive(tmp_path / "archive")
    archive.begin()
    placed(archive, "/talks/a.mkv", 1)
    placed(archive, "/other/a.mkv", 2)
    placed(archive, "/talks/b <script>.mkv", 3)
    archive.add(Failed(path="/talks/broken.mp4", reason="broken.mp4: no recording; give another"))
    return archive


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    assert {len(row) for row in table} == {len(table[0])}
    return [dict(zip(table[0], row, strict=True)) for row in table[1:]]


def test_every_utterance_is_a_row_with_all_that_is_known(archive: Archive) -> None:
    tables.write_tables(archive)
    table = rows(archive.out / "utterances.csv")
    events = {
        (path, event.utterance.id): event
        for path, entry in archive.done.items()
        for event in read_events(archive.results.path / entry.folder)
        if isinstance(event, UtteranceEvent)
    }
    assert len(table) == len(events) == 30
    for row in table:
        event = events.pop((row["path"], int(row["id"])))
        assert row["source"] == Path(row["path"]).name
        assert (archive.results.path / row["recording"]).is_dir()
        assert row["session"] == event.session
        assert row["text"] == event.utterance.text
        assert float(row["start"]) == event.utterance.start
        assert float(row["p_joy"]) == event.emotion.probabilities["joy"]
        visual = event.modalities.visual
        if visual.present:
            assert visual.probabilities is not None
            assert float(row["visual_joy"]) == visual.probabilities["joy"]
        else:
            assert (row["visual_joy"], row["visual_reason"]) == ("", "no face in view")
        assert row["model"] == "live 1.0"
    assert events == {}


def test_recordings_and_speakers_are_summed_up_from_their_utterances(archive: Archive) -> None:
    tables.write_tables(archive)
    utterances = pandas.read_csv(archive.out / "utterances.csv")
    recordings = {row["path"]: row for row in rows(archive.out / "recordings.csv")}
    assert len(recordings) == 4
    assert recordings["/talks/broken.mp4"]["state"] == "failed"
    assert recordings["/talks/broken.mp4"]["reason"] == "broken.mp4: no recording; give another"
    for path, own in utterances.groupby("path"):
        row = recordings[str(path)]
        assert row["state"] == "done"
        assert int(row["utterances"]) == len(own)
        assert int(row["n_joy"]) == (own.label == "joy").sum()
        assert int(row["without_visual"]) == (~own.visual_present).sum()
        assert float(row["confidence"]) == pytest.approx(own.confidence.mean(), abs=2e-4)
        assert row["notices"] == "a notice"
    speakers = rows(archive.out / "speakers.csv")
    for row in speakers:
        own = utterances[(utterances.path == row["path"]) & (utterances.speaker == row["speaker"])]
        assert int(row["utterances"]) == len(own) > 0
        assert float(row["p_anger"]) == pytest.approx(own.p_anger.mean(), abs=1e-4)
        assert float(row["speech"]) == pytest.approx((own.end - own.start).sum(), abs=1e-2)
    assert sum(int(row["utterances"]) for row in speakers) == len(utterances)


def test_parquet_has_the_rows_of_csv_with_their_types(archive: Archive) -> None:
    tables.write_tables(archive)
    for name in columns.TABLES:
        table = pyarrow.parquet.read_table(archive.out / f"{name}.parquet")
        kinds = {"text": "string", "number": "double", "integer": "int64", "boolean": "bool"}
        assert [str(field.type) for field in table.schema] == [
            kinds[columns.kind_of(name, column)] for column in columns.COLUMNS[name]
        ]
        expected = [
            {key: columns.typed(cell, columns.kind_of(name, key)) for key, cell in row.items()}
            for row in rows(archive.out / f"{name}.csv")
        ]
        assert table.to_pylist() == expected
        assert polars.read_parquet(archive.out / f"{name}.parquet").to_dicts() == expected


@pytest.mark.parametrize("name", columns.TABLES)
def test_a_strict_reader_of_csv_finds_whole_rows_of_the_same_values(
    archive: Archive, name: str
) -> None:
    # What R's `readr::read_csv` expects: UTF-8 without a mark, a header of names without spaces,
    # no ragged rows, quotes doubled, empty cells for what is missing, points in numbers.
    placed(archive, '/talks/a "quoted", naïve 😀.mkv', 4)
    tables.write_tables(archive)
    raw = (archive.out / f"{name}.csv").read_bytes()
    assert not raw.startswith(b"\xef\xbb\xbf")
    assert b"\x00" not in raw
    assert raw.endswith(b"\r\n")
    table = list(csv.reader(io.StringIO(raw.decode("utf-8"), newline=""), strict=True))
    assert {len(row) for row in table} == {len(table[0])}
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", column) for column in table[0])
    assert len(set(table[0])) == len(table[0])
    for row in table[1:]:
        for column, cell in zip(table[0], row, strict=True):
            kind = columns.kind_of(name, column)
            pattern = {"number": r"-?\d+(\.\d+)?(e-?\d+)?", "integer": r"\d+",
                       "boolean": "true|false"}.get(kind)  # fmt: skip
            assert pattern is None or not cell or re.fullmatch(pattern, cell), (column, cell)
    # DuckDB's strict reader, and its reader of Parquet.
    path = str(archive.out / name)
    strict = duckdb.sql(
        f"select * from read_csv('{path}.csv', header=true, all_varchar=true, strict_mode=true, "
        "null_padding=false, nullstr='<none>')"
    )
    assert strict.columns == table[0]
    assert [list(row) for row in strict.fetchall()] == table[1:]
    typed = pyarrow.parquet.read_table(f"{path}.parquet").to_pylist()
    parquet = duckdb.sql(f"select * from '{path}.parquet'")
    assert [dict(zip(table[0], row, strict=True)) for row in parquet.fetchall()] == typed
    assert polars.read_csv(f"{path}.csv", infer_schema=False).rows() == [
        tuple(cell or None for cell in row) for row in table[1:]
    ]


def test_without_pyarrow_there_is_no_parquet_not_an_old_one(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.write_tables(archive)
    assert (archive.out / "utterances.parquet").is_file()
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find(name)
    )
    paths = tables.write_tables(archive)
    assert [path.name for path in paths] == ["utterances.csv", "recordings.csv", "speakers.csv"]
    assert not list(archive.out.glob("*.parquet"))


def test_an_empty_archive_has_tables_with_a_header_alone(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    archive.begin()
    tables.write_tables(archive)
    assert rows(archive.out / "utterances.csv") == []
    assert pandas.read_parquet(archive.out / "utterances.parquet").empty


def test_the_index_lists_and_links_everything_and_escapes_names(archive: Archive) -> None:
    page = index_page.write_index(archive, tables.write_tables(archive)).read_text("utf-8")
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    listed = json.loads(data[1])
    assert {item["path"] for item in listed} == set(archive.done)
    for item in listed:
        assert (archive.out / item["report"]).is_file()
        assert (archive.out / item["events"]).is_file()
        assert sum(item["counts"]) == item["utterances"] == 10
        assert len(item["shape"]) == len(item["heights"])
        used = {EMOTIONS[int(sign)] for sign in item["shape"] if sign != "."}
        assert used <= {e for e, count in zip(EMOTIONS, item["counts"], strict=True) if count}
        assert used
    assert "<script>.mkv" not in page
    assert "broken.mp4: no recording; give another" in page
    for name in columns.TABLES:
        assert f'href="{name}.csv"' in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_the_index_is_in_the_order_of_people(archive: Archive) -> None:
    for number in (10, 2):
        placed(archive, f"/talks/a {number}.mkv", number)
    page = index_page.write_index(archive, []).read_text("utf-8")
    assert 0 < page.index('"a 2.mkv"') < page.index('"a 10.mkv"')
