"""`train.evaluate`: a run is measured anew, and wrong requests leave everything as it was."""

import dataclasses
import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from made_runs import corpus, run_folder
from sklearn.metrics import accuracy_score, f1_score

from gscon_live.common.cli import run
from gscon_live.model import checkpoint
from gscon_live.train import evaluate
from gscon_live.train.leaderboard.board import board
from gscon_live.train.networks import evaluate_run
from gscon_live.train.scoring.agreement import structures
from gscon_live.train.scoring.calibration import fit_temperature
from gscon_live.train.scoring.evaluation import Evaluation, Figure, figure
from gscon_live.train.scoring.measure import (
    CONTEXTS,
    Context,
    context_name,
    labelled,
    predict,
    subsets,
)
from gscon_live.train.scoring.significance import confusions_by_dialogue, paired_bootstrap, system

CORPUS = corpus()


def material(recipe: object, seed: int, report: object):
    return CORPUS


def quiet(done: int, total: int, what: str) -> None:
    assert 0 < done <= total
    assert "seed" in what


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    folder = run_folder(tmp_path_factory.mktemp("runs") / "toy", CORPUS)
    return folder, evaluate_run.evaluate(folder, quiet, material, ("as_trained", 4))


@pytest.fixture
def folder(evaluated: tuple[Path, Evaluation], tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(evaluated[0], tmp_path / "toy"))


@pytest.mark.parametrize(
    ("context", "kept"), [("as_trained", ("text",)), (4, ("text", "audio"))], ids=str
)
def test_figures_are_means_and_deviations_over_seeds(
    evaluated: tuple[Path, Evaluation], context: Context, kept: tuple[str, ...]
) -> None:
    folder, evaluation = evaluated
    labels = np.concatenate([dialogue.labels.numpy() for dialogue in CORPUS.splits["test"]])
    counted = labels >= 0
    reference: dict[str, list[float]] = {"weighted_f1": [], "accuracy": [], "glad": []}
    for seed in (1, 2):
        model = checkpoint.load(folder / f"seed-{seed}").model
        logits = predict(model, CORPUS.splits["test"], kept, context).final
        answers, true = np.concatenate(logits).argmax(1)[counted], labels[counted]
        reference["weighted_f1"].append(
            f1_score(true, answers, average="weighted", zero_division=0)
        )
        reference["accuracy"].append(accuracy_score(true, answers))
        reference["glad"].append(
            f1_score(
                true, answers, labels=[CORPUS.labels.index("glad")], average=None, zero_division=0
            )[0]
        )
    figures = evaluation.splits["test"][context_name(context)]["+".join(kept)]
    for name, over_seeds in (
        ("weighted_f1", figures.weighted_f1),
        ("accuracy", figures.accuracy),
        ("glad", figures.per_class["glad"].f1),
    ):
        assert over_seeds.values == pytest.approx(reference[name])
        assert over_seeds.mean == pytest.approx(np.mean(reference[name]))
        assert over_seeds.sd == pytest.approx(np.std(reference[name], ddof=1))
        assert over_seeds.n == 2
    assert reference["weighted_f1"][0] != reference["weighted_f1"][1]
    assert figures.utterances == counted.sum()
    assert np.sum(figures.confusion) == 2 * counted.sum()
    assert sum(part.count for part in figures.reliability_after) == 2 * counted.sum()
    assert figures.interval.low <= figures.weighted_f1.mean <= figures.interval.high


def test_every_split_context_and_set_of_modalities_is_there(
    evaluated: tuple[Path, Evaluation],
) -> None:
    evaluation = evaluated[1]
    assert set(evaluation.splits) == {"validation", "test"}
    for by_context in evaluation.splits.values():
        assert list(by_context) == ["as_trained", "buffer_4"]
        assert list(by_context["as_trained"]) == list(subsets(CORPUS.modalities))
        assert list(by_context["buffer_4"]) == ["text+audio"]
    assert evaluation.test is evaluation.splits["test"]["as_trained"]["text+audio"]
    assert evaluation.validation is evaluation.splits["validation"]["as_trained"]["text+audio"]


def test_the_file_says_the_same_and_what_was_measured(evaluated: tuple[Path, Evaluation]) -> None:
    folder, evaluation = evaluated
    path = folder / "evaluation.json"
    assert msgspec.json.decode(path.read_bytes(), type=Evaluation) == evaluation
    assert (evaluation.run, evaluation.corpus, evaluation.network, evaluation.mode) == (
        "toy",
        "toy",
        "gscon",
        "causal",
    )
    assert (evaluation.seeds, evaluation.selection, evaluation.context) == (
        [1, 2],
        "validation",
        None,
    )
    model = checkpoint.load(folder / "seed-1").model
    assert evaluation.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert evaluation.recipe["gdc"] == 0.5


