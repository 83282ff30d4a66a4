"""`train.fit` and `train.evaluate` as they are run: what they do and what they say when not."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import made_features
import psutil
import pytest
import torch
from safetensors.torch import load_file
from toy import TOY, working_in

from gscon_live.common.cli import run
from gscon_live.train import evaluate, fit
from gscon_live.train.encoders.face.recipe import FaceRecipe
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.networks import composed_task
from gscon_live.train.networks.composed_task import FusionRecipe

COMMAND = [sys.executable, "-m", "gscon_live.train.fit", "toy.yaml"]
MINE = Path("runs") / "toy-gscon-causal"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder to work in, with the recipe `toy.yaml` and its features."""
    with working_in(tmp_path) as place:
        yield place


def weights(run_folder: Path, seed: int = 1) -> dict[str, torch.Tensor]:
    return load_file(run_folder / f"seed-{seed}" / "model.safetensors")


def epochs(run_folder: Path, seed: int = 1) -> list[dict[str, float]]:
    """The history, but for the time that it took."""
    path = run_folder / f"seed-{seed}" / "history.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    return [{key: value for key, value in one.items() if key != "seconds"} for one in found]


def files(where: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(where)): one.read_bytes() for one in where.rglob("*") if one.is_file()
    }


def stopped(words: list[str], how: signal.Signals, after: int) -> int:
    """Runs a command and stops it when so many epochs are done; gives its exit code."""
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        while len(epochs(MINE)) < after:
            assert process.poll() is None, "it ended by itself"
            time.sleep(0.01)
        process.send_signal(how)
        return process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says about a wrong request."""
    capsys.readouterr()
    assert run(fit.main, words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("error: ")
    return said[-1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the toy recipe, never interrupted."""
    with working_in(tmp_path_factory.mktemp("whole")) as where:
        assert run(fit.main, ["toy.yaml"]) == 0
    return where / MINE


def test_a_run_holds_recipe_checkpoint_history_and_log(whole: Path) -> None:
    recipe = json.loads((whole / "recipe.json").read_text())
    assert recipe["kind"] == "conversation"
    assert {key: recipe[key] for key in TOY} == TOY
    assert [(name, one["weight"]) for name, one in recipe["plugins"].items()] == [
        ("ssc", 1.0), ("gdc", 0.5),
    ]  # fmt: skip
    assert recipe["name"] == MINE.name
    names = set(files(whole / "seed-1"))
    log = {name for name in names if name.startswith("tensorboard")}
    assert names - log == {"history.jsonl", "model.json", "model.md", "model.safetensors"}
    assert log
    history = epochs(whole)
    assert [one["epoch"] for one in history] == list(range(1, 9))
    for one in history:
        assert {
            "loss", "loss_final", "loss_auxiliary", "loss_common", "loss_text", "loss_audio",
            "loss_visual", "loss_ssc", "loss_gdc", "cosine_text_audio", "cosine_text_visual",
            "cosine_audio_visual", "validation_weighted_f1", "test_weighted_f1",
            "selection",
        } <= set(one)  # fmt: skip
    assert history[-1]["loss_final"] < history[0]["loss_final"]


def test_the_log_is_tensorboards(whole: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(whole / "seed-1" / "tensorboard")).Reload()
    assert len(log.Scalars("validation/weighted_f1")) == 8
    found = [one.value for one in log.Scalars("loss/gdc")]
    assert found == pytest.approx([one["loss_gdc"] for one in epochs(whole)], rel=1e-6)


def test_the_card_says_what_was_trained_and_measured(whole: Path) -> None:
    card = json.loads((whole / "seed-1" / "model.json").read_text())
    assert card["emotions"] == ["happy", "sad", "neutral", "angry", "excited", "frustrated"]
    assert card["seeds"] == [1]
    assert "IEMOCAP" in card["data"]
    assert "features.pkl" in card["data"]
    assert card["architecture"]["mode"] == "causal"
    assert set(card["encoders"]) == set(card["temperatures"]) == {"text", "audio", "visual"}
    assert card["scores"]["text+audio+visual"]["count"] > 0
    best = max(one["validation_weighted_f1"] for one in epochs(whole))
    measured = card["scores"]["validation"]["text+audio+visual"]["weighted_f1"]
    assert measured == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(
    how: signal.Signals, folder: Path, whole: Path
) -> None:
    code = stopped(COMMAND, how, after=3)
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    left = files(MINE)
    done = len(epochs(MINE))
    assert 3 <= done < 8
    assert "seed-1/state.safetensors" in left
    assert "seed-1/model.safetensors" not in left
    if how != signal.SIGKILL:
        assert not [name for name in left if ".unfinished" in name]
    if how == signal.SIGKILL:
        found = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
    else:
        assert run(fit.main, ["toy.yaml"]) == 0
    again = weights(MINE)
    assert all(torch.equal(value, again[key]) for key, value in weights(whole).items())
    assert epochs(MINE) == epochs(whole)
    assert "seed-1/state.safetensors" not in files(MINE)


