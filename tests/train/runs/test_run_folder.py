"""Folders of trainings: what is written comes back whole, or not at all."""

import json
import os
from pathlib import Path

import msgspec
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gscon_live.common.errors import InputError
from gscon_live.train.engine.trainer import State
from gscon_live.train.runs.run_folder import RunFolder, TrainingFolder

TENSORS = st.dictionaries(
    st.sampled_from(["a", "b.c", "0.exp_avg", "ü/x"]),
    arrays.arrays("float32", arrays.array_shapes(min_dims=0, min_side=0)).map(torch.from_numpy),
    max_size=3,
)
HISTORY = st.lists(
    st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False)),
    max_size=3,
)


class Recipe(msgspec.Struct):
    learning_rate: float = 0.1
    seeds: int = 1
    sizes: tuple[int, ...] = (1, 2)


def bits(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[torch.Size, bytes]]:
    return {key: (value.shape, value.numpy().tobytes()) for key, value in tensors.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    network=TENSORS, average=TENSORS, best=TENSORS, optimiser=TENSORS, history=HISTORY,
    last=st.booleans(),
)  # fmt: skip
def test_a_state_comes_back_to_the_last_bit(
    tmp_path: Path,
    network: dict[str, torch.Tensor],
    average: dict[str, torch.Tensor],
    best: dict[str, torch.Tensor],
    optimiser: dict[str, torch.Tensor],
    history: list[dict[str, float]],
    last: bool,
) -> None:
    folder = TrainingFolder(tmp_path / "seed-1")
    scored = average or network
    state = State(
        5, 5 if last else 3, history, network, average, scored if last else best, optimiser,
        {"scale": 2.0},
    )  # fmt: skip
    folder.write(state)
    state_read = folder.read()
    assert state_read is not None
    assert (state_read.epoch, state_read.best_epoch, state_read.precision) == (
        5,
        state.best_epoch,
        {"scale": 2.0},
    )
    assert state_read.history == history
    assert bits(state_read.network) == bits(network)
    assert bits(state_read.optimiser) == bits(optimiser)
    assert bits(state_read.average) == bits(average)
    # Without weights of its own, the best epoch is taken to be the last.
    assert bits(state_read.best) == bits(state.best or scored)
    lines = (folder.folder / "history.jsonl").read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == history


def test_there_is_nothing_to_go_on_from_before_the_first_epoch(tmp_path: Path) -> None:
    assert TrainingFolder(tmp_path / "seed-1").read() is None


@pytest.mark.parametrize("content", [b"", b"not this", b"\x08" + bytes(7) + b'{"a":1}x' + bytes(9)])
def test_a_damaged_state_is_refused_and_left(tmp_path: Path, content: bytes) -> None:
    folder = TrainingFolder(tmp_path)
    (tmp_path / "state.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"state.safetensors.*delete"):
        folder.read()
    assert (tmp_path / "state.safetensors").read_bytes() == content


def test_a_state_cut_short_is_refused(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    folder.write(State(network={"a": torch.ones(100)}))
    path = tmp_path / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match="delete"):
        folder.read()


def test_a_seed_is_finished_when_its_checkpoint_is_there_and_its_state_gone(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    folder.write(State(network={"a": torch.ones(1)}))
    for suffix in (".safetensors", ".json", ".md"):
        assert not folder.finished
        folder.model.with_suffix(suffix).touch()
    assert not folder.finished
    folder.finish()
    assert folder.finished
    assert (tmp_path / "history.jsonl").is_file()


def test_a_training_with_other_results_is_finished_when_these_are_there(tmp_path: Path) -> None:
    results = [tmp_path / "mine.safetensors", tmp_path / "mine.json"]
    folder = TrainingFolder(tmp_path / "training", results)
    folder.write(State(network={"a": torch.ones(1)}))
    for path in results:
        assert not folder.finished
        path.touch()
    assert not folder.finished
    folder.finish()
    assert folder.finished
    folder.remove()
    folder.remove()
    assert not folder.folder.exists()
    assert all(path.is_file() for path in results)


def test_the_same_recipe_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "mine")
    run.refuse_other(Recipe())
    run.begin(Recipe())
    run.refuse_other(Recipe())
    before = (run.folder / "recipe.json").read_bytes()
    with pytest.raises(InputError, match=r"learning_rate=0\.1.*name=.*delete") as caught:
        run.refuse_other(Recipe(learning_rate=0.2))
    assert "seeds" not in str(caught.value)
    run.refuse_other(Recipe(seeds=5), changes_nothing=("seeds",))
    assert (run.folder / "recipe.json").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"learning_rate": 0.2}', b"\xff"])
