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
from gscon_live.train.networks import evaluate_run
from gscon_live.train.scoring.agreement import structures
from gscon_live.train.scoring.evaluation import Evaluation, Figure, figure
from gscon_live.train.scoring.measure import CONTEXTS, Context, context_name, predict, subsets
from gscon_live.train.scoring.significance import confusions_by_dialogue, paired_bootstrap, system

GIVEN = corpus()


def material(recipe: object, seed: int, report: object):
    return GIVEN


def quiet(done: int, total: int, what: str) -> None:
    assert 0 < done <= total
    assert "seed" in what


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    folder = run_folder(tmp_path_factory.mktemp("runs") / "toy", GIVEN)
    return folder, evaluate_run.evaluate(folder, quiet, material, ("as_trained", 4))


@pytest.fixture
def folder(made: tuple[Path, Evaluation], tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(made[0], tmp_path / "toy"))


@pytest.mark.parametrize(
    ("context", "kept"), [("as_trained", ("text",)), (4, ("text", "audio"))], ids=str
)
def test_figures_are_means_and_deviations_over_seeds(
    made: tuple[Path, Evaluation], context: Context, kept: tuple[str, ...]
) -> None:
    folder, found = made
    labels = np.concatenate([one.labels.numpy() for one in GIVEN.splits["test"]])
    counted = labels >= 0
    reference: dict[str, list[float]] = {"weighted_f1": [], "accuracy": [], "glad": []}
    for seed in (1, 2):
        model = checkpoint.load(folder / f"seed-{seed}").model
        logits = predict(model, GIVEN.splits["test"], kept, context).final
        answers, true = np.concatenate(logits).argmax(1)[counted], labels[counted]
        reference["weighted_f1"].append(
            f1_score(true, answers, average="weighted", zero_division=0)
        )
        reference["accuracy"].append(accuracy_score(true, answers))
        reference["glad"].append(
            f1_score(
                true, answers, labels=[GIVEN.labels.index("glad")], average=None, zero_division=0
            )[0]
        )
    figures = found.splits["test"][context_name(context)]["+".join(kept)]
    for name, one in (
        ("weighted_f1", figures.weighted_f1),
        ("accuracy", figures.accuracy),
        ("glad", figures.per_class["glad"].f1),
    ):
        assert one.values == pytest.approx(reference[name])
        assert one.mean == pytest.approx(np.mean(reference[name]))
        assert one.sd == pytest.approx(np.std(reference[name], ddof=1))
        assert one.n == 2
    assert reference["weighted_f1"][0] != reference["weighted_f1"][1]
    assert figures.utterances == counted.sum()
    assert np.sum(figures.confusion) == 2 * counted.sum()
    assert sum(one.count for one in figures.reliability_after) == 2 * counted.sum()
    assert figures.interval.low <= figures.weighted_f1.mean <= figures.interval.high


def test_every_split_context_and_set_of_modalities_is_there(made: tuple[Path, Evaluation]) -> None:
    found = made[1]
    assert set(found.splits) == {"validation", "test"}
    for by_context in found.splits.values():
        assert list(by_context) == ["as_trained", "buffer_4"]
        assert list(by_context["as_trained"]) == list(subsets(GIVEN.modalities))
        assert list(by_context["buffer_4"]) == ["text+audio"]
    assert found.test is found.splits["test"]["as_trained"]["text+audio"]
    assert found.validation is found.splits["validation"]["as_trained"]["text+audio"]


def test_the_file_says_the_same_and_what_was_measured(made: tuple[Path, Evaluation]) -> None:
    folder, found = made
    path = folder / "evaluation.json"
    assert msgspec.json.decode(path.read_bytes(), type=Evaluation) == found
    assert (found.run, found.corpus, found.network, found.mode) == ("toy", "toy", "gscon", "causal")
    assert (found.seeds, found.selection, found.context) == ([1, 2], "validation", None)
    model = checkpoint.load(folder / "seed-1").model
    assert found.parameters == sum(one.numel() for one in model.parameters())
    assert found.recipe["gdc"] == 0.5


def test_answers_are_kept_for_paired_comparisons(made: tuple[Path, Evaluation]) -> None:
    found = made[1].answers
    labels = [np.array(one) for one in found.labels]
    assert [one.tolist() for one in labels] == [one.labels.tolist() for one in GIVEN.splits["test"]]
    counts = [
        confusions_by_dialogue(
            [np.array(one) for one in found.by_seed[seed]], labels, len(GIVEN.labels)
        )
        for seed in ("1", "2")
    ]
    apart = paired_bootstrap(system(counts[:1]), system(counts[1:]))
    values = made[1].test.weighted_f1.values
    assert apart.mean == pytest.approx(values[1] - values[0])


