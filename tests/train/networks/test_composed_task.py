"""A fusion trains: it learns, repeats itself, and its results become files."""

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from made_material import DIMS, RECIPE, material, split
from progress import quiet

from gscon_live.common.errors import InputError
from gscon_live.model import checkpoint
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.product_of_experts import ProductOfExperts
from gscon_live.train import evaluate, save_weights
from gscon_live.train.data.composed import ComposedSplit
from gscon_live.train.data.feature_banks import Bank
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.trainer import State, train
from gscon_live.train.networks import composed_task, composed_trainable
from gscon_live.train.networks.composed_task import ComposedMaterial, FusionResult
from gscon_live.train.networks.recipe import plan
from gscon_live.train.networks.task import ConversationTask
from gscon_live.train.scoring.calibration import softmax
from gscon_live.train.scoring.composed_scores import SUBSETS, SubsetScorer, draw_compositions
from gscon_live.train.scoring.measure import labelled, modality_set_names, predict


@pytest.fixture(scope="module")
def fitted() -> FusionResult:
    return composed_task.fit(RECIPE, material(), 1, quiet)


def test_training_learns_with_all_modalities_and_with_each(fitted: FusionResult) -> None:
    scores = fitted.scores["test"]
    assert scores["text+audio+visual"].accuracy > 0.5
    for m in MODALITIES:
        assert scores[m].accuracy > 2 / 7
    assert scores["nothing"].accuracy < scores["text+audio+visual"].accuracy


def test_training_again_gives_the_same_and_another_seed_does_not() -> None:
    short = msgspec.structs.replace(RECIPE, epochs=2)
    first, again, other = (composed_task.fit(short, material(), seed, quiet) for seed in (1, 1, 2))
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key])
    assert first.scores == again.scores != other.scores


@pytest.mark.parametrize("network", ["ada2i", "cmath", "dmd", "mmgcn", "dialogue_rnn"])
def test_another_network_in_place_of_gscon_is_trained_as_it_was_published(
    network: str, tmp_path: Path
) -> None:
    asked = composed_task.FusionRecipe(
        name="other", epochs=2, batch=32, width=16, heads=2, context=4, compositions=1,
        learning_rate=1e-3, model=network,
    )  # fmt: skip
    if network == "ada2i":
        asked = msgspec.structs.replace(asked, plugins={"ratio": {"start": 0}})
    made = composed_task.resolved(asked)
    assert not {"gdc", "ssc"} & {*(made.plugins or {})}
    given = material()
    one = composed_task.fit(made, given, 1, quiet)
    found = checkpoint.load(composed_trainable.save([one], made, given, tmp_path / "other"))
    assert found.card.architecture.network == network
    found.card.require_live()
    if made.plugins:
        plain = composed_task.fit(msgspec.structs.replace(made, plugins={}), given, 1, quiet)
        first, second = one.model.state_dict(), plain.model.state_dict()
        assert any(not torch.equal(value, second[name]) for name, value in first.items())


def test_a_product_of_experts_learns_whom_to_trust() -> None:
    """The voices and faces of this material tell more than its words."""
    made = composed_task.resolved(
        composed_task.FusionRecipe(
            name="product", epochs=6, batch=32, context=2, compositions=1, kinds=RECIPE.kinds
        )
    )
    given = as_log_probabilities(material())
    result = composed_task.fit(made, given, 1, quiet)
    assert isinstance(result.model, ProductOfExperts)
    rates = torch.bincount(given.train.emotions, minlength=7) / len(given.train.emotions)
    torch.testing.assert_close(result.model.prior.exp(), rates.float())
    scores = result.scores["test"]
    pairs = [name for name, keep in SUBSETS.items() if len(keep) == 2]
    assert scores["text+audio+visual"].accuracy > max(scores[pair].accuracy for pair in pairs)
    # Words alone: the answer is that of their expert.
    (way,) = draw_compositions(given.test, made.kinds, 1, 1).of(("text",))
    logits, _ = labelled(predict(result.model, way, ("text",)).final, way)
    said = torch.cat([dialogue.features["text"] for dialogue in way])
    moved = said[:, -7:] + result.model.prior - result.model.expert_priors[0]
    assert (logits.argmax(1) == moved.argmax(1).numpy()).all()


