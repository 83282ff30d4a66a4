"""The recogniser answers in the context of the last utterances, whatever is missing."""

from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gscon_live.common.errors import InputError
from gscon_live.model import checkpoint
from gscon_live.model.checkpoint import Card, Checkpoint
from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.features import UtteranceFeatures
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.network import NETWORKS, Architecture, Conversations, Mode, build
from gscon_live.model.recogniser import EmotionRecogniser, Opinion

DIMS = {"text": 9, "audio": 8, "visual": 7}
CONTEXT = 4
#: Of the emotions in their order, neutral first.
PRIOR = [0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]


def checkpoint_of(network: str = "gscon", mode: Mode = "buffer") -> Checkpoint:
    torch.manual_seed(0)
    architecture = Architecture(
        DIMS, mode, context=CONTEXT, width=16, heads=2, network=network, memory=CONTEXT
    )
    card = Card(
        name="toy",
        version="1",
        emotions=list(EMOTIONS),
        encoders={m: f"{m}:1" for m in MODALITIES},
        architecture=architecture,
        temperature=0.5,
        temperatures=dict.fromkeys(MODALITIES, 0.7),
        prior=PRIOR,
        data="",
        split="",
        seeds=[0],
        scores={},
        created="",
        machine="",
        notes=[],
    )
    return Checkpoint(build(architecture).eval().requires_grad_(False), card)


@pytest.fixture(scope="module")
def trained() -> Checkpoint:
    return checkpoint_of()


def utterance(seed: int, missing: tuple[str, ...] = ()) -> UtteranceFeatures:
    random = np.random.default_rng(seed)
    vectors = {m: random.normal(size=DIMS[m]).astype(np.float32) for m in MODALITIES}
    return UtteranceFeatures(**{m: None if m in missing else v for m, v in vectors.items()})


def same(first: Opinion, second: Opinion) -> bool:
    return np.array_equal(first.probabilities, second.probabilities)


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
    with_provisional, silent = EmotionRecogniser(trained), EmotionRecogniser(trained)
    for index in range(8):
        for extra in range(index % 3):
            with_provisional.provisional(utterance(100 + extra), "someone else")
        assert same(
            with_provisional.final(utterance(index), str(index % 2)),
            silent.final(utterance(index), str(index % 2)),
        )


def test_a_provisional_opinion_is_what_the_final_one_would_be(trained: Checkpoint) -> None:
    recogniser = EmotionRecogniser(trained)
    recogniser.final(utterance(1), "Ada")
    assert same(recogniser.provisional(utterance(2), "Ben"), recogniser.final(utterance(2), "Ben"))


