"""Training of the face encoder: how faces are disturbed, that a training learns and goes on."""

import json
from pathlib import Path

import made_faces
import msgspec
import pytest
import torch
from interrupting import stopping_after
from safetensors.torch import load_file
from torch import Tensor

from gscon_live.common.cli import run
from gscon_live.train import fit
from gscon_live.train.corpora.labelled_faces import FaceCorpus
from gscon_live.train.encoders.face.augmentation import augment
from gscon_live.train.encoders.face.recipe import FaceRecipe
from gscon_live.train.encoders.face.training import FaceResult, FaceTask, train_face
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.trainer import Plan
from gscon_live.train.progress import Reporting
from gscon_live.train.runs.run_folder import TrainingFolder

STILL = FaceRecipe(rotation=0, shift=0, scale=0, blur=0, light=0, noise=0, erase=0)
SMALL = FaceRecipe(epochs=5, batch=16, accelerator="cpu", threads=1)
WORDS = ["start=null", "epochs=4", "batch=24", "accelerator=cpu", "threads=1"]


def fitted(recipe: FaceRecipe, folder: Path) -> FaceResult:
    task = FaceTask(recipe, launch_fabric("cpu"))
    return train_face(task, TrainingFolder(folder), Reporting(lambda *_: None))


def noisy(count: int) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(count, 1, 48, 48)


def changed(**values: float) -> FaceRecipe:
    return FaceRecipe(**{name: values.get(name, 0.0) for name in STRENGTHS})  # type: ignore[arg-type]


STRENGTHS = ("rotation", "shift", "scale", "blur", "light", "noise", "erase")


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_faces.write(tmp_path / "data" / "face", made_faces.smiling())
    monkeypatch.setenv("GSCON_DATA", str(tmp_path / "data"))


def test_disturbed_faces_are_still_faces() -> None:
    faces = noisy(200)
    shown = augment(faces, FaceRecipe())
    assert shown.shape == faces.shape
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert (shown - faces).abs().mean() > 0.05


def test_without_any_disturbance_faces_are_only_mirrored() -> None:
    faces = noisy(40)
    shown = augment(faces, STILL)
    kept = (shown - faces).abs().amax((1, 2, 3)) < 1e-4
    mirrored = (shown - faces.flip(-1)).abs().amax((1, 2, 3)) < 1e-4
    assert (kept ^ mirrored).all()
    assert 5 < kept.sum() < 35


@pytest.mark.parametrize("strength", STRENGTHS)
def test_each_disturbance_does_something(strength: str) -> None:
    faces = noisy(60)
    most = getattr(FaceRecipe(), strength)
    shown = augment(faces, changed(**{strength: most}))
    plain = torch.minimum(
        (shown - faces).abs().amax((1, 2, 3)), (shown - faces.flip(-1)).abs().amax((1, 2, 3))
    )
    assert (plain > 0.01).sum() >= 5


def test_what_is_hidden_is_a_rectangle_of_one_grey() -> None:
    faces = noisy(30)
    shown = augment(faces, changed(erase=1.0))
    for one, mirrored, seen in zip(faces, faces.flip(-1), shown, strict=True):
        plain = min((one, mirrored), key=lambda other: float((other - seen).abs().sum()))
        rows, columns = ((plain - seen).abs()[0] > 1e-4).nonzero().T
        area = seen[0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert 5 <= min(area.shape) <= max(area.shape) <= 25
        assert area.max() - area.min() < 1e-6


@pytest.mark.parametrize("corpus", ["fer2013", "ferplus"])
def test_a_training_learns_what_can_be_seen(
    faces: None, tmp_path: Path, corpus: FaceCorpus
) -> None:
    result = fitted(msgspec.structs.replace(SMALL, corpus=corpus), tmp_path)
    assert result.validation.accuracy > 0.9
    assert result.test.accuracy > 0.9
    assert 1 <= result.best_epoch <= SMALL.epochs
    assert (result.own_labels is None) == (corpus == "fer2013")


def test_the_same_seed_gives_the_same_encoder_and_another_does_not(
    faces: None, tmp_path: Path
) -> None:
    short = FaceRecipe(epochs=1, batch=48, accelerator="cpu", threads=1)
    first, again = (fitted(short, tmp_path / name).net.state_dict() for name in ("first", "again"))
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = fitted(msgspec.structs.replace(short, seed=2), tmp_path / "other").net.state_dict()
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_biases_and_normalisations_are_not_decayed(faces: None) -> None:
    task = FaceTask(SMALL, launch_fabric("cpu"))
    plan = fit_plan()
    decayed, free = task.groups(plan)
    assert (decayed.weight_decay, free.weight_decay) == (plan.weight_decay, 0.0)
    assert {one.dim() for one in free.parameters} == {1}
    assert min(one.dim() for one in decayed.parameters) == 2
    assert len(decayed.parameters) + len(free.parameters) == len([*task.net.parameters()])


def fit_plan() -> Plan:
    return Plan(seed=1, epochs=1, learning_rate=0.1, weight_decay=0.5)


def test_an_interrupted_training_goes_on_to_the_same_encoder(
    faces: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    assert run(fit.main, ["face", *WORDS, "name=whole"]) == 0
    with stopping_after(2):
        assert run(fit.main, ["face", *WORDS, "name=cut"]) == 130
    cut = Path("runs/cut")
    assert (cut / "training" / "state.safetensors").is_file()
    assert not (cut / "cut.safetensors").exists()
    assert run(fit.main, ["face", *WORDS, "name=cut"]) == 0
    whole, again = load_file("runs/whole/whole.safetensors"), load_file(cut / "cut.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    cards = [json.loads(Path(f"runs/{one}/{one}.json").read_text()) for one in ("whole", "cut")]
    for card in cards:
        assert card["recipe"].pop("name") in ("whole", "cut")
    assert cards[0] == cards[1]
    left = {path.name for path in (cut / "training").iterdir() if path.suffix != ".lock"}
    assert left == {"recipe.json", "history.jsonl", "tensorboard"}
    assert torch.get_num_threads() == threads


def test_a_finished_encoder_is_left_and_another_recipe_is_refused(
    faces: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["face", *WORDS, "epochs=1"]
    assert run(fit.main, words) == 0
    made = [Path("runs/face/face.safetensors"), Path("runs/face/face.json")]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in made]
    assert run(fit.main, words) == 0
    capsys.readouterr()
    assert run(fit.main, [*words, "blur=0"]) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in ("blur=0.25", "name=", "delete"))
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in made] == before