def as_log_probabilities(given: ComposedMaterial) -> ComposedMaterial:
    """The material with features that are log-probabilities, at the temperature 2."""

    def read(rows: torch.Tensor, name: str) -> torch.Tensor:
        centres = np.random.default_rng(99 + DIMS[name]).normal(size=(len(EMOTIONS), DIMS[name]))
        distances = (rows[..., None, :] - torch.from_numpy(centres)).square().sum(-1)
        return (-distances / 2).log_softmax(-1).float()

    def changed(parts: ComposedSplit) -> ComposedSplit:
        voices, faces = (
            Bank(read(torch.from_numpy(bank.vectors), name).numpy(), bank.emotions, bank.owners)
            for bank, name in ((parts.voices, "audio"), (parts.faces, "visual"))
        )
        return ComposedSplit(read(parts.text, "text"), parts.dialogues, voices, faces)

    train, validation, test = map(changed, (given.train, given.validation, given.test))
    return dataclasses.replace(
        given,
        train=train,
        validation=validation,
        test=test,
        recognised={0.3: test.text[:, 1]},
        dims=dict.fromkeys(MODALITIES, len(EMOTIONS)),
    )


def test_plugins_and_what_they_scale_are_for_fusions_too() -> None:
    short = msgspec.structs.replace(RECIPE, epochs=1)
    made = [
        composed_task.resolved(msgspec.structs.replace(short, plugins=plugins, scaled=scaled))
        for plugins, scaled in (
            ({}, "gradient"), ({"fagm": {}}, "gradient"), ({"fagm": {}}, "update"),
        )
    ]  # fmt: skip
    states = [composed_task.fit(one, material(), 1, quiet).model.state_dict() for one in made]
    for place, first in enumerate(states):
        for second in states[place + 1 :]:
            assert any(not torch.equal(value, second[name]) for name, value in first.items())
    with pytest.raises(InputError, match="take one"):
        composed_task.resolved(msgspec.structs.replace(short, plugins={"fagm": {}, "ogm_ge": {}}))
    with pytest.raises(InputError, match="there is one"):
        composed_task.resolved(
            msgspec.structs.replace(short, plugins={"hvd": {}}, without=("text", "audio"))
        )


def test_what_is_left_out_is_never_learned() -> None:
    short = msgspec.structs.replace(RECIPE, epochs=2, without=("text",))
    given = material()
    other = dataclasses.replace(
        given,
        train=dataclasses.replace(given.train, text=given.train.text.flip(0)),
        validation=dataclasses.replace(given.validation, text=given.validation.text.flip(0)),
    )
    first, second = (composed_task.fit(short, one, 1, quiet) for one in (given, other))
    assert first.best_epoch == second.best_epoch
    for name, value in first.model.state_dict().items():
        if "standardise" not in name:
            assert torch.equal(value, second.model.state_dict()[name]), name
    with_text = msgspec.structs.replace(RECIPE, epochs=2)
    third = composed_task.fit(with_text, given, 1, quiet)
    weights = first.model.state_dict()
    assert any(
        not torch.equal(value, weights[name])
        for name, value in third.model.state_dict().items()
        if "standardise" not in name and name in weights and value.shape == weights[name].shape
    )


def test_test_data_has_no_say() -> None:
    """Neither in the network, nor in the epoch, nor in the calibration."""
    short = msgspec.structs.replace(RECIPE, epochs=2)
    first = composed_task.fit(short, material(), 1, quiet)
    test = split(5, 77)
    other = dataclasses.replace(material(), test=test, recognised={0.3: test.text[:, 1]})
    second = composed_task.fit(short, other, 1, quiet)
    assert (first.best_epoch, first.calibration) == (second.best_epoch, second.calibration)
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[key])