def test_what_is_finished_is_not_trained_again(folder: Path, whole: Path) -> None:
    assert run(fit.main, ["toy.yaml", "epochs=2", "name=mine"]) == 0
    before = files(Path("runs/mine"))
    assert run(fit.main, ["toy.yaml", "epochs=2", "name=mine"]) == 0
    assert files(Path("runs/mine")) == before
    assert run(fit.main, ["toy.yaml", "epochs=2", "name=mine", "seeds=2"]) == 0
    after = files(Path("runs/mine"))
    assert {name: after[name] for name in before if name != "recipe.json"} == {
        name: content for name, content in before.items() if name != "recipe.json"
    }
    assert json.loads(after["recipe.json"])["seeds"] == 2
    first, second = weights(Path("runs/mine"), 1), weights(Path("runs/mine"), 2)
    assert any(not torch.equal(first[key], second[key]) for key in first)


def test_a_changed_recipe_is_refused_and_nothing_overwritten(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fit.main, ["toy.yaml", "epochs=1"]) == 0
    before = files(Path("runs"))
    said = refused(["toy.yaml", "epochs=1", "plugins={}"], capsys)
    assert all(word in said for word in ("plugins=", "'gdc'", "0.5", "name=", "delete"))
    assert files(Path("runs")) == before


def test_a_run_that_was_begun_with_the_old_settings_of_gdc_and_ssc_goes_on(folder: Path) -> None:
    assert run(fit.main, ["toy.yaml", "epochs=1"]) == 0
    before = files(MINE / "seed-1")
    begun = json.loads((MINE / "recipe.json").read_text())
    begun |= {"plugins": {}, "gdc": 0.5, "ssc": 1.0, "rows": 32, "tau": 0.07}
    (MINE / "recipe.json").write_text(json.dumps(begun))
    assert run(fit.main, ["toy.yaml", "epochs=1", "seeds=2"]) == 0
    assert files(MINE / "seed-1") == before
    assert (MINE / "seed-2" / "model.safetensors").is_file()


def test_a_recipe_with_the_old_settings_is_trained_alike_and_a_line_says_the_new_ones(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fit.main, ["toy.yaml", "epochs=1", "plugins.gdc.weight=0.3", "name=new"]) == 0
    assert "deprecated" not in capsys.readouterr().err
    assert run(fit.main, ["toy.yaml", "epochs=1", "gdc=0.3", "ssc=0", "name=old"]) == 0
    assert "plugins={gdc: {weight: 0.3}}" in capsys.readouterr().err
    first, second = weights(Path("runs/new"), 1), weights(Path("runs/old"), 1)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_run_that_another_process_trains_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = subprocess.Popen([*COMMAND, "epochs=1000"], stderr=subprocess.DEVNULL)
    try:
        while not epochs(MINE):
            assert process.poll() is None, "it ended by itself"
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        # A call that has begun is still carried out.
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        before = files(MINE)
        said = refused(["toy.yaml", "epochs=1000"], capsys)
        assert all(word in said for word in ("another process", str(MINE), "name="))
        assert files(MINE) == before
    finally:
        process.kill()
        process.wait()


PLAIN = ["plugins={}", "dropout=0", "epochs=2"]


def torchrun(*options: str) -> "subprocess.Popen[str]":
    """A process of `torchrun` that trains the run `two`."""
    training = ["gscon_live.train.fit", "toy.yaml", *PLAIN, "name=two", "accelerator=cpu"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", *training]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def ends_alike(processes: Sequence["subprocess.Popen[str]"]) -> None:
    """Sees that several processes have trained what a single one trains in two parts."""
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), errors
    assert "".join(errors).count("done: runs/two") == 1
    assert run(fit.main, ["toy.yaml", *PLAIN, "accumulate=2", "name=one"]) == 0
    for one, two in zip(epochs(Path("runs/one")), epochs(Path("runs/two")), strict=True):
        assert one.keys() == two.keys()
        assert two == pytest.approx(one, rel=1e-3)


def test_two_processes_train_what_one_trains_in_two_parts(folder: Path) -> None:
    ends_alike([torchrun("--standalone", "--nproc-per-node=2")])


