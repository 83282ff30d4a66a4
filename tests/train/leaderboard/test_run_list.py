"""Lists of runs: `train.leaderboard LIST --fit` trains what is not trained, and shows
all."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml
from interrupting import ends_with_its_trainings
from toy import TOY, working_in

from gscon_live.common.cli import run
from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.train import fit
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.leaderboard import __main__ as leaderboard
from gscon_live.train.leaderboard import run_list
from gscon_live.train.leaderboard.board import Board

COMMAND = [sys.executable, "-m", "gscon_live.train.leaderboard", "all.yaml", "--fit"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder to work in, with the recipe `toy.yaml`, its features, and the list `all.yaml`."""
    with working_in(tmp_path, epochs=2) as place:
        write_list("toy.yaml name=one seeds=2", "toy.yaml name=two model=mlp")
        yield place


def write_list(*lines: str) -> None:
    Path("all.yaml").write_text(yaml.safe_dump({"runs": list(lines)}))


def call(*words: str) -> int:
    return run(leaderboard.main, list(words))


def weights() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("runs").rglob("model.safetensors")}


def test_the_runs_of_a_list_are_trained_once_and_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("all.yaml", "--fit", "--jobs", "2", "--json") == 0
    content = msgspec.json.decode(capsys.readouterr().out, type=Board)
    seeds_by_run = {row.model: row.seeds for row in content.rows if row.origin == "run"}
    assert seeds_by_run == {"one": 2, "two": 1}
    before = weights()
    assert len(before) == 3
    # A seed more, and a run more: what there is stays.
    write_list(
        "toy.yaml name=one seeds=2", "toy.yaml name=two model=mlp seeds=2", "toy.yaml name=three"
    )
    assert call("all.yaml", "--fit", "--json") == 0
    content = msgspec.json.decode(capsys.readouterr().out, type=Board)
    seeds_by_run = {row.model: row.seeds for row in content.rows if row.origin == "run"}
    assert seeds_by_run == {"one": 2, "two": 2, "three": 1}
    after = weights()
    assert len(after) == 5
    assert before.items() <= after.items()
    # Without --fit the same, as nothing is left to train; and a run beside the list.
    assert call("all.yaml", "one", "--json") == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=Board).rows == content.rows


def test_a_grid_is_every_network_with_every_balance(folder: Path) -> None:
    grid = {
        "name": "all", "every": "toy.yaml seeds=3",
        "networks": {"mlp": "", "ada2i": "options.rank=2"},
        "balances": {"none": "plugins={}", "fagm": "plugins.fagm.gamma=0.5"},
        "cells": {"ada2i fagm": "plugins.fagm.gamma=0.1"},
    }  # fmt: skip
    Path("all.yaml").write_text(
        yaml.safe_dump({"runs": ["toy.yaml name=one"], "grids": [grid]}, sort_keys=False)
    )
    recipes = {planned.recipe.name: planned.recipe for planned in run_list.read("all.yaml")}
    assert list(recipes) == [
        "one",
        "all-mlp-none",
        "all-mlp-fagm",
        "all-ada2i-none",
        "all-ada2i-fagm",
    ]
    last = recipes["all-ada2i-fagm"]
    assert (last.model, last.seeds, last.options["rank"]) == ("ada2i", 3, 2)
    assert (last.plugins or {})["fagm"]["gamma"] == 0.1
    assert (recipes["all-mlp-fagm"].plugins or {})["fagm"]["gamma"] == 0.5
    assert recipes["all-mlp-none"].plugins == {}
    assert list(recipes["one"].plugins or {}) == ["ssc", "gdc"]
    Path("all.yaml").write_text(yaml.safe_dump({"grids": [{**grid, "cells": {"mlp ratio": ""}}]}))
    with pytest.raises(InputError, match=r"'all'.*'mlp ratio'"):
        run_list.read("all.yaml")


