"""FER+ is read whole, and copies of training pictures are recognised as such."""

import numpy as np
import pytest

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import data_folder, ferplus

needs_data = pytest.mark.skipif(
    not data_folder().is_dir(), reason="the corpora are not in GSCON_DATA"
)


@needs_data
def test_faces_and_votes_are_whole() -> None:
    faces = ferplus.load("test")
    assert faces.pixels.shape == (3573, 48, 48)
    assert faces.votes.shape == (3573, 7)
    agreed = faces.agreed()
    counts = np.bincount(faces.votes.argmax(1)[agreed], minlength=7)
    # By awk from labels.csv: rows of PrivateTest in which one of the seven has more than half.
    assert dict(zip(EMOTIONS, counts.tolist(), strict=True)) == {
        "neutral": 936, "surprise": 341, "fear": 50, "sadness": 295, "joy": 872, "disgust": 7,
        "anger": 219,
    }  # fmt: skip
    assert (
        len(ferplus.load("validation").labels) + len(ferplus.load("train").labels) == 35703 - 3573
    )


def test_copies_are_found_whatever_their_light_and_noise_and_others_are_none() -> None:
    random = np.random.default_rng(5)
    training = _pictures(random, 20)
    mirrored = training[3:4, :, ::-1]
    darker = np.clip(training[7:8] * 0.7 + 10, 0, 255)
    noisy = np.clip(training[9:10] + random.normal(0, 5, (1, 48, 48)), 0, 255)
    others = _pictures(random, 5)
    shown = np.concatenate([mirrored, darker, noisy, others]).astype(np.uint8)
    assert ferplus.copies(shown, training).tolist() == [True] * 3 + [False] * 5
    assert not ferplus.copies(shown, training[:0]).any()
    assert len(ferplus.copies(shown[:0], training)) == 0


def _pictures(random: np.random.Generator, count: int) -> np.ndarray:
    """Smooth pictures that have nothing in common."""
    coarse = random.integers(0, 255, (count, 6, 6))
    return coarse.repeat(8, 1).repeat(8, 2).astype(np.uint8)