@settings(max_examples=15, deadline=None)
@given(
    length=st.integers(1, 12), context=st.integers(1, 6), mode=st.sampled_from(["causal", "buffer"])
)
def test_only_the_last_utterances_count(length: int, context: int, mode: Mode) -> None:
    """And they count as a window of the whole would: what is streamed is what was trained."""
    trained = checkpoint_of(mode=mode)
    recogniser = EmotionRecogniser(trained, context=context)
    for index in range(length):
        opinion = recogniser.final(utterance(index), str(index % 3))
    positions = range(max(0, length - context), length)
    answers = trained.model(
        conversation_of([utterance(i) for i in positions], [str(i % 3) for i in positions])
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
    recogniser, other = EmotionRecogniser(trained), EmotionRecogniser(trained)
    for index in range(6):
        assert same(
            recogniser.final(utterance(index), ["Ada", "Ben"][index % 2]),
            other.final(utterance(index), ["S7", "S2"][index % 2]),
        )


def size(value: Any) -> int:
    """Bytes of all tensors, and the number of everything else."""
    if isinstance(value, torch.Tensor):
        return value.untyped_storage().nbytes()
    if is_dataclass(value):
        return sum(size(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, dict | tuple | list):
        return sum(size(item) for item in (value.values() if isinstance(value, dict) else value))
    return 1


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("mode", ["causal", "buffer"])
def test_memory_does_not_grow_with_the_conversation(network: str, mode: Mode) -> None:
    recogniser = EmotionRecogniser(checkpoint_of(network, mode))
    kept = []
    for index in range(50):
        recogniser.final(utterance(index), str(index))
        kept.append(sum(size(value) for value in vars(recogniser).values()))
    assert len(set(kept[2 * CONTEXT :])) == 1


@pytest.mark.parametrize("network", NETWORKS)
def test_a_causal_model_answers_from_all_that_it_remembers(network: str) -> None:
    """And as it would in the conversation as a whole."""
    trained = checkpoint_of(network, "causal")
    names = [["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn"][index * index % 6] for index in range(14)]
    turns = [utterance(index, ("audio",) if index % 4 == 2 else ()) for index in range(14)]
    recogniser = EmotionRecogniser(trained)
    opinions = []
    for index in range(14):
        recogniser.provisional(utterance(99), "somebody else")
        opinions.append(recogniser.final(turns[index], names[index]).probabilities)
    answers = trained.model(conversation_of(turns, names)).final[0] / trained.card.temperature
    np.testing.assert_allclose(np.stack(opinions), answers.softmax(-1).numpy(), atol=1e-5)


def conversation_of(turns: list[UtteranceFeatures], names: list[str]) -> Conversations:
    vectors = {
        m: [np.zeros(d, np.float32) if getattr(t, m) is None else getattr(t, m) for t in turns]
        for m, d in DIMS.items()
    }
    present = [[getattr(turn, m) is not None for m in MODALITIES] for turn in turns]
    return Conversations(
        {m: torch.from_numpy(np.stack(rows))[None] for m, rows in vectors.items()},
        torch.tensor([present]),
        torch.tensor([speakers_by_appearance(names)]),
        torch.ones(1, len(turns), dtype=torch.bool),
    )


def test_the_callers_arrays_are_copied(trained: Checkpoint) -> None:
    recogniser, other = EmotionRecogniser(trained), EmotionRecogniser(trained)
    given_features = utterance(0)
    recogniser.final(given_features, "Ada")
    other.final(utterance(0), "Ada")
    assert given_features.text is not None
    given_features.text[:] = 99
    assert same(recogniser.final(utterance(1), "Ben"), other.final(utterance(1), "Ben"))


def test_other_encoders_are_refused_by_both_names(trained: Checkpoint) -> None:
    trained.card.require("audio", "audio:1")
    with pytest.raises(InputError) as caught:
        trained.card.require("audio", "other:2")
    assert "'audio:1'" in str(caught.value)
    assert "'other:2'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_of_other_emotions_is_refused(trained: Checkpoint) -> None:
    card = msgspec.structs.replace(trained.card, emotions=["happy", "sad"])
    with pytest.raises(InputError, match="happy, sad") as caught:
        EmotionRecogniser(Checkpoint(trained.model, card))
    assert "\n" not in str(caught.value)


def test_the_temperature_is_that_of_the_modalities_that_are_there(trained: Checkpoint) -> None:
    card = msgspec.structs.replace(trained.card, by_presence={"text+visual": 5.0, "nothing": 0.1})
    other = EmotionRecogniser(Checkpoint(trained.model, card))
    plain = EmotionRecogniser(trained)
    for missing, factor in (((), 1.0), (("audio",), 10.0), (MODALITIES, 0.2)):
        before = np.log(plain.provisional(utterance(0, missing), "Ada").probabilities)
        after = np.log(other.provisional(utterance(0, missing), "Ada").probabilities)
        np.testing.assert_allclose(np.diff(after) * factor, np.diff(before), atol=1e-3)


def test_what_is_added_is_that_of_the_modalities_that_are_there(trained: Checkpoint) -> None:
    shift = [-1.0, 0.5, 0.0, 0.0, 2.0, 0.0, 0.0]
    card = msgspec.structs.replace(trained.card, shifts={"text+visual": shift})
    other, plain = EmotionRecogniser(Checkpoint(trained.model, card)), EmotionRecogniser(trained)
    for missing, added in (((), np.zeros(7)), (("audio",), np.array(shift))):
        before = plain.provisional(utterance(0, missing), "Ada")
        after = other.provisional(utterance(0, missing), "Ada")
        expected = before.probabilities * np.exp(added)
        np.testing.assert_allclose(after.probabilities, expected / expected.sum(), atol=1e-5)
        for m in MODALITIES:
            np.testing.assert_array_equal(after.modalities[m], before.modalities[m])


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


distributions = st.lists(st.floats(0.01, 1), min_size=7, max_size=7).map(
    lambda weights: [weight / sum(weights) for weight in weights]
)


def of_prior(trained: Checkpoint, prior: list[float]) -> Checkpoint:
    """A model that was calibrated to a prior, with a shift for words and face."""
    shifts = {"text+visual": [0.5, 0.0, -0.5, 0.0, 1.0, 0.0, 0.0]}
    card = msgspec.structs.replace(trained.card, prior=prior, shifts=shifts)
    return Checkpoint(trained.model, card)


def named(shares: list[float]) -> dict[str, float]:
    return dict(zip(EMOTIONS, shares, strict=True))


def moved(probabilities: np.ndarray, own: list[float], target: list[float]) -> np.ndarray:
    """The oracle: each class times its new share over its old one, then normalised."""
    raw = probabilities.astype(np.float64) * np.array(target) / np.array(own)
    return np.asarray(raw / raw.sum())


missing_some = st.sampled_from([(), ("audio",), ("text", "visual"), MODALITIES])


@given(seed=st.integers(0, 999), own=distributions, target=distributions, missing=missing_some)
def test_another_prior_moves_all_emotions_in_every_answer(
    trained: Checkpoint, seed: int, own: list[float], target: list[float], missing: tuple[str, ...]
) -> None:
    model, features = of_prior(trained, own), utterance(seed, missing)
    plain = EmotionRecogniser(model).final(features, "Ada")
    recogniser = EmotionRecogniser(model, prior=named(target))
    for before, after in zip(
        vectors(plain), vectors(recogniser.final(features, "Ada")), strict=True
    ):
        np.testing.assert_allclose(after, moved(before, own, target), rtol=1e-4, atol=1e-6)
    assert recogniser.prior == pytest.approx(target)


@given(seed=st.integers(0, 999), priors=st.tuples(distributions, distributions, distributions))
def test_two_moves_are_the_move_to_the_second(
    trained: Checkpoint, seed: int, priors: tuple[list[float], list[float], list[float]]
) -> None:
    own, between, last = priors
    model, features = of_prior(trained, own), utterance(seed)
    first = EmotionRecogniser(model, prior=named(between)).final(features, "Ada")
    at_once = EmotionRecogniser(model, prior=named(last)).final(features, "Ada")
    for before, after in zip(vectors(first), vectors(at_once), strict=True):
        np.testing.assert_allclose(after, moved(before, between, last), rtol=1e-3, atol=1e-6)


@given(seed=st.integers(0, 999), own=distributions)
def test_the_models_own_shares_change_no_label(
    trained: Checkpoint, seed: int, own: list[float]
) -> None:
    model = of_prior(trained, own)
    plain = EmotionRecogniser(model).final(utterance(seed), "Ada")
    given = EmotionRecogniser(model, prior=named(own)).final(utterance(seed), "Ada")
    for before, after in zip(vectors(plain), vectors(given), strict=True):
        assert before.argmax() == after.argmax()
        np.testing.assert_allclose(after, before, atol=1e-6)


def test_a_flat_prior_changes_nothing_in_a_flat_model(trained: Checkpoint) -> None:
    model = of_prior(trained, [1 / 7] * 7)
    plain = EmotionRecogniser(model).final(utterance(1), "Ada")
    assert same(plain, EmotionRecogniser(model, prior="flat").final(utterance(1), "Ada"))


def test_the_prior_of_the_model_moves_nothing_and_needs_none(trained: Checkpoint) -> None:
    plain = EmotionRecogniser(of_prior(trained, []))
    chosen = EmotionRecogniser(trained, prior="model")
    assert plain.prior is None
    assert chosen.prior is None
    assert same(plain.final(utterance(1), "Ada"), chosen.final(utterance(1), "Ada"))


@given(seed=st.integers(0, 999), prior=st.floats(0.01, 0.99))
def test_a_share_of_neutral_multiplies_its_odds(
    trained: Checkpoint, seed: int, prior: float
) -> None:
    """All emotions but neutral keep their proportions."""
    plain = EmotionRecogniser(trained).final(utterance(seed), "Ada")
    shifted = EmotionRecogniser(trained, prior=f"neutral:{prior}").final(utterance(seed), "Ada")
    for before, after in zip(vectors(plain), vectors(shifted), strict=True):
        ratio = np.array([prior / 0.4] + [(1 - prior) / 0.6] * 6)
        expected = before.astype(np.float64) * ratio
        np.testing.assert_allclose(after, expected / expected.sum(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("prior", ["neutral:0", "neutral:1", "calm", {"neutral": 1.0}])
def test_a_prior_that_is_none_is_refused(trained: Checkpoint, prior: str) -> None:
    with pytest.raises(InputError, match=r"recognition\.prior"):
        EmotionRecogniser(trained, prior=prior)


@pytest.mark.parametrize("own", [[], [0.0, *[1 / 6] * 6]])
def test_a_prior_needs_a_model_that_tells_its_own(trained: Checkpoint, own: list[float]) -> None:
    with pytest.raises(InputError, match="has no prior"):
        EmotionRecogniser(of_prior(trained, own), prior="flat")


def vectors(opinion: Opinion) -> list[np.ndarray]:
    return [
        opinion.probabilities,
        *(vector for vector in opinion.modalities.values() if vector is not None),
    ]
