"""What can be trained: one file with a class, and one line in the registry."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gscon_live.common.cli import run
from gscon_live.model import checkpoint
from gscon_live.train import fit, trainables
from gscon_live.train.recipes import recipe
from gscon_live.train.trainables import TRAINABLES, Trainable

#: The file.
LINE_FITTER = """
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import torch
from torch import Tensor, nn

from gscon_live.common.errors import InputError
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.losses import Terms
from gscon_live.train.engine.trainer import SELECTION_SCORE, Plan, Task
from gscon_live.train.save_weights import save_encoder
from gscon_live.train.progress import Display
from gscon_live.train.runs.resumable import train_in
from gscon_live.train.runs.run_folder import TrainingFolder
from gscon_live.train.trainables import Trainable


class LineRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["line"] = "line"
    name: str = "line"
    epochs: int = 5
    slope: float = 2.0
    ship: bool = False


class LineTask(Task[Tensor]):
    steps = 20

    def __init__(self, slope: float) -> None:
        torch.manual_seed(1)
        self.learner = nn.Linear(1, 1)
        self._slope = slope

    def epoch(self, random: torch.Generator, parts: int) -> Iterator[Sequence[Tensor]]:
        for _ in range(self.steps):
            yield torch.randn(64, 1, generator=random).chunk(parts)

    def loss(self, part: Tensor, random: torch.Generator, measure: bool) -> Terms:
        lost = (self.learner(part) - self._slope * part).square().sum() / 64
        return Terms(lost, {}, {})

    def scores(self) -> dict[str, float]:
        error = float((self.learner.weight.detach() - self._slope).abs())
        return {"validation_error": error, SELECTION_SCORE: -error}


class Line(Trainable[LineRecipe]):
    recipe = LineRecipe
    ships_as = "straight"

    def resolved(self, recipe: LineRecipe) -> LineRecipe:
        if recipe.slope < 0:
            raise InputError(f"slope={recipe.slope}: it falls; give one that rises")
        return recipe

    def fit(self, recipe: LineRecipe, folder: Path, display: Display) -> Path:
        task, training = LineTask(recipe.slope), TrainingFolder(folder / "training")
        plan = Plan(1, recipe.epochs, learning_rate=0.1, weight_decay=0.0)
        train_in(
            training, task, plan, launch_fabric("cpu"), display, "a line", figure="validation_error"
        )
        weights = folder / f"{recipe.name}.safetensors"
        save_encoder(task.learner, {"name": "line", "recipe": recipe}, weights)
        training.finish()
        return weights
"""


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the file, its line in the registry, and a recipe."""
    (tmp_path / "a_line.py").write_text(LINE_FITTER)
    (tmp_path / "steep.yaml").write_text("kind: line\nname: steep\nslope: 3\n")
    (tmp_path / "weights").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "a_line", None)  # so that it is taken out again
    del sys.modules["a_line"]
    monkeypatch.setitem(TRAINABLES, "line", "a_line.Line")
    monkeypatch.setattr(checkpoint, "WEIGHTS", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_kind_is_trained_and_ships_by_its_name(
    line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fit.main, ["steep.yaml"]) == 0
    made = Path("runs/steep/steep.safetensors")
    assert float(load_file(made)["weight"]) == pytest.approx(3, abs=0.2)
    said = capsys.readouterr().err
    assert f"done: {made}" in said
    assert "a line: epoch 5 of 5, validation 0.0" in said
    assert not [*(line / "weights").iterdir()]
    assert run(fit.main, ["steep.yaml", "ship=true"]) == 0
    assert {path.name for path in (line / "weights").iterdir()} == {
        "straight.safetensors", "straight.json",
    }  # fmt: skip
    assert "installed: " in capsys.readouterr().err


def test_a_new_kind_checks_its_recipes(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word, mention in (("slope=-1", "rises"), ("epoch=2", "epochs"), ("slope=much", "slope")):
        assert run(fit.main, ["steep.yaml", word]) == 2
        assert mention in capsys.readouterr().err
    Path("other.yaml").write_text("kind: circle\n")
    assert run(fit.main, ["other.yaml"]) == 2
    said = capsys.readouterr().err
    assert "'circle'" in said
    assert "face" in said
    assert "line" in said
    assert not Path("runs").exists()


def test_what_is_trained_by_one_process_is_not_started_by_several(
    line: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(fit.main, ["steep.yaml"]) == 2
    assert "torchrun" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize("kind", TRAINABLES)
def test_every_kind_has_recipes_of_its_kind_that_are_ready_to_use(kind: str) -> None:
    made = trainables.trainable(kind)
    assert isinstance(made, Trainable)
    written = made.recipe()
    assert written.kind == kind
    assert made.resolved(written).name or made.run_name(written, "mine").startswith("mine")
    assert trainables.trainable(kind).recipe is made.recipe


def test_a_trainings_recipe_is_that_of_its_kind() -> None:
    for name in ("face", "voice", "speaker", "text-meld", "iemocap", "live"):
        asked = recipe(name)
        assert isinstance(asked, trainables.trainable(asked.kind).recipe)


def test_a_line_can_be_fitted_again_to_the_same_weights(line: Path) -> None:
    assert run(fit.main, ["steep.yaml", "name=one"]) == 0
    assert run(fit.main, ["steep.yaml", "name=two"]) == 0
    first, second = (load_file(f"runs/{name}/{name}.safetensors") for name in ("one", "two"))
    assert all(torch.equal(first[name], second[name]) for name in first)
