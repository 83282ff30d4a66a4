"""The recogniser answers in the context of the last utterances, whatever is missing."""

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import InputError
from model import checkpoint
from model.checkpoint import Card, Checkpoint
from model.features import UtteranceFeatures
from model.gscon import GSCon
from model.labels import EMOTIONS, MODALITIES
from model.network import Architecture, Conversations
from model.recogniser import EmotionRecogniser, Opinion, speakers_by_appearance

DIMS = {"text": 6, "audio": 5, "visual": 4}
CONTEXT = 4


@pytest.fixture(scope="module")
def trained() -> Checkpoint:
    torch.manual_seed(0)
    architecture = Architecture(DIMS, context=CONTEXT, width=16, heads=2)
    card = Card(
        name="toy",
        version="1",
        emotions=list(EMOTIONS),
        encoders={m: f"{m}:1" for m in MODALITIES},
        architecture=architecture,
        temperature=0.5,
        temperatures=dict.fromkeys(MODALITIES, 0.7),
        data="",
        split="",
        seeds=[0],
        scores={},
        created="",
        machine="",
        notes=[],
    )
    return Checkpoint(GSCon(architecture).eval().requires_grad_(False), card)


def utterance(seed: int, missing: tuple[str, ...] = ()) -> UtteranceFeatures:
    random = np.random.default_rng(seed)
    vectors = {m: random.normal(size=DIMS[m]).astype(np.float32) for m in MODALITIES}
    return UtteranceFeatures(**{m: None if m in missing else v for m, v in vectors.items()})


def same(one: Opinion, other: Opinion) -> bool:
    return np.array_equal(one.probabilities, other.probabilities)


def test_an_opinion_is_a_distribution_and_so_is_that_of_each_modality(trained: Checkpoint) -> None:
    opinion = EmotionRecogniser(trained).final(utterance(0), "Ada")
    for vector in (opinion.probabilities, *opinion.modalities.values()):
        assert vector is not None
        assert vector.shape == (7,)
        assert vector.sum() == pytest.approx(1, abs=1e-6)
        assert (vector >= 0).all()


def test_missing_modalities_have_no_opinion_and_the_rest_still_answers(trained: Checkpoint) -> None:
    recogniser = EmotionRecogniser(trained)
    opinion = recogniser.final(utterance(0, ("audio",)), "Ada")
    assert opinion.modalities["audio"] is None
    assert opinion.modalities["text"] is not None
    nothing = recogniser.final(UtteranceFeatures(), "Ben")
    assert list(nothing.modalities.values()) == [None, None, None]
    assert nothing.probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_a_provisional_opinion_leaves_the_conversation_as_it_is(trained: Checkpoint) -> None:
    asked, silent = EmotionRecogniser(trained), EmotionRecogniser(trained)
    for index in range(8):
        for extra in range(index % 3):
            asked.provisional(utterance(100 + extra), "someone else")
        assert same(
            asked.final(utterance(index), str(index % 2)),
            silent.final(utterance(index), str(index % 2)),
        )


def test_a_provisional_opinion_is_what_the_final_one_would_be(trained: Checkpoint) -> None:
    recogniser = EmotionRecogniser(trained)
    recogniser.final(utterance(1), "Ada")
    assert same(recogniser.provisional(utterance(2), "Ben"), recogniser.final(utterance(2), "Ben"))


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 12), context=st.integers(1, 6))
def test_only_the_last_utterances_count(trained: Checkpoint, length: int, context: int) -> None:
    """And they count as a window of the whole would: what is streamed is what was trained."""
    recogniser = EmotionRecogniser(trained, context=context)
    for index in range(length):
        opinion = recogniser.final(utterance(index), str(index % 3))
    start = max(0, length - context)
    window = [utterance(index) for index in range(start, length)]
    speakers = speakers_by_appearance([index % 3 for index in range(start, length)])
    answers = trained.model(
        Conversations(
            {m: torch.from_numpy(np.stack([getattr(u, m) for u in window]))[None] for m in DIMS},
            torch.ones(1, len(window), 3, dtype=torch.bool),
            torch.tensor([speakers]),
            torch.ones(1, len(window), dtype=torch.bool),
        )
    )
    expected = (answers.final[0, -1] / trained.card.temperature).softmax(-1)
    np.testing.assert_allclose(opinion.probabilities, expected.numpy(), atol=1e-6)


