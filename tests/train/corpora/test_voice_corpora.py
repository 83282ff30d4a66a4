"""The corpora of voices are read in our terms."""

from itertools import islice

import numpy as np
import pytest

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import data_folder
from gscon_live.train.corpora.voice_corpora import VOICE_CORPORA


@pytest.mark.skipif(not data_folder().is_dir(), reason="the corpora are not in GSCON_DATA")
@pytest.mark.parametrize(
    ("name", "file", "speaker", "gender", "emotion"),
    [
        ("ravdess", "03-01-01-01-01-01-01.flac", "ravdess-01", "men", "neutral"),
        ("emodb", "03a01Fa.flac", "emodb-03", "men", "joy"),
        ("nemo", "EB0_anger_1.opus", "nemo-EB0", "women", "anger"),
        ("urdu", "angry_SM1_F10_A010.opus", "urdu-SM1", "men", "anger"),
    ],
)
def test_a_clip_has_its_speaker_emotion_and_sound(
    name: str, file: str, speaker: str, gender: str, emotion: str
) -> None:
    clips = [*islice(VOICE_CORPORA[name].read(), 3)]
    clip = clips[0][0]
    assert (clip.name.rpartition("/")[2], clip.speaker) == (file, speaker)
    assert (clip.gender, EMOTIONS[clip.emotion]) == (gender, emotion)
    for _, samples in clips:
        assert samples.dtype == np.float32
        assert 0.5 < len(samples) / 16_000 < 10
        assert 0.001 < np.abs(samples).max() <= 1.01


@pytest.mark.parametrize("name", [*VOICE_CORPORA])
def test_a_missing_corpus_is_one_line_with_the_remedy(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    with pytest.raises(InputError, match="GSCON_DATA"):
        next(VOICE_CORPORA[name].read())
