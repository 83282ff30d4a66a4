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
CORPUS = corpus()


def shown(dialogue: FeaturedDialogue, rows: slice) -> Conversations:
    """Some utterances of a dialogue, as if there were no others."""
    return Conversations(
        {m: x[None, rows] for m, x in dialogue.features.items()},
        dialogue.present[None, rows],
        torch.tensor([speakers_by_appearance(dialogue.speakers[rows].tolist())]),
        torch.ones(1, len(dialogue.labels[rows]), dtype=torch.bool),
    )


def expected(model: Network, dialogue: FeaturedDialogue, context: Context) -> np.ndarray:
    """Logits of a dialogue, utterance by utterance where the context is a window."""
    if context == "as_trained" and model.architecture.mode != "buffer":
        return model(shown(dialogue, slice(None))).final[0].detach().numpy()
    size = model.architecture.context if context == "as_trained" else context
    rows = [
        model(shown(dialogue, slice(max(0, place - size + 1), place + 1))).final[0, -1]
        for place in range(len(dialogue.labels))
    ]
    return torch.stack(rows).detach().numpy()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("context", CONTEXTS)
def test_every_utterance_is_answered_from_its_context_and_nothing_else(
    mode: Mode, context: Context
) -> None:
    model = network(CORPUS, mode)
    dialogues = CORPUS.splits["test"]
    predictions = predict(model, dialogues, context=context)
    assert len(predictions.final) == len(dialogues)
    for turns, logits in zip(dialogues, predictions.final, strict=True):
        assert logits == pytest.approx(expected(model, turns, context), abs=1e-4)