def test_the_agreement_of_modalities_is_that_of_validation_and_of_the_kept_epoch(
    made: tuple[Path, Evaluation],
) -> None:
    folder, found = made
    measured = [
        structures(
            checkpoint.load(folder / f"seed-{seed}").model, GIVEN.splits["validation"], 32, 0.07
        )
        for seed in (1, 2)
    ]
    assert found.agreement is not None
    assert found.agreement.cosine["text_audio"].values == pytest.approx([0.5, 0.5])
    for seed, one in enumerate(measured):
        assert one is not None
        assert found.agreement.difference["text_audio"].values[seed] == one.difference["text_audio"]
        assert found.agreement.same_label["audio"].values[seed] == one.same_label["audio"]


def test_what_was_selected_on_test_is_told_apart(made: tuple[Path, Evaluation]) -> None:
    best = made[1].best_on_test
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
    found = evaluate_run.evaluate(folder, quiet, material, contexts).training_seconds
    assert found is not None
    assert found.values == [3, 6]


def test_an_evaluation_is_taken_as_written_until_the_checkpoints_change(folder: Path) -> None:
    def refuse(*_: object):
        raise AssertionError("measured without need")

    before = evaluate_run.of_run(folder, quiet, refuse)
    other = run_folder(folder.parent / "other", GIVEN, steps=7)
    for name in ("model.safetensors", "model.json"):
        shutil.copy(other / "seed-2" / name, folder / "seed-2" / name)
    after = evaluate_run.of_run(folder, quiet, material)
    assert after.test.weighted_f1.values[0] == before.test.weighted_f1.values[0]
    assert after.checkpoints["2"] != before.checkpoints["2"]
    assert evaluate_run.of_run(folder, quiet, refuse) == after
    (folder / "evaluation.json").write_text("half of somethi")
    assert evaluate_run.of_run(folder, quiet, material).splits == after.splits


def say(words: list[str], **options: object) -> int:
    return run(lambda given: evaluate.main(given, **options), words)


def test_the_command_prints_tables_and_json(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    (folder / "evaluation.json").unlink()
    assert say([str(folder)], material=material) == 0
    said = capsys.readouterr().out
    found = msgspec.json.decode((folder / "evaluation.json").read_bytes(), type=Evaluation)
    assert list(found.splits["test"]) == [context_name(one) for one in CONTEXTS]
    for context in found.splits["test"].values():
        assert evaluate.plus_minus(context["text+audio"].weighted_f1) in said
    assert "0.615" in said
    assert "selected on test" in said
    assert all(label in said for label in GIVEN.labels)
    assert say([str(folder), "--json"], material=material) == 0
    printed = capsys.readouterr().out.encode()
    again = msgspec.json.decode(printed, type=Evaluation)
    assert found.answer_ms is not None
    assert msgspec.structs.replace(again, answer_ms=found.answer_ms) == found


def test_a_checkpoint_is_printed_from_its_card(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("live", str(folder / "seed-1"), str(folder / "seed-1" / "model.safetensors")):
        assert say([name]) == 0
        assert "from the checkpoint's card" in " ".join(capsys.readouterr().out.split())
    assert say(["live", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "card"


def refused(folder: Path, capsys: pytest.CaptureFixture[str], **options: object) -> str:
    """What is said; the evaluation from before is still there."""
    kept = (folder / "evaluation.json").read_bytes()
    names = sorted(path.name for path in folder.iterdir())
    assert say([str(folder)], **options) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert (folder / "evaluation.json").read_bytes() == kept
    assert sorted(path.name for path in folder.iterdir()) == names
    return said[0]


def test_a_missing_run_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("nonesuch", str(tmp_path / "none")):
        assert say([name]) == 2
        assert name in capsys.readouterr().err
    assert say([str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("gone", ["model.safetensors", "model.json"])
def test_an_unfinished_run_is_exit_2(
    gone: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "seed-2" / gone).unlink()
    said = refused(folder, capsys, material=material)
    assert "seed 2" in said
    assert "gscon-live fit" in said


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
    changed = dataclasses.replace(GIVEN, **change)
    assert mention in refused(folder, capsys, material=lambda *_: changed)


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
