"""A recording is cut as the live pipeline cuts it: with the same bounds and the same sound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sound import recorded

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.model.speech.utterances import longest_utterance, utterances
from gscon_live.realtime import sample
from gscon_live.realtime.listen.segmenter import Segmenter
from gscon_live.realtime.pipeline import messages

law = settings(deadline=None, derandomize=True, max_examples=12)


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    """The first half minute of the sample conversation."""
    return recorded(sample.CONVERSATION)[: 30 * SAMPLE_RATE]


@law
@given(
    start=st.integers(0, 20 * SAMPLE_RATE),
    seconds=st.floats(0.5, 10.0),
    chunk=st.integers(100, 20_000),
    hangover=st.sampled_from([0.2, 0.5]),
    longest=st.sampled_from([1.5, 15.0]),
)
def test_a_recording_is_cut_as_live(
    speech: NDArray[np.float32],
    start: int,
    seconds: float,
    chunk: int,
    hangover: float,
    longest: float,
) -> None:
    samples = speech[start : start + round(seconds * SAMPLE_RATE)]
    how = Segmentation(hangover=hangover, max_utterance=longest)
    live = Segmenter(how)
    given = []
    for first in range(0, len(samples), chunk):
        piece = samples[first : first + chunk]
        given += live.process(messages.AudioChunk(first / SAMPLE_RATE, piece.tobytes()))
    given += live.flush()
    heard = [
        np.frombuffer(message.audio or b"", np.float32)
        for message in given
        if isinstance(message, messages.Segment) and message.final
    ]
    cut = utterances(samples, how)
    assert [len(sound) for sound in cut] == [len(sound) for sound in heard]
    for sound, as_live in zip(cut, heard, strict=True):
        np.testing.assert_array_equal(sound, as_live)


def test_the_longest_utterance_is_one_of_them_and_silence_has_none(
    speech: NDArray[np.float32],
) -> None:
    quiet = np.zeros(SAMPLE_RATE, np.float32)
    spoken = utterances(np.concatenate([quiet, speech, quiet]))
    longest = longest_utterance(speech)
    assert longest is not None
    assert len(longest) == max(map(len, spoken))
    assert longest_utterance(quiet) is None
    assert longest_utterance(np.zeros(0, np.float32)) is None
