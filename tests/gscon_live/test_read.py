"""`gscon_live.read`: the tables of an archive as data frames, the same however they are stored."""

import importlib.util
from contextlib import closing
from pathlib import Path

import pandas
import pandas.testing
import polars
import polars.testing
import pytest
from archive_folders import placed
from made_events import conversation

import gscon_live
from gscon_live.common.errors import InputError
from gscon_live.realtime.archive import tables
from gscon_live.realtime.archive.columns import TABLES
from gscon_live.realtime.archive.entries import Failed
from gscon_live.realtime.archive.store import Archive
from gscon_live.realtime.events import sinks


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    archive = Archive(tmp_path / "archive")
    archive.begin()
    placed(archive, "/talks/a.mkv", 1)
    placed(archive, "/talks/NA.mkv", 2)
    archive.add(Failed(path="/talks/null", reason="null"))
    tables.write_tables(archive)
    return archive.out


def test_a_table_is_a_data_frame_with_types(archive: Path) -> None:
    frame = gscon_live.read(archive)
    assert len(frame) == 20
    assert frame.id.dtype == "int64"
    assert frame.abstained.dtype == "bool"
    assert frame.visual_joy.dtype == "float64"
    assert frame.visual_joy.isna().sum() == (~frame.visual_present).sum() > 0
    # No text is missing, and no text counts as missing.
    assert not frame[["text", "source", "visual_reason"]].isna().any().any()
    assert set(frame.source) == {"a.mkv", "NA.mkv"}
    assert frame.groupby("source").p_joy.mean().between(0, 1).all()
    recordings = gscon_live.read(archive, "recordings")
    assert list(recordings.state) == ["done", "done", "failed"]
    assert recordings.utterances.sum() == 20
    assert pandas.isna(recordings.utterances.iloc[2])
    assert set(gscon_live.read(archive, "speakers").speaker) == {"Ada", "Ben"}


def test_csv_and_parquet_give_the_same(archive: Path) -> None:
    with_parquet = [gscon_live.read(archive, name) for name in TABLES]
    in_polars = [gscon_live.read(archive, name, library="polars") for name in TABLES]
    for path in archive.glob("*.parquet"):
        path.unlink()
    for name, frame, other in zip(TABLES, with_parquet, in_polars, strict=True):
        pandas.testing.assert_frame_equal(gscon_live.read(archive, name), frame)
        polars.testing.assert_frame_equal(gscon_live.read(archive, name, library="polars"), other)


def test_a_file_of_events_is_a_table_too(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    with closing(sinks.JsonLines(path)) as lines:
        for event in conversation(10):
            lines.write(event)
    frame = gscon_live.read(path)
    assert len(frame) == 10
    assert frame.p_joy.dtype == "float64"
    assert gscon_live.read(path, library="polars").height == 10
    with pytest.raises(InputError, match="give an archive"):
        gscon_live.read(path, "speakers")


@pytest.mark.parametrize(
    ("table", "library", "told"),
    [("utterances", "pandas", "no archive with a table utterances"), ("words", "pandas", "unknown"),
     ("utterances", "R", "give pandas or polars")],
)  # fmt: skip
def test_what_is_not_there_is_told_in_one_line(
    table: str, library: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        gscon_live.read(tmp_path, table, library=library)  # type: ignore[call-overload]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("library", "remedy"), [("pandas", "gscon-live[archive]"), ("polars", "pip install polars")]
)
def test_a_library_that_is_missing_is_named_with_its_remedy(
    library: str, remedy: str, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == library else find(name)
    )
    with pytest.raises(InputError) as caught:
        gscon_live.read(archive, library=library)  # type: ignore[call-overload]
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)