def test_two_nodes_train_what_one_process_trains_in_two_parts(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    options = ("--nnodes=2", "--nproc-per-node=1", f"--rdzv-endpoint=127.0.0.1:{port}",
               "--rdzv-backend=c10d", "--rdzv-id=toy")  # fmt: skip
    ends_alike([torchrun(*options, "--local-addr=127.0.0.1") for _ in range(2)])


@pytest.mark.parametrize(
    ("value", "mention"), [(float("nan"), "not finite"), (float("inf"), "not finite")]
)
def test_features_that_are_no_numbers_are_refused(
    value: float, mention: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_features.write(folder / "features.pkl", broken=value)
    said = refused(["toy.yaml"], capsys)
    assert mention in said
    assert made_features.TRAIN[2] in said
    assert not Path("runs").exists()


def test_a_dialogue_without_labels_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_features.write(folder / "features.pkl", unlabelled=made_features.TRAIN[1])
    assert made_features.TRAIN[1] in refused(["toy.yaml"], capsys)
    assert not Path("runs").exists()


class _Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize("content", [pickle.dumps((_Hostile(),) * 9), b"not a pickle", b""])
def test_a_file_that_would_do_harm_is_refused(
    content: bytes, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "features.pkl").write_bytes(content)
    assert "features.pkl" in refused(["toy.yaml"], capsys)
    assert not Path("harmed").exists()
    assert not Path("runs").exists()


def test_a_column_that_is_missing_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "erc").mkdir()
    (folder / "erc" / "iemocap.csv").write_text("split,dialogue,turn,speaker,text\n")
    monkeypatch.setenv("GSCON_DATA", str(folder))
    said = refused(["iemocap-small"], capsys)
    assert "iemocap.csv" in said
    assert "emotion" in said
    assert not Path("runs").exists()


def test_what_cannot_be_trained_together_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ["toy.yaml", "modalities=[text]", "plugins.gdc.weight=0.5"]
    assert "plugins={}" in refused(one, capsys)
    assert "nonesuch" in refused(["toy.yaml", "model=nonesuch"], capsys)
    assert "heads" in refused(["toy.yaml", "width=15"], capsys)
    assert "elsewhere.pkl" in refused(["toy.yaml", "features=elsewhere.pkl"], capsys)
    assert not Path("runs").exists()


def test_the_recipes_that_ship_are_found_by_name() -> None:
    assert isinstance(fit.recipe("live", []), FusionRecipe)
    assert isinstance(fit.recipe("face", []), FaceRecipe)


def test_the_file_of_the_live_recipe_states_the_defaults() -> None:
    assert fit.recipe("live", []) == composed_task.resolved(FusionRecipe())
    assert fit.recipe("face", []) == FaceRecipe()


def test_values_are_overridden_and_checked() -> None:
    made = fit.recipe("live", ["epochs=3", "kinds.single=0.2", "name=mine"])
    assert isinstance(made, FusionRecipe)
    assert (made.epochs, made.kinds.single, made.kinds.neutral_words) == (3, 0.2, 0.3)


@pytest.mark.parametrize(
    ("words", "mention"),
    [
        (["nonesuch"], "nonesuch"),
        (["live", "epoch=3"], "epochs"),
        (["epoch=3"], "epochs"),
        (["live", "epochs=many"], "epochs"),
        (["live", "epochs=0"], "epochs"),
        (["live", "audio.often=1"], "often"),
        (["live", "name=../elsewhere"], "elsewhere"),
        (["live", "epochs"], "key=value"),
        (["face", "kind=other"], "kind"),
        (["iemocap", "epoch=3"], "epochs"),
        (["iemocap", "context=past"], "context"),
        (["meld", "model=mlp", "plugins={fagm: {}, ratio: {}}"], "take one"),
        (["meld", "model=dmd", "options.kernel=0"], "kernel"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_2(
    words: list[str], mention: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fit.main, words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert mention in said[0]


def test_a_recipe_of_no_known_kind_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("kind: poem\n")
    assert run(fit.main, [str(path)]) == 2
    assert "poem" in capsys.readouterr().err


def test_a_missing_corpus_is_exit_2_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    for recipe in ("live", "face", "iemocap", "meld", "emorynlp"):
        assert run(fit.main, [recipe]) == 2
        assert "GSCON_DATA" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_model_to_evaluate_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(evaluate.main, ["nonesuch"]) == 2
    assert "nonesuch" in capsys.readouterr().err


def test_the_shipped_model_is_evaluated_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(evaluate.main, ["live"]) == 0
    assert "weighted" in capsys.readouterr().out


def test_a_text_encoder_is_trained_with_the_seeds_that_were_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def trained(made: TextRecipe, seed: int, report: object) -> Path:
        asked.append(seed)
        return Path(made.name)

    monkeypatch.setattr(text_cache, "trained", trained)
    monkeypatch.setattr(text_cache, "kept_scores", lambda *_: {})
    assert run(fit.main, ["text-iemocap"]) == 0
    assert run(fit.main, ["text-iemocap", "seeds=2", "first_seed=4"]) == 0
    assert asked == [1, 4, 5]
