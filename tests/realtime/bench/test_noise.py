"""Nobody speaks: no words, from a session and from Whisper alone."""

import numpy as np
import pytest
from whisper_models import whisper_model

from gscon_live.configs import loader
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.bench.noise import KINDS, LEVELS, PIECE, listen, pieces
from gscon_live.realtime.listen.whisper import Whisper
from gscon_live.realtime.pipeline.settings import Settings


@pytest.fixture(scope="module")
def settings() -> Settings:
    return loader.load("live", Settings, [])


@pytest.fixture(scope="module")
def whisper(settings: Settings) -> Whisper:
    return Whisper(str(whisper_model("tiny.en")), settings.transcription)


@pytest.mark.parametrize("kind", KINDS)
def test_no_words_are_written_where_nobody_speaks(
    kind: str, settings: Settings, whisper: Whisper
) -> None:
    found = listen(kind, PIECE * len(LEVELS), settings, whisper, seed=3)
    assert found.seconds == PIECE * len(LEVELS)
    assert found.words == []
    assert found.words_at_once == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_sounds_are_the_same_for_a_seed_and_have_their_levels(kind: str) -> None:
    first, again = (list(pieces(kind, 12.0, seed=1)) for _ in range(2))
    assert [len(piece) for piece in first] == [5 * SAMPLE_RATE, 5 * SAMPLE_RATE, 2 * SAMPLE_RATE]
    for piece, same, level in zip(first, again, LEVELS, strict=False):
        np.testing.assert_array_equal(piece, same)
        if kind != "silence":
            measured = 20 * np.log10(np.sqrt(np.mean(np.square(piece))))
            assert measured == pytest.approx(level, abs=0.1)
