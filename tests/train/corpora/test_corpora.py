"""The corpora are read whole, in our terms, in splits that share nothing."""

from collections import Counter

import numpy as np
import pytest

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import corpus_file, data_folder, fer2013, ravdess_emodb
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table

needs_data = pytest.mark.skipif(
    not data_folder().is_dir(), reason="the corpora are not in GSCON_DATA"
)


@needs_data
def test_meld_has_its_published_sizes() -> None:
    sizes = {}
    for split in ("train", "validation", "test"):
        dialogues = load_table("meld").utterances(split)
        sizes[split] = (len(dialogues), sum(map(len, dialogues)))
    assert sizes == {"train": (1038, 9989), "validation": (114, 1109), "test": (280, 2610)}


@needs_data
def test_meld_test_has_its_published_emotions_and_words() -> None:
    turns = [turn for turns in load_table("meld").utterances("test") for turn in turns]
    counts = Counter(EMOTIONS[turn.label] for turn in turns)
    assert counts == {
        "neutral": 1256, "joy": 402, "anger": 345, "surprise": 281,
        "sadness": 208, "disgust": 68, "fear": 50,
    }  # fmt: skip
    assert all(turn.text.strip() for turn in turns)


@needs_data
def test_voices_are_whole_and_no_actor_is_in_two_splits() -> None:
    clips = list(ravdess_emodb.load())
    assert len(clips) == 1440 + 535 - 81
    actors = {clip.actor for clip, _ in clips}
    assert len(actors) == 34
    per_split = Counter(ravdess_emodb.split_of(actor) for actor in actors)
    assert per_split == {"train": 22, "validation": 6, "test": 6}
    assert not set(ravdess_emodb.ACTORS["validation"]) & set(ravdess_emodb.ACTORS["test"])
    counts = Counter(EMOTIONS[clip.emotion] for clip, _ in clips)
    # RAVDESS: 192 of each but 96 neutral and 192 calm; EMO-DB adds its own.
    assert counts["surprise"] == 192
    assert counts["neutral"] == 96 + 192 + 79
    assert counts["anger"] == 192 + 127
    for _, sound in clips[::100]:
        assert sound.dtype == np.float32
        assert 0.5 < len(sound) / 16_000 < 10
        assert 0.001 < np.abs(sound).max() <= 1


@needs_data
def test_faces_are_whole() -> None:
    faces = fer2013.load("test")
    assert faces.pixels.shape == (3589, 48, 48)
    assert np.bincount(faces.labels)[EMOTIONS.index("joy")] == 879
    assert np.bincount(faces.labels)[EMOTIONS.index("disgust")] == 55


def test_a_missing_corpus_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    with pytest.raises(InputError) as caught:
        corpus_file("erc/meld.csv")
    assert str(tmp_path) in str(caught.value)
    assert "GSCON_DATA" in str(caught.value)
    assert "\n" not in str(caught.value)
