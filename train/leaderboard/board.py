"""The leaderboard's content: runs beside published figures, networks by what balances them, and
paired comparisons.

All figures are from 0 to 1 and of the test split.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from gscon_live.model.checkpoint import modality_set_name
from gscon_live.train.leaderboard.comparisons import Comparison, balance, comparisons
from gscon_live.train.leaderboard.grid import CrossTable, cross_tables
from gscon_live.train.leaderboard.published import Published, Selection
from gscon_live.train.scoring.figures import Evaluation, Spread, spread
from gscon_live.train.scoring.significance import Interval


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one corpus, as trained, with all its modalities; None for what is unknown.

    `network` and `balance` say what was trained, and with which consistency losses and plug-ins;
    `answer_ms` is the processor time of one answer, see `train.scoring.figures.Evaluation`. `alone`
    is the weighted F1 by the modality that is there, all others missing, where there are several.
    `validation` is the weighted F1 on the split of selection; `best_on_test` that of the best epoch
    on test, which is not to be compared with anything.
    """

    model: str
    corpus: str
    origin: Literal["run", "published"]
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
    """All rows, those of the runs first, all comparisons, and networks by what balances them."""

    rows: list[ModelRow]
    comparisons: list[Comparison]
    crossings: list[CrossTable]


def board(evaluations: Sequence[Evaluation], others: Iterable[Published]) -> Board:
    """The leaderboard of some runs; of the published figures those on the same corpora.

    Runs are in the order of their validation scores, not of test.
    """
    ordered = sorted(evaluations, key=lambda one: -one.validation.weighted_f1.mean)
    corpora = {one.corpus for one in ordered}
    told = [
        _published(one, corpus) for one in others for corpus in sorted(corpora & one.scores.keys())
    ]
    rows = [_row(one) for one in ordered] + told
    return Board(rows, comparisons(ordered), cross_tables(evaluations))


def _row(made: Evaluation) -> ModelRow:
    test, best = made.test, made.best_on_test
    return ModelRow(
        model=made.run,
        corpus=made.corpus,
        origin="run",
        context=made.seen,
        modalities=modality_set_name(made.modalities),
        selection="validation",
        seeds=len(made.seeds),
        weighted_f1=spread(test.weighted_f1),
        interval=test.interval,
        accuracy=spread(test.accuracy),
        macro_f1=spread(test.macro_f1),
        ece=spread(test.ece),
        alone=made.alone,
        validation=spread(made.validation.weighted_f1),
        best_on_test=spread(best.weighted_f1) if best else None,
        network=made.network,
        balance=balance(made),
        parameters=made.parameters,
        answer_ms=made.answer_ms,
        training_seconds=spread(made.training_seconds) if made.training_seconds else None,
        source=f"measured {made.created}, {made.machine}",
        note=f"{made.network}, {made.test.utterances} utterances in {made.test.dialogues} "
        "dialogues",
    )


def _published(told: Published, corpus: str) -> ModelRow:
    score = told.scores[corpus]
    return ModelRow(
        model=told.model,
        corpus=corpus,
        origin="published",
        context=told.context,
        modalities=told.modalities,
        selection=told.selection,
        seeds=told.seeds,
        weighted_f1=Spread(score.weighted_f1 / 100, None if score.sd is None else score.sd / 100),
        accuracy=None if score.accuracy is None else Spread(score.accuracy / 100),
        source=told.source,
        note=told.note,
    )
