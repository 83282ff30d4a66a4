"""A face encoder starts from another's weights, which are trained once and kept."""

import json
from pathlib import Path

import made_faces
import pytest
import torch
from interrupting import stopping_after
from safetensors.torch import load_file

from gscon_live.common.cli import run
from gscon_live.common.errors import InputError
from gscon_live.model.encoders.face.face_encoder import FaceNet
from gscon_live.train import fit
from gscon_live.train.encoders.face import face_cache
from gscon_live.train.encoders.face.recipe import FaceRecipe

BASE = "kind: face\nname: base\ncorpus: fer2013\nstart: null\nepochs: 2\nbatch: 12\nthreads: 1\n"
WORDS = ["face", "start=base.yaml", "epochs=1", "batch=12", "accelerator=cpu", "threads=1"]
FACES = made_faces.smiling(24, 8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with small corpora and a recipe to start from."""
    made_faces.write(tmp_path / "data" / "face", FACES)
    monkeypatch.setenv("GSCON_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(BASE + "accelerator: cpu\n")
    return tmp_path


def kept(cache: Path) -> list[Path]:
    return sorted((cache / "gscon-live/face").glob("*.safetensors"))


def recipe(text: str = BASE) -> FaceRecipe:
    """The recipe that a file with this text has."""
    path = Path("written.yaml")
    path.write_text(text)
    settings = fit.recipe(str(path), [])
    assert isinstance(settings, FaceRecipe)
    return settings


def test_the_start_is_trained_first_and_once(folder: Path, cache: Path) -> None:
    assert run(fit.main, WORDS) == 0
    (start,) = kept(cache)
    before = start.stat().st_mtime_ns
    assert not [path for path in start.parent.iterdir() if path.is_dir()]
    assert run(fit.main, [*WORDS, "name=again"]) == 0
    assert (kept(cache), start.stat().st_mtime_ns) == ([start], before)
    first, second = (load_file(f"runs/{name}/{name}.safetensors") for name in ("face", "again"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    card = json.loads(Path("runs/face/face.json").read_text())
    assert [step["name"] for step in card["starts"]] == ["base"]
    assert "FER2013's own labels" in card["data"]


@pytest.mark.parametrize("start", ["base.yaml", "middle.yaml"])
def test_the_encoder_begins_with_the_weights_of_its_start(folder: Path, start: str) -> None:
    """A training that changes no weights keeps them; also where the start has a start itself."""
    Path("middle.yaml").write_text(
        "kind: face\nname: middle\nstart: base.yaml\nepochs: 1\nlearning_rate: 0\naverage: 0\n"
        "accelerator: cpu\nthreads: 1\n"
    )
    words = [*WORDS, f"start={start}", "learning_rate=0", "average=0"]
    assert run(fit.main, words) == 0
    first, last = load_file(base_weights()), load_file("runs/face/face.safetensors")
    # The means and variances of the normalisations follow the faces, whatever the learning rate.
    learned = [name for name, _ in FaceNet().named_parameters()]
    assert all(torch.equal(first[name], last[name]) for name in learned)


def base_weights() -> Path:
    (base,) = face_cache.starts(FaceRecipe(start="base.yaml"))
    return face_cache.weights(base)


def test_an_interrupted_start_goes_on_to_the_same_weights(folder: Path, cache: Path) -> None:
    with stopping_after(1):
        assert run(fit.main, WORDS) == 130
    assert kept(cache) == []
    (state,) = cache.rglob("state.safetensors")
    # A start that was not finished leaves no run behind.
    assert not Path("runs").exists()
    assert run(fit.main, WORDS) == 0
    assert not state.parent.exists()
    (start,) = kept(cache)
    cut, run_after = load_file(start), load_file("runs/face/face.safetensors")
    start.unlink()
    assert run(fit.main, [*WORDS, "name=whole"]) == 0
    whole, run_whole = load_file(start), load_file("runs/whole/whole.safetensors")
    assert all(torch.equal(cut[name], whole[name]) for name in whole)
    assert all(torch.equal(run_after[name], run_whole[name]) for name in run_whole)


def test_the_key_depends_on_all_that_the_weights_depend_on(folder: Path) -> None:
    first = face_cache.key(recipe())
    assert face_cache.key(recipe(BASE.replace("name: base", "name: other"))) == first
    assert face_cache.key(recipe(BASE + "ship: true\n")) == first
    assert face_cache.key(recipe(BASE + "seed: 2\n")) != first
    Path("copied.yaml").write_text(Path("base.yaml").read_text())
    started, again = (FaceRecipe(start=name) for name in ("base.yaml", "copied.yaml"))
    second = face_cache.key(started)
    assert face_cache.key(again) == second
    Path("base.yaml").write_text(Path("base.yaml").read_text().replace("epochs: 2", "epochs: 3"))
    assert face_cache.key(started) != second
    assert face_cache.key(again) == second
    # The corpus of the start alone.
    made_faces.write(folder / "other", FACES[1:])
    (folder / "other/fer2013.zip").replace(folder / "data/face/fer2013.zip")
    assert face_cache.key(again) != second


def test_damaged_weights_in_the_cache_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = base_weights()
    path.write_bytes(b"something else")
    assert run(fit.main, WORDS) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path}: cannot be read" in line
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("start", "mention"),
    [
        ("nobody", "'nobody': no such file"),
        ("voice", "voice.yaml: kind 'voice'; give a recipe of kind face"),
        ("text-base", "kind 'text'; give a recipe of kind face"),
        ("wrong.yaml", "epoch"),
        ("itself.yaml", "'itself': it starts from itself; give another start"),
        ("there.yaml", "it starts from itself; give another start"),
    ],
)
def test_a_start_that_cannot_be_is_refused_in_a_line(
    folder: Path, start: str, mention: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("wrong.yaml").write_text("kind: face\nepoch: 3\n")
    Path("itself.yaml").write_text("kind: face\nname: itself\nstart: itself.yaml\n")
    Path("there.yaml").write_text("kind: face\nname: there\nstart: back.yaml\n")
    Path("back.yaml").write_text("kind: face\nname: back\nstart: there.yaml\n")
    assert run(fit.main, [*WORDS, f"start={start}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert mention in line
    assert not Path("runs").exists()


def test_a_missing_corpus_is_told_before_the_start_is_trained(
    folder: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "data/face/ferplus.zip").unlink()
    assert run(fit.main, WORDS) == 2
    assert "ferplus.zip" in capsys.readouterr().err
    assert kept(cache) == []
    assert not Path("runs").exists()


def test_a_run_with_another_start_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fit.main, WORDS) == 0
    before = Path("runs/face/face.safetensors").read_bytes()
    capsys.readouterr()
    assert run(fit.main, [*WORDS, "start=null"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "start='base.yaml'" in line
    assert "name=" in line
    assert Path("runs/face/face.safetensors").read_bytes() == before


def test_the_recipes_that_ship_start_from_each_other() -> None:
    base, face = fit.recipe("face-base", []), fit.recipe("face", [])
    assert isinstance(base, FaceRecipe)
    assert isinstance(face, FaceRecipe)
    assert face_cache.starts(face) == [base]
    assert face_cache.starts(base) == []
    assert (base.corpus, face.corpus) == ("fer2013", "ferplus")


def test_a_recipe_of_another_kind_is_no_start() -> None:
    with pytest.raises(InputError, match="kind face"):
        face_cache.starts(FaceRecipe(start="meld"))
