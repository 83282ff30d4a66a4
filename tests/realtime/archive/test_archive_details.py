"""Tables of every second and every picture: what was heard and seen, and nothing else changes."""

import csv
import math
from pathlib import Path

import duckdb
import numpy as np
import pandas
import polars
import pytest
from sessions import cut, settings

import gscon_live
from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.archive import tables
from gscon_live.realtime.archive.build import work_to_do
from gscon_live.realtime.archive.details import Details
from gscon_live.realtime.archive.entries import Entry
from gscon_live.realtime.archive.inputs import Inputs
from gscon_live.realtime.archive.keys import Keys
from gscon_live.realtime.archive.station import Recipe, Station
from gscon_live.realtime.archive.store import EVENTS, Archive, details_name
from gscon_live.realtime.archive.views import read_events
from gscon_live.realtime.events.schema import UtteranceEvent
from gscon_live.realtime.pipeline import messages

SECONDS = 5.0


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    assert {len(row) for row in table} == {len(table[0])}
    return [dict(zip(table[0], row, strict=True)) for row in table[1:]]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """The start of the sample, done without details, and then with them."""
    folder = tmp_path_factory.mktemp("details")
    path = str(cut(folder / "talk.mkv", SECONDS))
    archive = Archive(folder / "archive")
    archive.begin(details=True)
    recipe = Recipe(settings=settings(), captions="auto", out=str(archive.out))
    entry = Station(recipe).do(path, lambda share: None)
    assert isinstance(entry, Entry)
    archive.add(entry)
    events = archive.results.path / entry.folder / EVENTS
    before = events.stat().st_mtime_ns
    detailed = Recipe(settings=settings(), captions="auto", out=str(archive.out), details=True)
    keys = Keys(recipe.settings, "auto")
    assert list(work_to_do(archive, Inputs([path], []), recipe, keys).sizes) == []
    assert list(work_to_do(archive, Inputs([path], []), detailed, keys).sizes) == [path]
    tables.write_tables(archive)
    assert not list(archive.out.glob("seconds.*"))
    again = Station(detailed).do(path, lambda share: None)
    assert again == entry
    assert events.stat().st_mtime_ns == before
    assert list(work_to_do(archive, Inputs([path], []), detailed, keys).sizes) == []
    assert not list(archive.details.path.glob(".unfinished-*"))
    tables.write_tables(archive)
    return archive


def test_a_second_has_its_voice_its_utterance_and_its_face(archive: Archive) -> None:
    table = rows(archive.out / "seconds.csv")
    assert [int(row["second"]) for row in table] == list(range(len(table)))
    (entry,) = archive.done.values()
    assert len(table) == math.ceil(entry.facts.duration)
    events = read_events(archive.results.path / entry.folder)
    utterances = [event for event in events if isinstance(event, UtteranceEvent)]
    # The first utterance takes the second second whole, and nobody speaks in the first.
    first = utterances[0]
    assert first.utterance.start <= 1.0 < 2.0 <= first.utterance.end
    assert (table[0]["speaker"], float(table[0]["voice"])) == ("", pytest.approx(0.0, abs=0.2))
    assert table[1]["speaker"] == first.utterance.speaker
    assert (int(table[1]["id"]), table[1]["label"]) == (first.utterance.id, first.emotion.label)
    assert float(table[1]["voice"]) > 0.7
    assert 65 <= float(table[1]["pitch"]) <= 500
    assert float(table[1]["level"]) > float(table[0]["level"]) + 10
    for row in table:
        assert (row["source"], row["recording"]) == ("talk.mkv", entry.folder)
        if row["track"]:
            shares = [float(row[f"face_{emotion}"]) for emotion in EMOTIONS]
            assert sum(shares) == pytest.approx(1.0, abs=1e-3)
    assert any(row["track"] for row in table)


def test_a_picture_has_its_faces_inside_it(archive: Archive) -> None:
    table = rows(archive.out / "frames.csv")
    times = [float(row["time"]) for row in table]
    assert times == sorted(times)
    # Ten pictures a second are looked at.
    assert len(set(times)) == pytest.approx(10 * SECONDS, abs=2)
    seen = [row for row in table if row["track"]]
    assert seen
    for row in seen:
        x, y, width, height = (int(row[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x < x + width <= int(row["picture_width"])
        assert 0 <= y < y + height <= int(row["picture_height"])
        assert sum(float(row[f"face_{e}"]) for e in EMOTIONS) == pytest.approx(1.0, abs=1e-3)
    for row in table:
        assert (row["faces"] == "0") == (row["track"] == "")
    per_second = rows(archive.out / "seconds.csv")
    for second in per_second:
        own = [row for row in table if int(float(row["time"])) == int(second["second"])]
        assert len({row["time"] for row in own}) == int(second["pictures"])


@pytest.mark.parametrize("name", ["seconds", "frames"])
def test_all_libraries_read_the_same(archive: Archive, name: str) -> None:
    expected = rows(archive.out / f"{name}.csv")
    parquet = str(archive.out / f"{name}.parquet")
    in_pandas = pandas.read_parquet(parquet)
    in_polars = polars.read_parquet(parquet)
    in_duckdb = duckdb.sql(f"select * from '{parquet}'")
    assert len(in_pandas) == len(in_polars) == len(in_duckdb) == len(expected)
    assert list(in_pandas.columns) == in_polars.columns == in_duckdb.columns == list(expected[0])
    column = "level" if name == "seconds" else "time"
    values = [float(row[column]) for row in expected]
    assert list(in_pandas[column]) == in_polars[column].to_list() == values
    assert [row[0] for row in duckdb.sql(f"select {column} from '{parquet}'").fetchall()] == values
    assert len(gscon_live.read(archive.out, name)) == len(expected)
    assert (archive.details.path / details_name(next(iter(archive.done.values())).folder)).is_dir()


def test_level_and_lost_sound_are_measured(tmp_path: Path) -> None:
    details = Details(tmp_path, "tone.wav")
    tone = 0.1 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)
    for start in range(0, 16_000, 320):
        block = tone[start : start + 320].astype("<f4")
        details.take(messages.AudioChunk(start / 16_000, block.tobytes()))
    # Two seconds are lost; half a second follows.
    details.take(messages.AudioChunk(3.0, tone[:8000].astype("<f4").tobytes()))
    details.write([])
    table = rows(tmp_path / "seconds.csv")
    # An amplitude of 0.1 has an RMS of 0.1 / sqrt(2), which is 23 dB below full scale.
    assert [float(row["level"]) for row in table] == [-23.0, -100.0, -100.0, -23.0]
    assert [row["speaker"] for row in table] == [""] * 4
    assert rows(tmp_path / "frames.csv") == []