def test_contexts_differ_where_the_conversation_is_longer_than_they_are() -> None:
    model = trained(CORPUS, "causal")
    dialogues = [dialogue for dialogue in CORPUS.splits["test"] if len(dialogue.labels) > 4]
    answers = [np.concatenate(predict(model, dialogues, context=c).final) for c in CONTEXTS[:3]]
    assert not np.allclose(answers[0], answers[1], atol=1e-3)
    assert not np.allclose(answers[0], answers[2], atol=1e-3)
    assert not np.allclose(answers[1], answers[2], atol=1e-3)
    enough = np.concatenate(predict(model, dialogues, context=16).final)
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
    dims = {m: DIMS[m] for m in CORPUS.modalities}
    original = dialogue("one", 14, dims, 3, seed)
    outside = torch.ones(14, dtype=torch.bool)
    outside[max(0, place - size + 1) : place + 1] = False
    other = dataclasses.replace(
        original,
        features={m: torch.where(outside[:, None], x + 3, x) for m, x in original.features.items()},
        present=torch.where(outside[:, None], ~original.present, original.present),
    )
    model = network(CORPUS, mode)
    first, second = (
        predict(model, [conversation], context=size).final[0][place]
        for conversation in (original, other)
    )
    assert first == pytest.approx(second, abs=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("context", ["as_trained", 4])
def test_what_is_not_kept_has_no_say(mode: Mode, context: Context) -> None:
    model = network(CORPUS, mode)
    dialogues = CORPUS.splits["test"]
    for name, keep in subsets(CORPUS.modalities).items():
        changed = [
            dataclasses.replace(
                dialogue,
                features={
                    m: x if m in keep else torch.full_like(x, torch.nan)
                    for m, x in dialogue.features.items()
                },
            )
            for dialogue in dialogues
        ]
        first = np.concatenate(predict(model, dialogues, keep, context).final)
        second = np.concatenate(predict(model, changed, keep, context).final)
        assert np.array_equal(first, second), name
        unmasked = np.concatenate(predict(model, dialogues, None, context).final)
        assert (set(keep) == set(CORPUS.modalities)) == np.array_equal(first, unmasked)


def test_subsets_are_all_sets_of_modalities() -> None:
    assert list(subsets(("text", "audio"))) == ["text+audio", "text", "audio"]
    seven = subsets(("text", "audio", "visual"))
    assert len(seven) == 7
    assert all(modality_set_name(keep) == name for name, keep in seven.items())


def labels_of(data: FeaturedCorpus, split: str) -> np.ndarray:
    return np.concatenate([dialogue.labels.numpy() for dialogue in data.splits[split]])


@pytest.fixture(scope="module")
def model() -> Network:
    return trained(CORPUS, "causal")


def test_scores_are_of_labelled_utterances_at_the_temperature_of_validation(model: Network) -> None:
    reports: list[tuple[int, int]] = []
    measurements = measure(
        model, CORPUS, ("as_trained", 4), lambda done, total: reports.append((done, total))
    )
    # All three sets as trained, and all modalities in the window.
    assert reports == [(step, 4) for step in range(1, 5)]
    assert set(measurements) == {"validation", "test"}
    all_subsets = subsets(CORPUS.modalities)
    measured = {"as_trained": all_subsets, 4: {"text+audio": all_subsets["text+audio"]}}
    for context, sets in measured.items():
        assert set(measurements["test"][context_name(context)]) == set(sets)
        for name, keep in sets.items():
            temperature = measurements["validation"][context_name(context)][name].temperature
            for split in ("validation", "test"):
                measurement = measurements[split][context_name(context)][name]
                logits = np.concatenate(predict(model, CORPUS.splits[split], keep, context).final)
                labels = labels_of(CORPUS, split)
                counted = labels >= 0
                assert counted.sum() < len(labels)
                assert measurement.scores.count == counted.sum() == measurement.confusions.sum()
                reference = f1_score(
                    labels[counted], logits[counted].argmax(1), average="weighted", zero_division=0
                )
                assert measurement.scores.weighted_f1 == pytest.approx(reference)
                assert measurement.temperature == temperature
                for divide, error in (
                    (1.0, measurement.uncalibrated_ece),
                    (temperature, measurement.scores.ece),
                ):
                    chances = torch.from_numpy(logits[counted] / divide).softmax(-1).numpy()
                    assert error == pytest.approx(
                        calibration_error(chances, labels[counted]), abs=1e-6
                    )
                assert np.array_equal(np.concatenate(measurement.answers), logits.argmax(1))
                assert measurement.confusions.sum(0).tolist() == measurement.scores.confusion


def test_a_trained_network_scores_better_than_a_fresh_one(model: Network) -> None:
    scores = [
        measure(candidate, CORPUS, ("as_trained",))["test"]["as_trained"]["text+audio"].scores
        for candidate in (network(CORPUS), model)
    ]
    assert scores[1].weighted_f1 > scores[0].weighted_f1 + 0.2


def test_test_labels_decide_nothing_but_the_scores_of_test(model: Network) -> None:
    relabelled = tuple(
        dataclasses.replace(
            dialogue, labels=torch.where(dialogue.labels >= 0, 2 - dialogue.labels, -1)
        )
        for dialogue in CORPUS.splits["test"]
    )
    other = dataclasses.replace(CORPUS, splits={**CORPUS.splits, "test": relabelled})
    first, second = (measure(model, data, ("as_trained",)) for data in (CORPUS, other))
    for name in subsets(CORPUS.modalities):
        before, after = first["test"]["as_trained"][name], second["test"]["as_trained"][name]
        assert before.temperature == after.temperature
        assert all(map(np.array_equal, before.answers, after.answers))
        assert before.scores != after.scores
        unseen = (result["validation"]["as_trained"][name].scores for result in (first, second))
        assert next(unseen) == next(unseen)


def test_the_temperatures_of_a_card_are_by_what_utterances_have(model: Network) -> None:
    dialogues = CORPUS.splits["validation"]
    calibration = calibrate(model, dialogues)
    assert set(calibration.by_presence) == {"text+audio", "text", "audio", "nothing"}
    assert set(calibration.unimodal) == {"text", "audio"}
    labels = labels_of(CORPUS, "validation")
    has_audio = np.concatenate([dialogue.present[:, 1].numpy() for dialogue in dialogues])

    def negative_log_likelihood(
        logits: list[np.ndarray], rows: np.ndarray, temperature: float
    ) -> float:
        chosen = np.concatenate(logits)[rows] / temperature
        logs = torch.from_numpy(chosen).log_softmax(-1).numpy()
        return -float(logs[np.arange(len(chosen)), labels[rows]].mean())

    everything = predict(model, dialogues)
    for logits, rows, temperature in (
        (everything.final, (labels >= 0) & has_audio, calibration.by_presence["text+audio"]),
        (predict(model, dialogues, ("text",)).final, labels >= 0, calibration.by_presence["text"]),
        (predict(model, dialogues, ()).final, labels >= 0, calibration.by_presence["nothing"]),
        (everything.unimodal["audio"], (labels >= 0) & has_audio, calibration.unimodal["audio"]),
        (everything.unimodal["text"], labels >= 0, calibration.unimodal["text"]),
    ):
        best = negative_log_likelihood(logits, rows, temperature)
        for other in (max(0.3, temperature / 1.2), min(5.0, temperature * 1.2)):
            assert best <= negative_log_likelihood(logits, rows, other) + 1e-6


def test_predicting_uses_no_dropout_even_on_a_network_in_training(model: Network) -> None:
    first = predict(model, CORPUS.splits["test"]).final
    second = predict(model.train(), CORPUS.splits["test"]).final
    assert all(map(np.array_equal, first, second))
