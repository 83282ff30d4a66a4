"""Enrolled voices: their file, and when a speaker gets a name."""

import json
import stat
from pathlib import Path

import numpy as np
import pytest
import torch

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.speaker.speaker_clustering import SpeakerSpace
from gscon_live.model.encoders.speaker.voice_profiles import VoiceProfile, VoiceProfiles
from gscon_live.realtime.listen.enrolled_speakers import (
    AUTO,
    EnrolledNames,
    enrolled_names,
    read_voices,
    voices_file,
    write_voices,
)

ANNA, BEN, SOMEBODY = 10.0, 25.0, -40.0


def profiles() -> VoiceProfiles:
    """In a space that takes the first thirty statistics as they are."""
    space = SpeakerSpace(40, 30)
    # What lies beyond four deviations would be clipped.
    space.deviation.fill_(100.0)
    space.projection.copy_(100.0 * torch.eye(40, 30))
    space.between.fill_(100.0)
    return VoiceProfiles((space, "test"))


def spoken(place: float) -> np.ndarray:
    return np.full(40, place, np.float32)


def unclear() -> np.ndarray:
    """Between Anna and strangers."""
    return np.concatenate([spoken(ANNA)[:15], spoken(SOMEBODY)[15:]])


@pytest.fixture
def names() -> EnrolledNames:
    voices = profiles()
    known = {name: voices.profile([spoken(at)] * 4) for name, at in (("Anna", ANNA), ("Ben", BEN))}
    return EnrolledNames(known, voices)


def test_a_file_gives_back_what_was_written_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path, voices = tmp_path / "new" / "voices.json", profiles()
    anna = VoiceProfile(np.arange(30) / 7, 12)
    write_voices(path, voices, {"Anna": anna, "Zoë 🙂": anna})
    read = read_voices(path, voices)
    assert list(read) == ["Anna", "Zoë 🙂"]
    np.testing.assert_allclose(read["Anna"].mean, anna.mean, atol=1e-5)
    assert read["Anna"].utterances == 12
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_users_own_file_is_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert voices_file(AUTO).name == "voices.json"
    assert voices_file("mine.json") == Path("mine.json")


@pytest.mark.fault
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no enrolled voices"),
        (b"\x80\x04.", "not a file of enrolled voices"),
        (b"{}", "not a file of enrolled voices"),
        (b'{"format": "gscon.voices/2", "encoder": "", "voices": {}}', "not a file"),
        ({"encoder": "another"}, "enrolled by another version"),
        ({"voices": {"Anna": {"mean": [1.0], "utterances": 3}}}, "'Anna' is damaged"),
        ({"voices": {"Anna": {"mean": [0.0] * 30, "utterances": 0}}}, "'Anna' is damaged"),
    ],
)
def test_a_file_of_voices_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, content: object, reason: str
) -> None:
    """A file of enrolled voices is missing, damaged or of another version: it is refused in one
    line, before anything is heard."""
    path, voices = tmp_path / "voices.json", profiles()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        whole = {"format": "gscon.voices/1", "encoder": voices.identity, "voices": {}} | content
        path.write_text(json.dumps(whole))
    with pytest.raises(InputError, match=reason) as refused:
        read_voices(path, voices)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_the_setting_nobody_has_a_name() -> None:
    assert enrolled_names(None) is None


def test_a_speaker_whose_voice_is_enrolled_has_the_name_and_others_keep_theirs(
    names: EnrolledNames,
) -> None:
    assert names.final("S1", spoken(ANNA)) == "Anna"
    assert names.final("S2", spoken(SOMEBODY)) == "S2"


def test_a_name_stays_whatever_the_speaker_sounds_like_later(names: EnrolledNames) -> None:
    assert names.final("S1", spoken(ANNA)) == "Anna"
    for _ in range(3):
        assert names.provisional("S1", spoken(SOMEBODY)) == "Anna"
        assert names.final("S1", spoken(SOMEBODY)) == "Anna"
    names.reset()
    assert names.final("S1", spoken(SOMEBODY)) == "S1"


def test_a_sure_voice_has_its_name_where_the_conversation_mixes_two_people_up(
    names: EnrolledNames,
) -> None:
    said = [names.final("S1", spoken(at)) for at in (ANNA, BEN, ANNA, BEN, SOMEBODY)]
    assert said == ["Anna", "Ben", "Anna", "Ben", "Anna"]


def test_utterances_add_up_until_the_voice_is_sure(names: EnrolledNames) -> None:
    assert names.final("S1", unclear()) == "S1"
    said = [names.final("S1", spoken(ANNA)) for _ in range(30)]
    assert said[-1] == "Anna"
    first = said.index("Anna")
    assert said[first:] == ["Anna"] * (len(said) - first)


def test_a_provisional_name_is_the_final_one_and_changes_nothing(names: EnrolledNames) -> None:
    for audio in (unclear(), spoken(ANNA), spoken(SOMEBODY)):
        expected = names.provisional("S1", audio)
        assert names.provisional("S1", audio) == expected
        assert names.final("S1", audio) == expected
