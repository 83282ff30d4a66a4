"""A fusion trains: it learns, repeats itself, and its results become files."""

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from made_material import RECIPE, corpus, material
from progress import quiet

from gscon_live.common.errors import InputError
from gscon_live.model import checkpoint
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.network import build
from gscon_live.train import evaluate, install
from gscon_live.train.data.composed import batch, compose
from gscon_live.train.networks import composed_task
from gscon_live.train.networks.composed_task import Fitted, architecture, objective
from gscon_live.train.scoring import composed_scores
from gscon_live.train.scoring.calibration import softmax
from gscon_live.train.scoring.composed_scores import SUBSETS


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return composed_task.fit(RECIPE, material(), 1, quiet)


def test_training_learns_with_all_modalities_and_with_each(fitted: Fitted) -> None:
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
        model=network,
    )  # fmt: skip
    if network == "ada2i":
        asked = msgspec.structs.replace(asked, plugins={"ratio": {"start": 0}})
    made = composed_task.resolved(asked)
    assert (made.gdc, made.ssc) == (0, 0)
    given = material()
    one = composed_task.fit(made, given, 1, quiet)
    found = checkpoint.load(install.fusion([one], made, given, tmp_path / "other"))
    assert found.card.architecture.network == network
    found.card.require_live()
    if made.plugins:
        plain = composed_task.fit(msgspec.structs.replace(made, plugins={}), given, 1, quiet)
        first, second = one.model.state_dict(), plain.model.state_dict()
        assert any(not torch.equal(value, second[name]) for name, value in first.items())


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
    assert composed_task.fit(with_text, given, 1, quiet).selection != first.selection


def test_test_data_has_no_say() -> None:
    """Neither in the network, nor in the epoch, nor in the calibration."""
    short = msgspec.structs.replace(RECIPE, epochs=2)
    first = composed_task.fit(short, material(), 1, quiet)
    second = composed_task.fit(short, dataclasses.replace(material(), test=corpus(5, 77)), 1, quiet)
    assert (first.best_epoch, first.calibration) == (second.best_epoch, second.calibration)
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[key])


def test_validation_data_does_not_train() -> None:
    one_epoch = msgspec.structs.replace(RECIPE, epochs=1)
    given = material()
    first = composed_task.fit(one_epoch, given, 1, quiet)
    second = composed_task.fit(
        one_epoch, dataclasses.replace(given, validation=corpus(9, 55)), 1, quiet
    )
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[key])


def test_each_temperature_makes_validation_labels_most_probable(fitted: Fitted) -> None:
    given = material()
    agreement = {"audio": RECIPE.audio, "visual": RECIPE.visual}
    ways = composed_scores.compositions_of(given.validation, agreement, RECIPE.compositions, 101)
    labels = given.validation.emotions.numpy()
    for name, keep in SUBSETS.items():
        found = []
        for way in ways:
            there = np.array(composed_scores._presence(way, keep)) == name
            logits = composed_scores.predict(fitted.model, given.validation, way, keep)["final"]
            found.append((logits[there], labels[there]))

        def surprise(temperature: float, found: list[tuple[np.ndarray, np.ndarray]]) -> float:
            chosen = [
                softmax(logits, temperature)[np.arange(len(known)), known]
                for logits, known in found
            ]
            return -float(np.log(np.concatenate(chosen)).mean())

        temperature = fitted.calibration.by_presence[name]
        best = surprise(temperature, found)
        assert best <= surprise(min(temperature * 1.15, 5.0), found) + 1e-9
        assert best <= surprise(max(temperature / 1.15, 0.3), found) + 1e-9


def losses_of(**changes: float) -> float:
    torch.manual_seed(0)
    given = material()
    model = build(architecture(RECIPE, given.dims)).eval()
    agreement = {"audio": RECIPE.audio, "visual": RECIPE.visual}
    way = compose(given.train, agreement, np.random.default_rng(0), clean=True)
    rows = torch.arange(64)
    windows = batch(given.train, way, rows)
    recipe = msgspec.structs.replace(RECIPE, **changes)
    random = torch.Generator().manual_seed(0)
    value, _ = objective(model, [], windows, given.train.emotions[rows], None, recipe, random)
    return value.item()


def test_the_consistency_losses_are_part_of_the_objective_by_their_weights() -> None:
    plain = losses_of(gdc=0.0, ssc=0.0)
    structure = losses_of(gdc=0.0, ssc=1.0) - plain
    direction = losses_of(gdc=1.0, ssc=0.0) - plain
    assert structure > 0
    assert -1 <= direction < 0
    assert losses_of(gdc=0.5, ssc=2.0) == pytest.approx(
        plain + 2 * structure + 0.5 * direction, rel=1e-5
    )


def test_a_run_becomes_a_checkpoint_that_can_be_evaluated_and_shipped(
    fitted: Fitted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    second = dataclasses.replace(fitted, seed=2, selection=fitted.selection - 0.1)
    made = install.fusion([fitted, second], RECIPE, material(), tmp_path / "run")
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
    misheard = {f"{name}; 30% of words wrong" for name in SUBSETS if "text" in name}
    seen = [name for name in SUBSETS if "audio" in name or "visual" in name]
    as_labelled = {f"{name}; voice and face as labelled" for name in seen}
    assert set(printed["modalities"]) == {*SUBSETS, *misheard, *as_labelled}
    both, often = (
        fitted.scores["test"][f"audio+visual{one}"].weighted_f1
        for one in ("; voice and face as labelled", "")
    )
    assert both > often
    history = msgspec.json.decode((tmp_path / "run" / "history.json").read_bytes())
    assert set(history) == {"1", "2"}
    assert len(history["1"]) == RECIPE.epochs + 1
    assert max(one["text"] for one in history["1"]) > history["1"][0]["text"]
    assert set(printed["modalities"]["audio"]["per_class"]) == set(EMOTIONS)

    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(checkpoint, "WEIGHTS", tmp_path / "weights")
    written = install.ship(made)
    assert {path.name for path in written} == {"toy.safetensors", "toy.json", "toy.md"}
    assert checkpoint.load("toy").card == loaded.card


def test_mean_and_deviation_are_over_seeds(fitted: Fitted) -> None:
    one = fitted.scores["test"]["text"]
    other = msgspec.structs.replace(one, weighted_f1=one.weighted_f1 + 0.2)
    moved = dataclasses.replace(
        fitted, scores={**fitted.scores, "test": {**fitted.scores["test"], "text": other}}
    )
    figures = install.over_seeds([fitted, moved])["text"]["weighted_f1"]
    assert figures["mean"] == pytest.approx(one.weighted_f1 + 0.1)
    assert figures["sd"] == pytest.approx(0.2 / 2**0.5)