def test_answers_are_kept_for_paired_comparisons(evaluated: tuple[Path, Evaluation]) -> None:
    answers = evaluated[1].answers
    labels = [np.array(dialogue) for dialogue in answers.labels]
    assert [row.tolist() for row in labels] == [
        row.labels.tolist() for row in CORPUS.splits["test"]
    ]
    counts = [
        confusions_by_dialogue(
            [np.array(row) for row in answers.by_seed[seed]], labels, len(CORPUS.labels)
        )
        for seed in ("1", "2")
    ]
    apart = paired_bootstrap(system(counts[:1]), system(counts[1:]))
    values = evaluated[1].test.weighted_f1.values
    assert apart.mean == pytest.approx(values[1] - values[0])


def test_the_agreement_of_modalities_is_that_of_validation_and_of_the_kept_epoch(
    evaluated: tuple[Path, Evaluation],
) -> None:
    folder, evaluation = evaluated
    measured = [
        structures(
            checkpoint.load(folder / f"seed-{seed}").model, CORPUS.splits["validation"], 32, 0.07
        )
        for seed in (1, 2)
    ]
    assert evaluation.agreement is not None
    assert evaluation.agreement.cosine["text_audio"].values == pytest.approx([0.5, 0.5])
    for seed, structure in enumerate(measured):
        assert structure is not None
        assert (
            evaluation.agreement.difference["text_audio"].values[seed]
            == structure.difference["text_audio"]
        )
        assert (
            evaluation.agreement.same_label["audio"].values[seed] == structure.same_label["audio"]
        )


def test_what_was_selected_on_test_is_told_apart(evaluated: tuple[Path, Evaluation]) -> None:
    best = evaluated[1].best_on_test
    assert best is not None
    assert best.weighted_f1.values == pytest.approx([0.61, 0.62])
    assert best.use.startswith("none")


def test_one_seed_has_no_deviation() -> None:
    assert figure([0.5]) == Figure(0.5, None, 1, [0.5])
    assert evaluate.plus_minus(figure([0.5])) == "0.500"
    assert evaluate.plus_minus(figure([0.5, 0.7]), 100, 1) == "60.0 ± 14.1"


def test_training_time_is_summed_where_it_was_kept(folder: Path) -> None:
    contexts = ("as_trained",)
    assert evaluate_run.evaluate(folder, quiet, material, contexts).training_seconds is None
    for seed in (1, 2):
        path = folder / f"seed-{seed}" / "history.jsonl"
        epochs = [{**json.loads(line), "seconds": seed} for line in path.read_text().splitlines()]
        path.write_text("\n".join(map(json.dumps, epochs)))
    seconds = evaluate_run.evaluate(folder, quiet, material, contexts).training_seconds
    assert seconds is not None
    assert seconds.values == [3, 6]


def test_an_evaluation_is_taken_as_written_until_the_checkpoints_change(folder: Path) -> None:
    def refuse(*_: object):
        raise AssertionError("measured without need")

    before = evaluate_run.of_run(folder, quiet, refuse)
    other = run_folder(folder.parent / "other", CORPUS, steps=7)
    for name in ("model.safetensors", "model.json"):
        shutil.copy(other / "seed-2" / name, folder / "seed-2" / name)
    after = evaluate_run.of_run(folder, quiet, material)
    assert after.test.weighted_f1.values[0] == before.test.weighted_f1.values[0]
    assert after.checkpoints["2"] != before.checkpoints["2"]
    assert evaluate_run.of_run(folder, quiet, refuse) == after
    (folder / "evaluation.json").write_text("half of somethi")
    assert evaluate_run.of_run(folder, quiet, material).splits == after.splits


def call(words: list[str], **options: object) -> int:
    return run(lambda arguments: evaluate.main(arguments, **options), words)


