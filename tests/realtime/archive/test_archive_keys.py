"""The key of a recording: it changes with what its events depend on, and with nothing else."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from archive_folders import facts_of
from sessions import settings
from whisper_models import whisper_model

from gscon_live.model import checkpoint
from gscon_live.model.encoders.speaker.voice_profiles import VoiceProfile, VoiceProfiles
from gscon_live.realtime.archive import keys
from gscon_live.realtime.archive.entries import Facts
from gscon_live.realtime.archive.keys import Keys
from gscon_live.realtime.archive.versions import transcriber_version
from gscon_live.realtime.listen.enrolled_speakers import write_voices

TALK = facts_of("talk.mkv", "a")
SOUND = msgspec.structs.replace(TALK, has_video=False)
SPOKEN = msgspec.structs.replace(TALK, has_captions=False)


def model() -> str:
    """The setting of a real Whisper model."""
    return f"transcription.transcriber=auto:{whisper_model('tiny.en')}"


def key(facts: Facts, *overrides: str, captions: str = "auto") -> str:
    return Keys(settings(*overrides), captions).of(facts)


def test_a_key_is_the_same_every_time() -> None:
    assert key(TALK) == key(TALK)
    assert len(key(TALK)) == 32


@pytest.mark.parametrize(
    ("facts", "override"),
    [
        (TALK, "recognition.prior=flat"),
        (TALK, "segmentation.hangover=0.7"),
        (TALK, "publish.text=false"),
        (TALK, "camera.rate=5"),
        (TALK, "features.face_detector=cascade"),
        (TALK, "speakers.max_speakers=2"),
        (TALK, "transcription.language=de"),
        (SPOKEN, "transcription.beam_size=1"),
    ],
)
def test_a_setting_that_changes_events_changes_the_key(facts: Facts, override: str) -> None:
    assert key(facts, model()) != key(facts, model(), override)


@pytest.mark.parametrize(
    ("facts", "override"),
    [
        (TALK, "microphone.device=3"),
        (TALK, "camera.width=1280"),
        (TALK, "publish.endpoint=null"),
        (TALK, "page.port=8080"),
        (TALK, "transcription.beam_size=1"),
        (SOUND, "camera.rate=5"),
        (SOUND, "features.face_detector=cascade"),
        (SOUND, "recording.max_width=320"),
    ],
)
def test_a_setting_without_effect_on_a_recording_does_not(facts: Facts, override: str) -> None:
    assert key(facts, model()) == key(facts, model(), override)


def test_content_and_name_are_in_the_key() -> None:
    assert key(TALK) != key(msgspec.structs.replace(TALK, content="b"))
    assert key(TALK) != key(msgspec.structs.replace(TALK, name="other.mkv"))
    assert key(TALK) != key(TALK, captions="off")


def test_the_transcriber_is_known_by_what_it_is_and_not_by_where(tmp_path: Path) -> None:
    copy = shutil.copytree(whisper_model("tiny.en"), tmp_path / "moved")
    assert key(SPOKEN, model()) == key(SPOKEN, f"transcription.transcriber=auto:{copy}")
    with (copy / "model.bin").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    assert transcriber_version(str(copy)) != transcriber_version(str(whisper_model("tiny.en")))
    assert key(SPOKEN, model()) != key(SPOKEN, f"transcription.transcriber=auto:{copy}")
    assert key(TALK, model()) == key(TALK, f"transcription.transcriber=auto:{copy}")
    assert key(SPOKEN, model()) != key(SPOKEN, "transcription.transcriber=off")


def test_other_weights_of_the_same_name_and_version_change_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(TALK)
    weights = checkpoint.weights_file("live")
    copy = tmp_path / weights.name
    for suffix in (".safetensors", ".json"):
        shutil.copy(weights.with_suffix(suffix), copy.with_suffix(suffix))
    with copy.open("ab") as file:
        file.write(b"\0")
    monkeypatch.setattr(checkpoint, "weights_file", lambda name: copy)
    assert key(TALK) != before


def test_other_code_of_the_pipeline_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(TALK)
    monkeypatch.setattr(keys, "pipeline_version", lambda: "0.3.0+1")
    assert key(TALK) != before


def test_who_has_a_name_is_part_of_the_key_wherever_the_file_lies(tmp_path: Path) -> None:
    profiles = VoiceProfiles()
    anna, ben = VoiceProfile(np.zeros(30), 5), VoiceProfile(np.ones(30), 5)
    places = [tmp_path / "a.json", tmp_path / "b.json", tmp_path / "more.json"]
    for path in places[:2]:
        write_voices(path, profiles, {"Anna": anna})
    write_voices(places[2], profiles, {"Anna": anna, "Ben": ben})
    here, there, more = (key(TALK, f"speakers.enrolled={path}") for path in places)
    assert here == there
    assert len({here, more, key(TALK)}) == 3
