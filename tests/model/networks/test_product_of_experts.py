"""The product of experts: what it answers is what its formula says."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gscon_live.model.labels import MODALITIES
from gscon_live.model.networks.network import Architecture, Conversations, build
from gscon_live.model.networks.product_of_experts import FLOOR, ProductOfExperts

CLASSES = 4
DIMS = {"text": 9, "audio": 4, "visual": 6}
SETS = [chosen for size in (1, 2, 3) for chosen in combinations(range(3), size)]


def product(seed: int = 0) -> ProductOfExperts:
    torch.manual_seed(seed)
    model = build(Architecture(DIMS, network="product", classes=CLASSES)).double()
    assert isinstance(model, ProductOfExperts)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    prior, *experts = torch.rand(4, CLASSES).add(0.1)
    model.set_priors(prior, dict(zip(MODALITIES, experts, strict=True)))
    return model.eval()


def utterance(seed: int, members: tuple[int, ...]) -> Conversations:
    random = torch.Generator().manual_seed(seed)
    features = {
        m: torch.cat(
            [
                torch.randn(1, 1, dim - CLASSES, generator=random),
                torch.randn(1, 1, CLASSES, generator=random).mul(2).log_softmax(-1),
            ],
            -1,
        ).double()
        for m, dim in DIMS.items()
    }
    present = torch.tensor([[[index in members for index in range(3)]]])
    nobody = torch.zeros(1, 1, dtype=torch.long)
    return Conversations(features, present, nobody, torch.ones(1, 1, dtype=torch.bool))


def probabilities(logits: Tensor) -> np.ndarray:
    return np.asarray(logits[0, 0].softmax(-1).detach().numpy())


def expected(model: ProductOfExperts, given: Conversations, members: tuple[int, ...]) -> np.ndarray:
    """The formula, written plainly."""
    likelihoods = {}
    for index in members:
        said = given.features[MODALITIES[index]][0, 0, -CLASSES:].exp().numpy()
        likelihood = said / model.expert_priors[index].exp().numpy()
        likelihood = np.maximum(likelihood / likelihood.max(), np.exp(-FLOOR))
        trust = np.log1p(np.exp(float(model.trust[index].detach()))) if len(members) > 1 else 1.0
        likelihoods[index] = likelihood**trust
    # All ways in which somebody may show an emotion, as a binary number: words are its highest bit.
    shares = np.exp(model.ways.detach().numpy())
    ways = [{m for m in range(3) if number >> (2 - m) & 1} for number in range(1, 8)]
    total, answer = 0.0, np.zeros(CLASSES)
    for share, shows in zip(shares, ways, strict=True):
        if not shows & {*members}:
            continue
        total += share
        for emotion in range(CLASSES):
            chance = share
            for m in members:
                chance = chance * likelihoods[m][emotion if m in shows else 0]
            answer[emotion] += chance
    answer = answer / total * model.prior.exp().numpy()
    return np.asarray(answer / answer.sum())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), members=st.sampled_from(SETS))
def test_likelihoods_are_multiplied_for_all_ways_to_show_an_emotion(
    seed: int, members: tuple[int, ...]
) -> None:
    model, given = product(seed), utterance(seed, members)
    np.testing.assert_allclose(
        probabilities(model(given).final), expected(model, given, members), rtol=1e-9
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), member=st.sampled_from(range(3)))
def test_alone_an_expert_is_only_moved_to_the_prior(seed: int, member: int) -> None:
    model, given = product(seed), utterance(seed, (member,))
    m = MODALITIES[member]
    model.set_priors(model.expert_priors[member].exp(), {
        name: row.exp() for name, row in zip(MODALITIES, model.expert_priors, strict=True)
    })  # fmt: skip
    said = given.features[m][0, 0, -CLASSES:].exp().numpy()
    # A likelihood is at least the floor, relative to the largest.
    prior = model.expert_priors[member].exp().numpy()
    likelihood = np.maximum(said / prior / (said / prior).max(), np.exp(-FLOOR))
    expected = prior * likelihood / (prior * likelihood).sum()
    np.testing.assert_allclose(probabilities(model(given).final), expected, atol=1e-6)
    np.testing.assert_allclose(probabilities(model(given).specific[m]), expected, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    members=st.sampled_from(SETS),
    emotion=st.integers(0, CLASSES - 1),
    more=st.floats(0.1, 3),
    data=st.data(),
)
def test_more_evidence_never_makes_an_emotion_less_probable(
    seed: int, members: tuple[int, ...], emotion: int, more: float, data: st.DataObject
) -> None:
    model, given = product(seed), utterance(seed, members)
    before = probabilities(model(given).final)[emotion]
    m = MODALITIES[data.draw(st.sampled_from(members))]
    given.features[m][..., DIMS[m] - CLASSES + emotion] += more
    assert probabilities(model(given).final)[emotion] >= before - 1e-12


def test_neutral_words_cost_little_where_voice_and_face_show_an_emotion() -> None:
    """And emotional words little where these are neutral; as it was learned."""
    model = product()
    model.ways.data = torch.tensor([0.0, 0.0, 3.0, 3.0, 0.0, 0.0, 3.0]).double()
    flat = torch.ones(CLASSES)
    model.set_priors(flat, dict.fromkeys(MODALITIES, flat))

    def answer(words: int, voice: int, face: int) -> np.ndarray:
        given = utterance(0, (0, 1, 2))
        for m, emotion in zip(MODALITIES, (words, voice, face), strict=True):
            shares = torch.full((CLASSES,), 0.1 / (CLASSES - 1))
            shares[emotion] = 0.9
            given.features[m][..., -CLASSES:] = shares.log()
        return probabilities(model(given).final)

    for shown in ((0, 2, 2), (2, 0, 0), (2, 2, 2)):
        assert answer(*shown).argmax() == 2
    assert answer(0, 0, 0).argmax() == 0
    # One of three says little against the two others.
    assert answer(0, 0, 2).argmax() == 0


def test_nothing_is_answered_by_the_prior() -> None:
    model = product()
    np.testing.assert_allclose(
        probabilities(model(utterance(1, ())).final), model.prior.exp().numpy()
    )


def test_no_expert_can_forbid_an_emotion() -> None:
    model, given = product(), utterance(1, (0,))
    given.features["text"][..., -1] = -1e9
    assert probabilities(model(given).final)[-1] > 0


def test_it_has_no_classifier_for_others_to_change() -> None:
    with pytest.raises(TypeError, match="no classifier"):
        _ = product().classifier
