"""The same person over the recordings of an archive: asked for, kept in it, and in its tables."""

import stat

import pandas
import pytest
from sessions import settings
from spoken import needs_librispeech, readers, record

import gscon_live
from gscon_live.common.errors import InputError
from gscon_live.realtime.archive import index_page, tables
from gscon_live.realtime.archive.build import work_to_do
from gscon_live.realtime.archive.columns import OPTIONAL
from gscon_live.realtime.archive.entries import Entry
from gscon_live.realtime.archive.inputs import Inputs
from gscon_live.realtime.archive.keys import Keys
from gscon_live.realtime.archive.station import Recipe, Station
from gscon_live.realtime.archive.store import EVENTS, VOICES_FILE, Archive, voices_name
from gscon_live.realtime.archive.voices import people

pytestmark = needs_librispeech


def recipe(archive: Archive, people: bool) -> Recipe:
    without = settings("transcription.transcriber=off")
    return Recipe(settings=without, captions="off", out=str(archive.out), people=people)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Two recordings each of two readers, done without `--people`, and then with it."""
    folder = tmp_path_factory.mktemp("people")
    first, second = readers()[:2]
    paths = [
        str(record(folder / "1.wav", (first, slice(0, 5)))),
        str(record(folder / "2.wav", (second, slice(0, 5)))),
        str(record(folder / "3.wav", (second, slice(5, 10)))),
        str(record(folder / "4.wav", (first, slice(5, 10)))),
    ]
    archive = Archive(folder / "archive")
    archive.begin(voices=True)
    for with_people in (False, True):
        asked = recipe(archive, with_people)
        keys, inputs = Keys(asked.settings, "off"), Inputs(paths, [])
        assert set(work_to_do(archive, inputs, asked, keys).sizes) == set(paths)
        for path in paths:
            entry = Station(asked).do(path, lambda share: None)
            assert isinstance(entry, Entry)
            assert archive.done.get(path, entry) == entry, "asking for people changes no result"
            archive.add(entry)
        assert not work_to_do(archive, inputs, asked, keys).sizes
        if not with_people:
            assert people(archive) == {}
    return archive


def longest(table: pandas.DataFrame) -> list[str]:
    """The person of each recording's speaker who speaks longest, in the order of the recordings."""
    chosen = table.sort_values("speech").groupby("source").last()
    return list(chosen.sort_index()["person"])


def test_readers_are_found_again_in_other_recordings(archive: Archive) -> None:
    who = people(archive)
    tables.write_tables(archive, who)
    speakers = gscon_live.read(archive.out, "speakers")
    one, two, three, four = longest(speakers)
    assert (one, two) == (four, three)
    assert one != two
    utterances = gscon_live.read(archive.out, "utterances")
    assert set(utterances["person"]) == set(who.values())
    for _, row in speakers.iterrows():
        own = utterances[
            (utterances["recording"] == row["recording"])
            & (utterances["speaker"] == row["speaker"])
        ]
        assert set(own["person"]) == {row["person"]}


def test_a_person_has_a_row_with_all_that_was_said(archive: Archive) -> None:
    tables.write_tables(archive, people(archive))
    speakers, table = (gscon_live.read(archive.out, name) for name in ("speakers", "people"))
    assert list(table["person"]) == [f"P{number + 1}" for number in range(len(table))]
    for _, row in table.iterrows():
        own = speakers[speakers["person"] == row["person"]]
        assert row["speakers"] == len(own)
        assert row["recordings"] == own["recording"].nunique()
        assert row["utterances"] == own["utterances"].sum()
        assert row["speech"] == pytest.approx(own["speech"].sum(), abs=1e-3)
        weighted = (own["p_joy"] * own["utterances"]).sum() / own["utterances"].sum()
        assert row["p_joy"] == pytest.approx(weighted, abs=1e-4)


def test_the_index_page_says_who_a_speaker_is(archive: Archive) -> None:
    who = people(archive)
    page = index_page.write_index(archive, [], who).read_text("utf-8")
    for (_, speaker), person in who.items():
        assert f"{speaker} = {person}" in page
    assert "are guesses by the voice" in page
    assert "are guesses" not in index_page.write_index(archive, []).read_text("utf-8")


def test_nobody_is_looked_for_unasked(archive: Archive) -> None:
    tables.write_tables(archive)
    assert not (archive.out / "people.csv").exists()
    assert set(gscon_live.read(archive.out, "speakers")["person"]) == {""}
    with pytest.raises(InputError, match="--people"):
        gscon_live.read(archive.out, "people")
    assert OPTIONAL["people"] == "--people"


def test_voices_are_for_their_owner_alone_and_go_with_their_recording(archive: Archive) -> None:
    assert stat.S_IMODE(archive.voices.path.stat().st_mode) == 0o700
    for entry in archive.done.values():
        voices = archive.voices.path / voices_name(entry.folder) / VOICES_FILE
        assert voices.is_file()
        assert not list((archive.results.path / entry.folder).glob("*voices*"))
        assert b"mean" not in (archive.results.path / entry.folder / EVENTS).read_bytes()


def test_a_damaged_file_of_voices_is_said_in_one_line(archive: Archive) -> None:
    entry = next(iter(archive.done.values()))
    path = archive.voices.path / voices_name(entry.folder) / VOICES_FILE
    before = path.read_bytes()
    path.write_bytes(before[:20])
    try:
        with pytest.raises(InputError, match="is damaged"):
            people(archive)
    finally:
        path.write_bytes(before)
