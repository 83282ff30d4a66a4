"""The content of the leaderboard: runs beside published figures, cross tables of networks and
balancing methods, and paired comparisons.

All figures are from 0 to 1 and of the test split, unless a field says otherwise.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from gscon_live.model.checkpoint import modality_set_name
from gscon_live.train.leaderboard.comparisons import Comparison, balance_name, comparisons
from gscon_live.train.leaderboard.grid import CrossTable, cross_tables
from gscon_live.train.leaderboard.published import Published, Selection
from gscon_live.train.scoring.evaluation import Evaluation, Figures, Spread, spread
from gscon_live.train.scoring.significance import Interval


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model on a corpus, as trained, with all its modalities; None where a value is unknown.

    `origin` is "ensemble" for all seeds of a run together, see `train.scoring.ensemble`. `balance`
    names the consistency losses and plug-ins that `network` was trained with. `answer_ms` is the
    processor time of an answer, see `train.scoring.evaluation.Evaluation`. `alone` is the weighted
    F1 with a single modality, by modality; empty for a unimodal model. `validation` is the weighted
    F1 on the split of selection. `best_on_test` is that of the best epoch on test; it is not
    comparable with any other figure.
    """

    model: str
    corpus: str
    origin: Literal["run", "ensemble", "published"]
    context: str
    modalities: str
    selection: Selection
    seeds: int | None
    weighted_f1: Spread
    interval: Interval | None = None
    accuracy: Spread | None = None
    macro_f1: Spread | None = None
    ece: Spread | None = None
    alone: dict[str, Spread] = {}
    validation: Spread | None = None
    best_on_test: Spread | None = None
    network: str = ""
    balance: str = ""
    parameters: int | None = None
    answer_ms: float | None = None
    training_seconds: Spread | None = None
    source: str = ""
    note: str = ""


class Board(msgspec.Struct, frozen=True):
    """All rows, those of the runs first; all comparisons; and the cross tables (`crossings`)."""

    rows: list[ModelRow]
    comparisons: list[Comparison]
    crossings: list[CrossTable]


def board(evaluations: Sequence[Evaluation], published: Iterable[Published]) -> Board:
    """The leaderboard of runs, and of the published figures on the same corpora.

    Runs are ordered by their scores on validation, not on test.
    """
    ordered = sorted(evaluations, key=lambda evaluation: -evaluation.validation.weighted_f1.mean)
    corpora = {evaluation.corpus for evaluation in ordered}
    published_rows = [
        _published_row(model, corpus)
        for model in published
        for corpus in sorted(corpora & model.scores.keys())
    ]
    rows = [row for evaluation in ordered for row in _run_rows(evaluation)] + published_rows
    return Board(rows, comparisons(ordered), cross_tables(evaluations))


def _run_rows(evaluation: Evaluation) -> list[ModelRow]:
    """A run, and its seeds together where there are several."""
    run, count = _run_row(evaluation), len(evaluation.seeds)
    if evaluation.ensemble is None:
        return [run]
    together = msgspec.structs.replace(
        run,
        model=f"{run.model}, {count} seeds together",
        origin="ensemble",
        **_scores(evaluation.ensemble["test"], evaluation.ensemble.get("validation")),
        alone={},
        best_on_test=None,
        parameters=evaluation.parameters * count,
        answer_ms=None if evaluation.answer_ms is None else evaluation.answer_ms * count,
        training_seconds=None,
        note=f"the mean of the probabilities of {count} trainings",
    )
    return [run, together]


def _scores(test: Figures, validation: Figures | None) -> dict[str, Any]:
    return {
        "weighted_f1": spread(test.weighted_f1),
        "interval": test.interval,
        "accuracy": spread(test.accuracy),
        "macro_f1": spread(test.macro_f1),
        "ece": spread(test.ece),
        "validation": spread(validation.weighted_f1) if validation else None,
    }


def _run_row(evaluation: Evaluation) -> ModelRow:
    test, best, seconds = evaluation.test, evaluation.best_on_test, evaluation.training_seconds
    return ModelRow(
        model=evaluation.run,
        corpus=evaluation.corpus,
        origin="run",
        context=evaluation.context_description,
        modalities=modality_set_name(evaluation.modalities),
        selection="validation",
        seeds=len(evaluation.seeds),
        **_scores(test, evaluation.validation),
        alone=evaluation.unimodal,
        best_on_test=spread(best.weighted_f1) if best else None,
        network=evaluation.network,
        balance=balance_name(evaluation),
        parameters=evaluation.parameters,
        answer_ms=evaluation.answer_ms,
        training_seconds=spread(seconds) if seconds else None,
        source=f"measured {evaluation.created}, {evaluation.machine}",
        note=f"{evaluation.network}, {test.utterances} utterances in {test.dialogues} dialogues",
    )


def _published_row(model: Published, corpus: str) -> ModelRow:
    score = model.scores[corpus]
    return ModelRow(
        model=model.model,
        corpus=corpus,
        origin="published",
        context=model.context,
        modalities=model.modalities,
        selection=model.selection,
        seeds=model.seeds,
        weighted_f1=Spread(score.weighted_f1 / 100, None if score.sd is None else score.sd / 100),
        accuracy=None if score.accuracy is None else Spread(score.accuracy / 100),
        source=model.source,
        note=model.note,
    )
