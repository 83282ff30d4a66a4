"""A session that is not English is not taken for English."""

import shutil

import pytest
from whisper_models import whisper_model

from gscon_live.configs import loader
from gscon_live.realtime.bench.languages import SENTENCES, VOICES, session, spoken
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
    found = session(whisper, language, voice)
    assert found.held == language
    assert found.english == 0
    assert found.utterances >= 3
