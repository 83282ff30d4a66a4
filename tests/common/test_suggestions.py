"""An unknown name is answered with the nearest that exists."""

import pytest

from gscon_live.common.suggestions import did_you_mean, nearest, nearest_key

KEYS = ["segmentation.hangover", "segmentation.pause", "camera.rate", "speakers.max_speakers"]


@pytest.mark.parametrize(
    ("word", "name"),
    [("smal", "small"), ("SMALL", "small"), ("tinny", "tiny"), ("whisper", None), ("", None)],
)
def test_the_nearest_name(word: str, name: str | None) -> None:
    assert nearest(word, ["tiny", "small", "medium"]) == name
    assert did_you_mean(word, ["tiny", "small"]) == (f"did you mean {name!r}? " if name else "")


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("hangover", "segmentation.hangover"),
        ("segmentaton.hangovr", "segmentation.hangover"),
        ("max_speaker", "speakers.max_speakers"),
        ("camera.hangover", "segmentation.hangover"),
        ("volume", None),
    ],
)
def test_the_nearest_key_by_its_whole_or_by_its_last_part(word: str, key: str | None) -> None:
    assert nearest_key(word, KEYS) == key
