"""`gscon-live voices`, as a user types it: real readers are enrolled, and known again."""

import stat
from pathlib import Path

import pytest
from sessions import read, run, utterances
from spoken import needs_librispeech, readers, record

from gscon_live.common.files import make_private_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Anna's and Ben's voices, enrolled with six phrases each."""
    folder = tmp_path_factory.mktemp("voices")
    anna, ben = readers()[:2]
    for name, who in (("Anna", anna), ("Ben", ben)):
        recording = record(folder / f"{name}.wav", (who, slice(0, 6)))
        done = run("realtime.voices", "add", name, recording, "--file", folder / "voices.json")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{name}: ")
    return folder


@needs_librispeech
def test_enrolled_people_have_their_names_in_the_events_and_others_have_not(folder: Path) -> None:
    anna, ben, eve = readers()[:3]
    later = slice(6, 10)
    talk = record(folder / "talk.wav", (anna, later), (eve, later), (ben, later))
    done = run(
        *("realtime.replay", talk, "--events", folder / "talk.jsonl", "--transcriber", "off"),
        f"speakers.enrolled={folder / 'voices.json'}",
    )
    assert done.returncode == 0, done.stderr
    names = [event.utterance.speaker for event in utterances(read(folder / "talk.jsonl"))]
    # In the order of the talk; a name may come after a first utterance.
    assert list(dict.fromkeys(name for name in names if name in ("Anna", "Ben"))) == ["Anna", "Ben"]
    assert names.count("Anna") >= 2
    assert names.count("Ben") >= 2
    assert any(name.startswith("S") for name in names)


@needs_librispeech
def test_the_names_are_listed_and_a_voice_is_forgotten(folder: Path) -> None:
    file = folder / "voices.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    listed = run("realtime.voices", "list", "--file", file)
    assert [line.split(":")[0] for line in listed.stdout.splitlines()[:-1]] == ["Anna", "Ben"]
    own = folder / "copy.json"
    own.write_bytes(file.read_bytes())
    done = run("realtime.voices", "remove", "Ana", "--file", own)
    assert done.returncode == 2
    assert "did you mean 'Anna'?" in done.stderr
    assert run("realtime.voices", "remove", "Anna", "--file", own).returncode == 0
    assert run("realtime.voices", "list", "--file", own).stdout.splitlines()[:-1] == [
        line for line in listed.stdout.splitlines()[:-1] if line.startswith("Ben")
    ]
    assert b"Anna" not in own.read_bytes()


@needs_librispeech
@pytest.mark.fault
def test_a_voice_that_cannot_be_enrolled(folder: Path) -> None:
    """A voice enrolled from a recording of two people or of one sentence, or as S1: it is refused
    in one line, and the file of voices stays as it was."""
    anna, ben = readers()[:2]
    two = record(folder / "two.wav", (anna, slice(6, 10)), (ben, slice(6, 10)))
    short = record(folder / "short.wav", (anna, slice(0, 1)))
    file = folder / "voices.json"
    before = file.read_bytes()
    for name, recording, reason in (
        ("Eve", two, "more than one person"),
        ("Eve", short, "at least 3"),
        ("Eve", folder / "nothing.wav", "no such file"),
        ("S1", short, "give another name"),
        ("  ", short, "give a name"),
    ):
        done = run("realtime.voices", "add", name, recording, "--file", file)
        assert done.returncode == 2, (reason, done.stderr)
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
    assert file.read_bytes() == before


def test_a_file_of_voices_that_is_another_file_is_never_overwritten(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "own")
    diary = tmp_path / "own" / "diary.json"
    diary.write_text("{}")
    done = run("realtime.voices", "add", "Anna", tmp_path / "a.wav", "--file", diary)
    assert done.returncode == 2
    assert "not a file of enrolled voices" in done.stderr
    assert diary.read_text() == "{}"