def test_the_command_prints_tables_and_json(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    (folder / "evaluation.json").unlink()
    assert call([str(folder)], material=material) == 0
    output = capsys.readouterr().out
    evaluation = msgspec.json.decode((folder / "evaluation.json").read_bytes(), type=Evaluation)
    assert list(evaluation.splits["test"]) == [context_name(context) for context in CONTEXTS]
    for context in evaluation.splits["test"].values():
        assert evaluate.plus_minus(context["text+audio"].weighted_f1) in output
    assert "0.615" in output
    assert "selected on test" in output
    assert all(label in output for label in CORPUS.labels)
    assert call([str(folder), "--json"], material=material) == 0
    printed = capsys.readouterr().out.encode()
    again = msgspec.json.decode(printed, type=Evaluation)
    assert evaluation.answer_ms is not None
    assert msgspec.structs.replace(again, answer_ms=evaluation.answer_ms) == evaluation


def test_a_checkpoint_is_printed_from_its_card(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("live", str(folder / "seed-1"), str(folder / "seed-1" / "model.safetensors")):
        assert call([name]) == 0
        assert "from the checkpoint's card" in " ".join(capsys.readouterr().out.split())
    assert call(["live", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "card"


def test_seeds_with_validation_splits_of_their_own_are_measured(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    dialogues = CORPUS.splits["validation"]

    def sessions(recipe: object, seed: int, report: object):
        own = {"validation": dialogues[:4] if seed == 1 else dialogues[4:]}
        return dataclasses.replace(CORPUS, splits={**CORPUS.splits, **own})

    (folder / "evaluation.json").unlink()
    assert call([str(folder)], material=sessions) == 0
    assert "each seed has another validation split" in capsys.readouterr().out
    evaluation = msgspec.json.decode((folder / "evaluation.json").read_bytes(), type=Evaluation)
    assert evaluation.ensemble is not None
    assert list(evaluation.ensemble) == ["test"]
    # One temperature for both seeds: that of all validation dialogues, each answered by its seed.
    logits, labels = [], []
    for seed, part in ((1, dialogues[:4]), (2, dialogues[4:])):
        model = checkpoint.load(folder / f"seed-{seed}").model
        rows, truth = labelled(predict(model, part).final, part)
        logits.append(rows)
        labels.append(truth)
    expected = fit_temperature(np.concatenate(logits), np.concatenate(labels))
    assert evaluation.test.temperature.values == [expected, expected]
    assert evaluation.validation.temperature.values == [expected, expected]
    row, together = board([evaluation], []).rows
    assert row.validation is not None
    assert together.validation is None
    assert together.weighted_f1.mean == evaluation.ensemble["test"].weighted_f1.mean


def refused(folder: Path, capsys: pytest.CaptureFixture[str], **options: object) -> str:
    """What is said; the evaluation from before is still there."""
    kept = (folder / "evaluation.json").read_bytes()
    names = sorted(path.name for path in folder.iterdir())
    assert call([str(folder)], **options) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert (folder / "evaluation.json").read_bytes() == kept
    assert sorted(path.name for path in folder.iterdir()) == names
    return lines[0]


def test_a_missing_run_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("nonesuch", str(tmp_path / "none")):
        assert call([name]) == 2
        assert name in capsys.readouterr().err
    assert call([str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("gone", ["model.safetensors", "model.json"])
def test_an_unfinished_run_is_exit_2(
    gone: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "seed-2" / gone).unlink()
    message = refused(folder, capsys, material=material)
    assert "seed 2" in message
    assert "gscon-live fit" in message


def test_a_seed_that_is_still_trained_is_unfinished(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "seed-1" / "state.safetensors").write_bytes(b"")
    assert "seed 1" in refused(folder, capsys, material=material)


@pytest.mark.parametrize(
    ("change", "mention"),
    [
        ({"encoders": {"text": "text:2", "audio": "audio:1"}}, "text:2"),
        ({"labels": ("cross", "glad", "calm")}, "labels"),
    ],
)
def test_features_or_labels_of_another_kind_are_exit_2(
    change: dict[str, object],
    mention: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changed = dataclasses.replace(CORPUS, **change)
    assert mention in refused(folder, capsys, material=lambda *_: changed)


def test_a_recipe_of_another_version_is_exit_2(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for change in ({"nonesuch": 1}, {"epochs": 0}):
        recipe = json.loads((folder / "recipe.json").read_bytes())
        (folder / "recipe.json").write_text(
            json.dumps({**recipe, "gdc": None, "ssc": None, **change})
        )
        assert "run toy: its recipe.json is of another version" in refused(folder, capsys)
        (folder / "recipe.json").write_text(json.dumps(recipe))


def test_other_modalities_or_lengths_are_exit_2(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fewer = corpus(("text",))
    assert "lengths" in refused(folder, capsys, material=lambda *_: fewer)


@pytest.mark.parametrize(
    ("name", "content", "mention"),
    [
        ("recipe.json", "{", "recipe.json"),
        ("recipe.json", '{"kind": "conversation"}', "seeds"),
        ("seed-1/history.jsonl", "{\n", "history.jsonl"),
        ("seed-2/model.safetensors", "short", "model.safetensors"),
    ],
)
def test_damaged_files_are_exit_2(
    name: str, content: str, mention: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / name).write_text(content)
    assert mention in refused(folder, capsys, material=material)
