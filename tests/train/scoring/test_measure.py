"""The protocol answers in every context and with every set of modalities what it says it does."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import DIMS, corpus, dialogue, network, trained
from sklearn.metrics import f1_score

from gscon_live.model.checkpoint import modality_set_name
from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.networks.network import Conversations, Mode, Network
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue
from gscon_live.train.scoring.measure import (
    CONTEXTS,
    Context,
    calibrate,
    context_name,
    measure,
    predict,
    subsets,
)
from gscon_live.train.scoring.metrics import calibration_error

MODES: tuple[Mode, ...] = ("full", "causal", "buffer")
GIVEN = corpus()


def shown(one: FeaturedDialogue, rows: slice) -> Conversations:
    """Some utterances of a dialogue, as if there were no others."""
    return Conversations(
        {m: x[None, rows] for m, x in one.features.items()},
        one.present[None, rows],
        torch.tensor([speakers_by_appearance(one.speakers[rows].tolist())]),
        torch.ones(1, len(one.labels[rows]), dtype=torch.bool),
    )


def expected(made: Network, one: FeaturedDialogue, context: Context) -> np.ndarray:
    """Logits of a dialogue, utterance by utterance where the context is a window."""
    if context == "as_trained" and made.architecture.mode != "buffer":
        return made(shown(one, slice(None))).final[0].detach().numpy()
    size = made.architecture.context if context == "as_trained" else context
    rows = [
        made(shown(one, slice(max(0, place - size + 1), place + 1))).final[0, -1]
        for place in range(len(one.labels))
    ]
    return torch.stack(rows).detach().numpy()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("context", CONTEXTS)
def test_every_utterance_is_answered_from_its_context_and_nothing_else(
    mode: Mode, context: Context
) -> None:
    made = network(GIVEN, mode)
    dialogues = GIVEN.splits["test"]
    found = predict(made, dialogues, context=context)
    assert len(found.final) == len(dialogues)
    for one, logits in zip(dialogues, found.final, strict=True):
        assert logits == pytest.approx(expected(made, one, context), abs=1e-4)


def test_contexts_differ_where_the_conversation_is_longer_than_they_are() -> None:
    made = trained(GIVEN, "causal")
    dialogues = [one for one in GIVEN.splits["test"] if len(one.labels) > 4]
    answers = [np.concatenate(predict(made, dialogues, context=c).final) for c in CONTEXTS[:3]]
    assert not np.allclose(answers[0], answers[1], atol=1e-3)
    assert not np.allclose(answers[0], answers[2], atol=1e-3)
    assert not np.allclose(answers[1], answers[2], atol=1e-3)
    enough = np.concatenate(predict(made, dialogues, context=16).final)
    assert enough == pytest.approx(answers[0], abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(
    mode=st.sampled_from(MODES),
    size=st.sampled_from([1, 4, 8]),
    place=st.integers(0, 13),
    seed=st.integers(0, 3),
)
def test_in_a_window_neither_the_future_nor_the_far_past_has_a_say(
    mode: Mode, size: int, place: int, seed: int
) -> None:
    dims = {m: DIMS[m] for m in GIVEN.modalities}
    one = dialogue("one", 14, dims, 3, seed)
    outside = torch.ones(14, dtype=torch.bool)
    outside[max(0, place - size + 1) : place + 1] = False
    other = dataclasses.replace(
        one,
        features={m: torch.where(outside[:, None], x + 3, x) for m, x in one.features.items()},
        present=torch.where(outside[:, None], ~one.present, one.present),
    )
    made = network(GIVEN, mode)
    first, second = (predict(made, [it], context=size).final[0][place] for it in (one, other))
    assert first == pytest.approx(second, abs=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("context", ["as_trained", 4])
def test_what_is_not_kept_has_no_say(mode: Mode, context: Context) -> None:
    made = network(GIVEN, mode)
    dialogues = GIVEN.splits["test"]
    for name, keep in subsets(GIVEN.modalities).items():
        changed = [
            dataclasses.replace(
                one,
                features={
                    m: x if m in keep else torch.full_like(x, torch.nan)
                    for m, x in one.features.items()
                },
            )
            for one in dialogues
        ]
        first = np.concatenate(predict(made, dialogues, keep, context).final)
        second = np.concatenate(predict(made, changed, keep, context).final)
        assert np.array_equal(first, second), name
        whole = np.concatenate(predict(made, dialogues, None, context).final)
        assert (set(keep) == set(GIVEN.modalities)) == np.array_equal(first, whole)


def test_subsets_are_all_sets_of_modalities() -> None:
    assert list(subsets(("text", "audio"))) == ["text+audio", "text", "audio"]
    seven = subsets(("text", "audio", "visual"))
    assert len(seven) == 7
    assert all(modality_set_name(keep) == name for name, keep in seven.items())


def labels_of(given: FeaturedCorpus, split: str) -> np.ndarray:
    return np.concatenate([one.labels.numpy() for one in given.splits[split]])


@pytest.fixture(scope="module")
def made() -> Network:
    return trained(GIVEN, "causal")


def test_scores_are_of_labelled_utterances_at_the_temperature_of_validation(made: Network) -> None:
    told: list[tuple[int, int]] = []
    found = measure(made, GIVEN, ("as_trained", 4), lambda done, total: told.append((done, total)))
    # All three sets as trained, and all modalities in the window.
    assert told == [(step, 4) for step in range(1, 5)]
    assert set(found) == {"validation", "test"}
    every = subsets(GIVEN.modalities)
    measured = {"as_trained": every, 4: {"text+audio": every["text+audio"]}}
    for context, sets in measured.items():
        assert set(found["test"][context_name(context)]) == set(sets)
        for name, keep in sets.items():
            temperature = found["validation"][context_name(context)][name].temperature
            for split in ("validation", "test"):
                one = found[split][context_name(context)][name]
                logits = np.concatenate(predict(made, GIVEN.splits[split], keep, context).final)
                labels = labels_of(GIVEN, split)
                counted = labels >= 0
                assert counted.sum() < len(labels)
                assert one.scores.count == counted.sum() == one.confusions.sum()
                reference = f1_score(
                    labels[counted], logits[counted].argmax(1), average="weighted", zero_division=0
                )
                assert one.scores.weighted_f1 == pytest.approx(reference)
                assert one.temperature == temperature
                for divide, error in ((1.0, one.uncalibrated_ece), (temperature, one.scores.ece)):
                    chances = torch.from_numpy(logits[counted] / divide).softmax(-1).numpy()
                    assert error == pytest.approx(
                        calibration_error(chances, labels[counted]), abs=1e-6
                    )
                assert np.array_equal(np.concatenate(one.answers), logits.argmax(1))
                assert one.confusions.sum(0).tolist() == one.scores.confusion


def test_a_trained_network_scores_better_than_a_fresh_one(made: Network) -> None:
    scores = [
        measure(one, GIVEN, ("as_trained",))["test"]["as_trained"]["text+audio"].scores
        for one in (network(GIVEN), made)
    ]
    assert scores[1].weighted_f1 > scores[0].weighted_f1 + 0.2


def test_test_labels_decide_nothing_but_the_scores_of_test(made: Network) -> None:
    relabelled = tuple(
        dataclasses.replace(one, labels=torch.where(one.labels >= 0, 2 - one.labels, -1))
        for one in GIVEN.splits["test"]
    )
    other = dataclasses.replace(GIVEN, splits={**GIVEN.splits, "test": relabelled})
    first, second = (measure(made, it, ("as_trained",)) for it in (GIVEN, other))
    for name in subsets(GIVEN.modalities):
        before, after = first["test"]["as_trained"][name], second["test"]["as_trained"][name]
        assert before.temperature == after.temperature
        assert all(map(np.array_equal, before.answers, after.answers))
        assert before.scores != after.scores
        unseen = (one["validation"]["as_trained"][name].scores for one in (first, second))
        assert next(unseen) == next(unseen)


def test_the_temperatures_of_a_card_are_by_what_utterances_have(made: Network) -> None:
    dialogues = GIVEN.splits["validation"]
    found = calibrate(made, dialogues)
    assert set(found.by_presence) == {"text+audio", "text", "audio", "nothing"}
    assert set(found.unimodal) == {"text", "audio"}
    labels = labels_of(GIVEN, "validation")
    has_audio = np.concatenate([one.present[:, 1].numpy() for one in dialogues])

    def surprise(logits: list[np.ndarray], rows: np.ndarray, temperature: float) -> float:
        chosen = np.concatenate(logits)[rows] / temperature
        logs = torch.from_numpy(chosen).log_softmax(-1).numpy()
        return -float(logs[np.arange(len(chosen)), labels[rows]].mean())

    everything = predict(made, dialogues)
    for logits, rows, temperature in (
        (everything.final, (labels >= 0) & has_audio, found.by_presence["text+audio"]),
        (predict(made, dialogues, ("text",)).final, labels >= 0, found.by_presence["text"]),
        (predict(made, dialogues, ()).final, labels >= 0, found.by_presence["nothing"]),
        (everything.unimodal["audio"], (labels >= 0) & has_audio, found.unimodal["audio"]),
        (everything.unimodal["text"], labels >= 0, found.unimodal["text"]),
    ):
        best = surprise(logits, rows, temperature)
        for other in (max(0.3, temperature / 1.2), min(5.0, temperature * 1.2)):
            assert best <= surprise(logits, rows, other) + 1e-6


def test_predicting_uses_no_dropout_even_on_a_network_in_training(made: Network) -> None:
    first = predict(made, GIVEN.splits["test"]).final
    second = predict(made.train(), GIVEN.splits["test"]).final
    assert all(map(np.array_equal, first, second))
