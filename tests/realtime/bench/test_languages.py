"""A session that is not English is not taken for English."""

import shutil
from pathlib import Path

import pytest
from spoken import DATA, needs_emodb, needs_librispeech
from whisper_models import whisper_model

from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.realtime.bench.languages import (
    SENTENCES,
    VOICES,
    people,
    session,
    spoken,
    synthetic,
)
from gscon_live.realtime.listen.whisper import Whisper
from gscon_live.realtime.pipeline.settings import Settings

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="needs the program espeak-ng"
)


def test_eight_languages_and_five_voices_are_there() -> None:
    assert len(SENTENCES) == 8
    assert len(VOICES) == 5
    assert len({len(sentences) for sentences in SENTENCES.values()}) == 1


@needs_espeak
@pytest.mark.parametrize(("language", "voice"), [("de", 0), ("fr", 1)])
def test_the_language_that_is_spoken_is_held(language: str, voice: int) -> None:
    settings = loader.load("live", Settings, [])
    whisper = Whisper(str(whisper_model("base")), settings.transcription)
    assert len(spoken("eins", language, voice)) > 1000
    found = session(whisper, language, VOICES[voice][0], synthetic(language, voice))
    assert found.held == language
    assert found.english == 0
    assert found.utterances >= 3


@needs_emodb
@needs_librispeech
def test_people_are_sessions_of_their_own() -> None:
    speakers = people(DATA)
    assert {language: len(own) for language, own in speakers.items() if language != "ur"} == {
        "en": 10,
        "de": 10,
        "pl": 9,
    }
    whisper = Whisper(str(whisper_model("base")), loader.load("live", Settings, []).transcription)
    held = session(whisper, "de", "03", speakers["de"]["03"])
    assert (held.held, held.english) == ("de", 0)


def test_a_folder_without_the_corpora_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"librispeech_10x10\.zip: no such file"):
        people(tmp_path)