def test_validation_data_does_not_train() -> None:
    one_epoch = msgspec.structs.replace(RECIPE, epochs=1)
    given = material()
    first = composed_task.fit(one_epoch, given, 1, quiet)
    second = composed_task.fit(
        one_epoch, dataclasses.replace(given, validation=split(9, 55)), 1, quiet
    )
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[key])


def test_each_temperature_makes_validation_labels_most_probable(fitted: FusionResult) -> None:
    given = material()
    composed = draw_compositions(given.validation, RECIPE.kinds, RECIPE.compositions, 101)
    frequent = np.bincount(given.train.emotions, minlength=len(EMOTIONS)) / np.bincount(
        given.validation.emotions, minlength=len(EMOTIONS)
    )
    for name, keep in SUBSETS.items():
        found = []
        for way in composed.agreeing if len(keep) == 1 else composed.mixed:
            there = np.array(modality_set_names(MODALITIES, way, keep)) == name
            logits, labels = labelled(predict(fitted.model, way, keep).final, way)
            found.append((logits[there], labels[there]))

        shift = np.array(fitted.calibration.shifts.get(name, 0.0))

        def surprise(
            temperature: float,
            found: list[tuple[np.ndarray, np.ndarray]],
            shift: np.ndarray = shift,
        ) -> float:
            chosen = [
                softmax(logits, temperature, shift)[np.arange(len(known)), known]
                for logits, known in found
            ]
            known = np.concatenate([labels for _, labels in found])
            # Each emotion counts as if it were as frequent as in training.
            return -float(np.average(np.log(np.concatenate(chosen)), weights=frequent[known]))

        temperature = fitted.calibration.by_presence[name]
        best = surprise(temperature, found)
        assert best <= surprise(min(temperature * 1.15, 5.0), found) + 1e-9
        assert best <= surprise(max(temperature / 1.15, 0.3), found) + 1e-9


def test_the_epoch_with_the_best_mean_over_subsets_is_kept() -> None:
    """The mean of weighted and macro F1, of all sets of what training has."""
    given = material()
    short = msgspec.structs.replace(RECIPE, epochs=3, compositions=1, without=("visual",))
    result = composed_task.fit(short, given, 1, quiet)
    composed = draw_compositions(given.validation, RECIPE.kinds, 1, 101)
    figures = []
    for keep in (("text", "audio"), ("text",), ("audio",)):
        (way,) = composed.of(keep)
        logits, labels = labelled(predict(result.model, way, keep).final, way)
        f1 = [f1_score(labels, logits.argmax(1), average=kind) for kind in ("weighted", "macro")]
        figures.append(np.mean(f1))
    assert result.selection == pytest.approx(np.mean(figures))
    assert len(result.history) == short.epochs + 1
    kept = result.history[result.best_epoch]
    (way,) = composed.of(("text",))
    logits, labels = labelled(predict(result.model, way, ("text",)).final, way)
    assert kept["text"] == pytest.approx(f1_score(labels, logits.argmax(1), average="weighted"))


def f1_score(labels: np.ndarray, answers: np.ndarray, average: str) -> float:
    """From its definition, over the classes that are labels."""
    scores, counts = [], []
    for label in sorted({*labels.tolist()}):
        hits = ((labels == label) & (answers == label)).sum()
        scores.append(2 * hits / ((labels == label).sum() + (answers == label).sum()))
        counts.append((labels == label).sum())
    return float(np.average(scores, weights=counts if average == "weighted" else None))


