"""A run on composed conversations goes on where it was interrupted, and is not made twice."""

from pathlib import Path

import msgspec
import pytest
import torch
from interrupting import stopping_after
from made_material import RECIPE, material
from safetensors.torch import load_file

from gscon_live.common.errors import InputError
from gscon_live.model import checkpoint
from gscon_live.train.networks import composed_task
from gscon_live.train.networks.composed_trainable import ComposedTrainable
from gscon_live.train.progress import Reporting

SHORT = msgspec.structs.replace(RECIPE, name="toy", epochs=3, seeds=2)


def trained(folder: Path, recipe: composed_task.FusionRecipe = SHORT) -> Path:
    return ComposedTrainable().fit(recipe, folder, Reporting(lambda *_: None))


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composed_task, "material", lambda *_: material())
    monkeypatch.setattr(composed_task, "shipped_encoders", lambda: material().encoders)


def test_an_interrupted_run_goes_on_to_the_same_weights_and_scores(tmp_path: Path) -> None:
    with stopping_after(2), pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut")
    assert not (tmp_path / "cut" / "toy.safetensors").exists()
    # The first seed goes on, the second is stopped after its first epoch.
    with stopping_after(1), pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut")
    cut, whole = trained(tmp_path / "cut"), trained(tmp_path / "whole")
    for name in ("toy", "seed-1/toy", "seed-2/toy"):
        first, second = (load_file(path.parent / f"{name}.safetensors") for path in (whole, cut))
        assert all(torch.equal(first[key], second[key]) for key in first), name
    histories = [(path.parent / "history.json").read_bytes() for path in (whole, cut)]
    assert histories[0] == histories[1]
    assert checkpoint.load(whole).card.scores == checkpoint.load(cut).card.scores


def test_a_finished_run_is_left_and_another_recipe_is_refused(tmp_path: Path) -> None:
    short = msgspec.structs.replace(SHORT, epochs=1, seeds=1)
    trained(tmp_path / "run", short)
    before = files(tmp_path / "run")
    trained(tmp_path / "run", msgspec.structs.replace(short, ship=True))
    with pytest.raises(InputError, match="delete"):
        trained(tmp_path / "run", SHORT)
    assert files(tmp_path / "run") == before


def test_a_finished_run_for_replaced_encoders_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = msgspec.structs.replace(SHORT, epochs=1, seeds=1)
    trained(tmp_path / "run", short)
    replaced = {**material().encoders, "text": "words:new"}
    monkeypatch.setattr(composed_task, "shipped_encoders", lambda: replaced)
    with pytest.raises(InputError, match=r"words:new is installed; .* delete"):
        trained(tmp_path / "run", short)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_card_says_which_epoch_was_kept(tmp_path: Path, keep: str) -> None:
    recipe = msgspec.structs.replace(SHORT, seeds=1, keep=keep)
    card = checkpoint.load(trained(tmp_path, recipe)).card
    assert ("last of 3 epochs" in card.notes[-1]) == (keep == "last")
    assert ("was the best on validation" in card.notes[-1]) == (keep == "best")
    assert ("The epoch and the seed are chosen" in card.split) == (keep == "best")
