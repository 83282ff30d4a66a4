"""Evaluation of a run: scores of all its seeds, computed from their checkpoints and features.

The result is `evaluation.json` in the run's folder.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.common.files import write_output
from gscon_live.model import checkpoint
from gscon_live.model.checkpoint import Checkpoint, modality_set_name
from gscon_live.train.corpora.dataset import FeaturedCorpus
from gscon_live.train.progress import Report
from gscon_live.train.runs.provenance import provenance
from gscon_live.train.scoring import agreement
from gscon_live.train.scoring.agreement import Structures
from gscon_live.train.scoring.answer_time import answer_ms
from gscon_live.train.scoring.ensemble import together
from gscon_live.train.scoring.evaluation import (
    FORMAT,
    Answers,
    BestOnTest,
    Evaluation,
    Figure,
    Figures,
    agreement_over_seeds,
    figure,
    over_seeds,
)
from gscon_live.train.scoring.measure import (
    CONTEXTS,
    Answered,
    Context,
    Measurements,
    answers,
    measurements,
    temperatures,
)

#: SSC's defaults, the same for all runs so that their structures can be compared.
_ROWS, _TAU = 32, 0.07

#: Returns the features of a run, from its recipe and one of its seeds.
Material = Callable[[Mapping[str, Any], int, Report], FeaturedCorpus]


def conversation_material(recipe: Mapping[str, Any], seed: int, report: Report) -> FeaturedCorpus:
    """The features for the networks of a run of kind `conversation`. Raises `InputError` where the
    recipe has keys or values that this version does not know, or as `material` does."""
    # Imports the text encoders, which a run that is already evaluated does not need.
    from gscon_live.train.networks.material import material
    from gscon_live.train.networks.recipe import ConversationRecipe

    try:
        known = msgspec.convert(recipe, ConversationRecipe)
    except msgspec.ValidationError as error:
        raise InputError(
            f"run {recipe.get('name')}: its recipe.json is of another version ({error}); train it "
            "again"
        ) from error
    return material(known, seed, report)


def is_run(folder: Path) -> bool:
    """Whether a folder is a run of kind `conversation`, which can be evaluated."""
    return (folder / "recipe.json").is_file() and _recipe(folder).get("kind") == "conversation"


def evaluate(
    folder: Path,
    report: Report,
    material: Material = conversation_material,
    contexts: Sequence[Context] = CONTEXTS,
) -> Evaluation:
    """Evaluates all seeds of a run and writes `evaluation.json` into its folder.

    Args:
        folder: the run's folder.
        report: takes (done, total, what).
        material: returns the features.
        contexts: the contexts to score in, `as_trained` first.

    Raises:
        InputError: the run is unfinished, or the corpus has other features or labels than its
            checkpoints. An earlier `evaluation.json` is kept.
    """
    recipe, weights = _recipe(folder), finished(folder)
    # All files are read first, so that errors come before the long computation.
    best_on_test, training_seconds = _best_on_test(weights), _training_seconds(weights)
    loaded = {seed: checkpoint.load(path) for seed, path in weights.items()}
    cosines = [agreement.cosines(_kept_epoch(path.parent)) for path in weights.values()]
    answered: dict[int, Answered] = {}
    structures: list[Structures] = []
    labels: list[list[int]] = []
    for seed, path in weights.items():
        corpus = material(recipe, seed, report)
        _require(path, loaded[seed], corpus)
        labels = [dialogue.labels.tolist() for dialogue in corpus.splits["test"]]
        answered[seed] = answers(
            loaded[seed].model, corpus, contexts, partial(_tell, report, f"measuring seed {seed}")
        )
        shared = agreement.structures(loaded[seed].model, corpus.splits["validation"], _ROWS, _TAU)
        structures += [shared] if shared else []
    card, a = loaded[min(loaded)].card, loaded[min(loaded)].card.architecture
    everything = modality_set_name(a.modalities)
    measured, same_validation = _measured(answered)
    evaluation = Evaluation(
        run=folder.resolve().name,
        corpus=corpus.name,
        labels=list(card.emotions),
        network=a.network,
        mode=a.mode,
        context=a.context if a.mode == "buffer" else None,
        modalities=list(a.modalities),
        parameters=sum(values.numel() for values in loaded[min(loaded)].model.parameters()),
        seeds=list(weights),
        selection="validation",
        recipe=dict(recipe),
        checkpoints=_digests(weights),
        splits=_figures(list(measured.values())),
        best_on_test=best_on_test,
        training_seconds=training_seconds,
        agreement=agreement_over_seeds(structures, cosines),
        ensemble=_ensemble(list(measured.values()), corpus, everything, same_validation),
        answer_ms=answer_ms(loaded[min(loaded)].model, corpus.splits["test"]),
        answers=Answers(
            labels,
            {
                str(seed): [
                    rows.tolist() for rows in measurements["test"]["as_trained"][everything].answers
                ]
                for seed, measurements in measured.items()
            },
        ),
        **provenance(),
    )
    write_output(folder / "evaluation.json", msgspec.json.encode(evaluation) + b"\n")
    return evaluation


def of_run(folder: Path, report: Report, material: Material = conversation_material) -> Evaluation:
    """The evaluation of a run: the stored one if it belongs to the checkpoints, under the present
    name of its folder; otherwise a new one. Raises `InputError` as `evaluate` does."""
    weights = finished(folder)
    try:
        stored = msgspec.json.decode((folder / "evaluation.json").read_bytes(), type=Evaluation)
    except (OSError, msgspec.DecodeError):
        return evaluate(folder, report, material)
    if stored.format == FORMAT and stored.checkpoints == _digests(weights):
        return msgspec.structs.replace(stored, run=folder.resolve().name)
    return evaluate(folder, report, material)


def finished(folder: Path) -> dict[int, Path]:
    """The paths of a run's weights by seed.

    Raises:
        InputError: the run is missing, or one of its seeds is unfinished.
    """
    # Needs the extra `train`, which the card of a checkpoint does not.
    from gscon_live.train.runs.run_folder import RunFolder

    recipe = _recipe(folder)
    first, count = recipe.get("first_seed", 1), recipe.get("seeds")
    if not isinstance(first, int) or not isinstance(count, int) or count < 1:
        raise InputError(f"run {folder}: its recipe.json does not say which seeds; train it again")
    folders = {seed: RunFolder(folder).seed(seed) for seed in range(first, first + count)}
    missing = [str(seed) for seed, training in folders.items() if not training.finished]
    if missing:
        raise InputError(
            f"run {folder}: unfinished, no checkpoint of seed {', '.join(missing)}; "
            "finish it with gscon-live fit"
        )
    return {seed: training.folder / "model.safetensors" for seed, training in folders.items()}


def _recipe(folder: Path) -> dict[str, Any]:
    path = folder / "recipe.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise InputError(
            f"run {folder}: no recipe.json there; give the folder of a run of train.fit"
        ) from error
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: {error}; train the run again") from error


def _require(path: Path, loaded: Checkpoint, corpus: FeaturedCorpus) -> None:
    """Raises `InputError` where a checkpoint was trained with other features or labels."""
    card = loaded.card
    if tuple(card.emotions) != corpus.labels:
        raise InputError(
            f"checkpoint {path}: made for the labels {', '.join(card.emotions)}; corpus "
            f"{corpus.name} has {', '.join(corpus.labels)}; train the run again"
        )
    if loaded.model.modalities != corpus.modalities or card.dims != corpus.dims:
        raise InputError(
            f"checkpoint {path}: made for features of lengths {_lengths(card.dims)}; those of "
            f"corpus {corpus.name} are {_lengths(corpus.dims)}; train the run again"
        )
    for modality, identity in corpus.encoders.items():
        card.require(modality, identity)


def _lengths(dims: Mapping[str, int]) -> str:
    return ", ".join(f"{m} {dim}" for m, dim in dims.items())


def _tell(report: Report, what: str, done: int, total: int) -> None:
    report(done, total, what)


def _figures(measured: Sequence[Measurements]) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        split: {
            context: {
                subset: over_seeds(
                    [measurements[split][context][subset] for measurements in measured]
                )
                for subset in by_subset
            }
            for context, by_subset in by_context.items()
        }
        for split, by_context in measured[0].items()
    }


def _measured(answered: Mapping[int, Answered]) -> tuple[dict[int, Measurements], bool]:
    """The measurements by seed, and whether all seeds have the same validation split. Where they
    have not, all have one temperature, fitted on the dialogues of all: each dialogue is answered by
    a training that did not meet it."""
    validated = {
        tuple(dialogue.name for dialogue in seed.dialogues["validation"])
        for seed in answered.values()
    }
    common = temperatures([*answered.values()]) if len(validated) > 1 else None
    measured = {
        seed: measurements(of_seed, common or temperatures([of_seed]))
        for seed, of_seed in answered.items()
    }
    return measured, len(validated) == 1


def _ensemble(
    measured: Sequence[Measurements],
    corpus: FeaturedCorpus,
    everything: str,
    same_validation: bool,
) -> dict[str, Figures] | None:
    if len(measured) < 2:
        return None
    seeds_together = together(measured, corpus, everything, same_validation)
    return {split: over_seeds([measurement]) for split, measurement in seeds_together.items()}


def _digests(weights: Mapping[int, Path]) -> dict[str, str]:
    return {
        str(seed): hashlib.sha256(path.read_bytes()).hexdigest() for seed, path in weights.items()
    }


def _best_on_test(weights: Mapping[int, Path]) -> BestOnTest | None:
    best = [_history(path.parent, "test_weighted_f1") for path in weights.values()]
    return BestOnTest(figure([max(epochs) for epochs in best])) if all(best) else None


def _kept_epoch(folder: Path) -> dict[str, float]:
    """The figures of the epoch whose weights were kept; empty without a history."""
    # Needs the extra `train`, as above.
    from gscon_live.train.engine.trainer import SELECTION_SCORE

    epochs = _epochs(folder)
    numbers = [
        {name: value for name, value in epoch.items() if isinstance(value, float | int)}
        for epoch in epochs
    ]
    return max(numbers, key=lambda epoch: epoch.get(SELECTION_SCORE, 0.0), default={})


def _training_seconds(weights: Mapping[int, Path]) -> Figure | None:
    spent = [_history(path.parent, "seconds") for path in weights.values()]
    return figure([sum(epochs) for epochs in spent]) if all(spent) else None


def _history(folder: Path, name: str) -> list[float]:
    """A figure of all epochs of a training; empty where it was not recorded."""
    epochs = _epochs(folder)
    return [float(epoch[name]) for epoch in epochs if isinstance(epoch.get(name), float | int)]


def _epochs(folder: Path) -> list[dict[str, Any]]:
    """The history of a training; empty where there is none."""
    path = folder / "history.jsonl"
    if not path.is_file():
        return []
    try:
        return [
            msgspec.json.decode(line, type=dict[str, Any])
            for line in path.read_bytes().splitlines()
        ]
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: {error}; train the run again") from error