def test_an_interrupted_training_goes_on_to_the_same_weights() -> None:
    short = msgspec.structs.replace(
        RECIPE, epochs=2, compositions=1, average=0.9, precision="bf16-mixed"
    )
    given, on = material(), launch_fabric("cpu", precision=short.precision)

    class Stop:
        state: State

        def step(self, done: int, total: int, means: object) -> None:
            pass

        def epoch(self, state: State) -> None:
            self.state = state
            raise KeyboardInterrupt

    def task() -> ConversationTask:
        corpus = composed_task.corpus(short, given)
        drawn = draw_compositions(given.validation, short.kinds, 1, 101)
        judge = SubsetScorer(drawn, short.kept)
        return ConversationTask(short, corpus, 1, on, judge)

    stop = Stop()
    with pytest.raises(KeyboardInterrupt):
        train(task(), plan(short, 1), on, None, stop)
    whole = composed_task.fit(short, given, 1, quiet)
    went_on = composed_task.fit(
        short, given, 1, quiet, lambda task, how, on: train(task, how, on, stop.state)
    )
    assert went_on.history == whole.history
    assert went_on.scores == whole.scores
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, went_on.model.state_dict()[name])


def test_patience_ends_a_training() -> None:
    endless = msgspec.structs.replace(
        RECIPE, epochs=40, patience=1, learning_rate=1e-9, compositions=1
    )
    result = composed_task.fit(endless, material(), 1, quiet)
    assert len(result.history) == result.best_epoch + 2 < 40


def test_a_run_becomes_a_checkpoint_that_can_be_evaluated_and_shipped(
    fitted: FusionResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    second = dataclasses.replace(fitted, seed=2, selection=fitted.selection - 0.1)
    made = composed_trainable.save([fitted, second], RECIPE, material(), tmp_path / "run")
    loaded = checkpoint.load(made)
    assert loaded.card.seeds == [1, 2]
    assert torch.equal(
        loaded.model.state_dict()["final.0.weight"], fitted.model.state_dict()["final.0.weight"]
    )
    assert (tmp_path / "run" / "seed-2" / "toy.safetensors").is_file()

    evaluate.main([str(made), "--json"])
    printed = msgspec.json.decode(capsysbinary.readouterr().out)
    figure = printed["modalities"]["text"]["weighted_f1"]
    assert figure["mean"] == pytest.approx(fitted.scores["test"]["text"].weighted_f1)
    assert figure["sd"] == 0
    agreeing = {f"{name}; all agree" for name, keep in SUBSETS.items() if len(keep) > 1}
    assert set(printed["modalities"]) == {*SUBSETS, "text; 30% of words wrong", *agreeing}
    both, often = (
        fitted.scores["test"][f"audio+visual{one}"].weighted_f1 for one in ("; all agree", "")
    )
    assert both > often
    history = msgspec.json.decode((tmp_path / "run" / "history.json").read_bytes())
    assert set(history) == {"1", "2"}
    assert len(history["1"]) == RECIPE.epochs + 1
    assert max(one["text"] for one in history["1"]) > history["1"][0]["text"]
    assert set(printed["modalities"]["audio"]["per_class"]) == set(EMOTIONS)

    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(checkpoint, "WEIGHTS", tmp_path / "weights")
    written = save_weights.ship(made)
    assert {path.name for path in written} == {"toy.safetensors", "toy.json", "toy.md"}
    assert checkpoint.load("toy").card == loaded.card


def test_a_modality_that_is_never_there_cannot_come_alone() -> None:
    both = msgspec.structs.replace(RECIPE, alone=0.5, without=("text",))
    with pytest.raises(InputError, match="alone=0"):
        composed_task.resolved(both)


def test_mean_and_deviation_are_over_seeds(fitted: FusionResult) -> None:
    one = fitted.scores["test"]["text"]
    other = msgspec.structs.replace(one, weighted_f1=one.weighted_f1 + 0.2)
    moved = dataclasses.replace(
        fitted, scores={**fitted.scores, "test": {**fitted.scores["test"], "text": other}}
    )
    figures = composed_trainable.over_seeds([fitted, moved])["text"]["weighted_f1"]
    assert figures["mean"] == pytest.approx(one.weighted_f1 + 0.1)
    assert figures["sd"] == pytest.approx(0.2 / 2**0.5)