def test_trainings_are_stopped_with_the_command(folder: Path) -> None:
    (folder / "toy.yaml").write_text(yaml.safe_dump({**TOY, "epochs": 10_000}))
    ends_with_its_trainings([*COMMAND, "--jobs", "2"], 60)


@pytest.mark.parametrize(
    ("lines", "words", "mention"),
    [
        (["toy.yaml"], [], "--fit"),
        (["toy.yaml name=a", "toy.yaml name=a seeds=2"], ["--fit"], "two runs are named 'a'"),
        (["nonesuch"], ["--fit"], "nonesuch"),
        (["toy.yaml epoch=1"], ["--fit"], "epoch"),
        (["face"], ["--fit"], "kind face"),
        (["toy.yaml name='a"], ["--fit"], "quotes"),
        ([""], ["--fit"], "an empty run"),
        ([], ["--fit"], "no runs"),
        (["toy.yaml"], ["--fit", "--jobs", "0"], "--jobs 0"),
        (["toy.yaml features=none.pkl"], ["--fit"], "none.pkl"),
    ],
)
def test_wrong_lists_are_one_line_and_exit_2(
    folder: Path,
    lines: list[str],
    words: list[str],
    mention: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_list(*lines)
    assert call("all.yaml", *words) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert mention in lines[0]
    assert not list(Path().glob("runs/*/seed-*/model.*"))


def test_a_list_has_no_keys_but_runs_and_fit_needs_a_list(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("all.yaml").write_text("runs: []\nseeds: 3\n")
    assert call("all.yaml", "--fit") == 2
    assert "seeds" in capsys.readouterr().err
    assert call("one", "--fit") == 2
    assert "one" in capsys.readouterr().err


def test_the_run_of_another_recipe_is_not_trained_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fit.main, ["toy.yaml", "name=one"]) == 0
    before = weights()
    assert before
    write_list("toy.yaml name=one width=32")
    capsys.readouterr()
    assert call("all.yaml", "--fit") == 2
    assert "width=16" in capsys.readouterr().err
    assert weights() == before


def test_text_encoders_come_once_each_and_after_those_that_they_start_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, start in (("base", None), ("mine", "base.yaml"), ("other", None)):
        settings = {"kind": "text", "name": name, "corpora": ["meld"]}
        Path(f"{name}.yaml").write_text(
            yaml.safe_dump(settings | ({"start": start} if start else {}))
        )
    write_list(
        "iemocap-small name=a text=mine.yaml seeds=3 text_seeds=2",
        "iemocap-small name=b text=mine.yaml seeds=1",
        "iemocap-small name=c text=other.yaml seeds=2 first_seed=2",
        "iemocap-small name=d text=frozen",
        "iemocap-small name=e text=mine.yaml general=other.yaml text_seeds=1 seeds=2",
        "toy.yaml text=other.yaml",
    )
    trained = {("mine", 1)}
    monkeypatch.setattr(
        text_cache, "is_trained", lambda encoder, seed: (encoder.name, seed) in trained
    )

    def arguments_of_jobs() -> list[tuple[str, ...]]:
        return [job.arguments for job in run_list.text_encoders(run_list.read("all.yaml"))]

    base, second_mine = (
        ("base.yaml", "first_seed=1", "seeds=1"),
        ("mine.yaml", "first_seed=2", "seeds=1"),
    )
    other = [("other.yaml", f"first_seed={seed}", "seeds=1") for seed in (1, 2, 3)]
    assert sorted(arguments_of_jobs()) == sorted([base, second_mine, *other])
    assert arguments_of_jobs()[-1] == second_mine
    trained.add(("base", 1))
    assert base not in arguments_of_jobs()
    trained |= {("mine", 2), ("other", 1), ("other", 2), ("other", 3)}
    assert arguments_of_jobs() == []


@pytest.mark.parametrize("name", loader.names(run_list.FOLDER))
def test_the_lists_that_ship_can_be_read(name: str) -> None:
    runs = run_list.read(name)
    assert len({planned.folder for planned in runs}) == len(runs) > 1
