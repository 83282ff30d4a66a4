"""`train.fit` and `train.evaluate`: what they say about wrong requests."""

from pathlib import Path

import pytest

from configs.command import run
from train import evaluate, fit
from train.face import FaceRecipe
from train.fusion import FusionRecipe


def test_the_recipes_that_ship_are_found_by_name() -> None:
    assert isinstance(fit.recipe("live", []), FusionRecipe)
    assert isinstance(fit.recipe("face", []), FaceRecipe)


def test_the_file_of_the_live_recipe_states_the_defaults() -> None:
    assert fit.recipe("live", []) == FusionRecipe()
    assert fit.recipe("face", []) == FaceRecipe()


def test_values_are_overridden_and_checked() -> None:
    made = fit.recipe("live", ["epochs=3", "audio.same=0.5", "name=mine"])
    assert isinstance(made, FusionRecipe)
    assert (made.epochs, made.audio.same, made.audio.neutral) == (3, 0.5, 0.35)


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
    for recipe in ("live", "face"):
        assert run(fit.main, [recipe]) == 2
        assert "GSCON_DATA" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_model_to_evaluate_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(evaluate.main, ["nonesuch"]) == 2
    assert "nonesuch" in capsys.readouterr().err


def test_the_shipped_model_is_evaluated_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(evaluate.main, ["live"]) == 0
    assert "weighted" in capsys.readouterr().out