def test_the_context_and_who_speaks_matter(trained: Checkpoint) -> None:
    recogniser = EmotionRecogniser(trained)
    alone = recogniser.final(utterance(1), "Ada")
    assert not same(alone, recogniser.provisional(utterance(1), "Ada"))
    assert not same(
        recogniser.provisional(utterance(1), "Ada"), recogniser.provisional(utterance(1), "Ben")
    )
    recogniser.reset()
    assert same(alone, recogniser.final(utterance(1), "Ada"))


def test_names_of_speakers_mean_nothing(trained: Checkpoint) -> None:
    one, other = EmotionRecogniser(trained), EmotionRecogniser(trained)
    for index in range(6):
        assert same(
            one.final(utterance(index), ["Ada", "Ben"][index % 2]),
            other.final(utterance(index), ["S7", "S2"][index % 2]),
        )


def test_memory_does_not_grow_with_the_conversation(trained: Checkpoint) -> None:
    recogniser = EmotionRecogniser(trained)
    for index in range(50):
        recogniser.final(utterance(index), str(index))
    assert len(recogniser._past) == CONTEXT - 1


def test_the_callers_arrays_are_copied(trained: Checkpoint) -> None:
    recogniser, other = EmotionRecogniser(trained), EmotionRecogniser(trained)
    given_features = utterance(0)
    recogniser.final(given_features, "Ada")
    other.final(utterance(0), "Ada")
    assert given_features.text is not None
    given_features.text[:] = 99
    assert same(recogniser.final(utterance(1), "Ben"), other.final(utterance(1), "Ben"))


def test_other_encoders_are_refused_by_both_names(trained: Checkpoint) -> None:
    EmotionRecogniser(trained, encoders={"text": "text:1", "audio": "audio:1"})
    with pytest.raises(InputError) as caught:
        EmotionRecogniser(trained, encoders={"text": "text:1", "audio": "other:2"})
    assert "'audio:1'" in str(caught.value)
    assert "'other:2'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_temperature_is_that_of_the_modalities_that_are_there(trained: Checkpoint) -> None:
    card = msgspec.structs.replace(trained.card, by_presence={"text+visual": 5.0, "nothing": 0.1})
    other = EmotionRecogniser(Checkpoint(trained.model, card))
    plain = EmotionRecogniser(trained)
    for missing, factor in (((), 1.0), (("audio",), 10.0), (MODALITIES, 0.2)):
        before = np.log(plain.provisional(utterance(0, missing), "Ada").probabilities)
        after = np.log(other.provisional(utterance(0, missing), "Ada").probabilities)
        np.testing.assert_allclose(np.diff(after) * factor, np.diff(before), atol=1e-3)


def test_a_context_of_nothing_is_refused(trained: Checkpoint) -> None:
    with pytest.raises(InputError, match="context 0"):
        EmotionRecogniser(trained, context=0)


def test_features_of_another_length_are_refused(trained: Checkpoint) -> None:
    with pytest.raises(ValueError, match="audio features"):
        EmotionRecogniser(trained).final(UtteranceFeatures(audio=np.zeros(3, np.float32)), "Ada")


def test_the_shipped_model_answers() -> None:
    shipped = checkpoint.load("live")
    opinion = EmotionRecogniser(shipped).final(UtteranceFeatures(), "Ada")
    assert opinion.probabilities.sum() == pytest.approx(1, abs=1e-6)