def test_a_recipe_that_is_not_this_one_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "recipe.json").write_bytes(content)
    with pytest.raises(InputError, match="delete"):
        RunFolder(tmp_path).refuse_other(Recipe())


def test_a_run_goes_on_that_is_older_than_a_key(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_bytes(b'{"learning_rate": 0.1, "seeds": 1}')
    run = RunFolder(tmp_path)
    run.refuse_other(Recipe())
    with pytest.raises(InputError, match=r"begun with sizes=\[1, 2\]"):
        run.refuse_other(Recipe(sizes=(3,)))


def test_of_two_processes_that_begin_a_run_the_second_changes_nothing(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path / "mine"), RunFolder(tmp_path / "mine")
    # Both look before they read their corpora.
    first.refuse_other(Recipe())
    second.refuse_other(Recipe(learning_rate=0.2))
    with first.begun(Recipe()):
        begun = (first.folder / "recipe.json").read_bytes()
        with pytest.raises(InputError, match="another process"), second.begun(Recipe(0.2)):
            pass
    with (
        pytest.raises(InputError, match=r"learning_rate=0\.1"),
        second.begun(Recipe(learning_rate=0.2)),
    ):
        pass
    assert (first.folder / "recipe.json").read_bytes() == begun
    with second.begun(Recipe(seeds=3), ("seeds",)):
        assert json.loads((first.folder / "recipe.json").read_bytes())["seeds"] == 3


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "live.safetensors").touch()
    with pytest.raises(InputError, match="something else"):
        RunFolder(tmp_path).refuse_other(Recipe())
    (tmp_path / "empty").mkdir()
    RunFolder(tmp_path / "empty").refuse_other(Recipe())


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_best_seed_is_that_of_the_best_epoch_that_was_kept(tmp_path: Path, keep: str) -> None:
    run = RunFolder(tmp_path)
    for seed, reached in ((1, [0.7, 0.5]), (2, [0.6, 0.6]), (10, [0.9, 0.9])):
        folder = run.seed(seed)
        epochs = [
            {"selection": score if keep == "best" else place, "validation_weighted_f1": score}
            for place, score in enumerate(reached)
        ]
        folder.write(State(history=epochs))
        if seed == 10:
            continue
        for suffix in (".safetensors", ".json", ".md"):
            folder.model.with_suffix(suffix).touch()
        folder.finish()
    best = 1 if keep == "best" else 2
    assert run.best() == tmp_path / f"seed-{best}" / "model.safetensors"
    # Each was validated by another session, so their scores do not compare.
    (tmp_path / "recipe.json").write_text('{"left_out_session": "each"}')
    assert run.best() == tmp_path / "seed-1" / "model.safetensors"


def test_killed_while_writing_the_last_epoch_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = TrainingFolder(tmp_path)
    network = {"a": torch.ones(1)}
    folder.write(State(1, 1, [{"epoch": 1}], network))
    plain = os.replace

    def killed(source: Path, target: Path) -> None:
        if target.suffix == ".safetensors":
            raise KeyboardInterrupt
        plain(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.write(State(2, 1, [{"epoch": 1}, {"epoch": 2}], network))
    state_read = folder.read()
    assert state_read is not None
    assert state_read.epoch == 1
    # The history may be ahead of the state, never behind: the last epoch would stay unwritten.
    assert len((tmp_path / "history.jsonl").read_bytes().splitlines()) == 2
