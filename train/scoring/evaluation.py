"""The content of `evaluation.json`: the figures of a run over its seeds."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from gscon_live.model.checkpoint import modality_set_name
from gscon_live.train.scoring.agreement import Structures
from gscon_live.train.scoring.measure import Measurement
from gscon_live.train.scoring.metrics import Bin
from gscon_live.train.scoring.significance import (
    Interval,
    bootstrap_weighted_f1,
    percentile_interval,
)

FORMAT = "gscon.evaluation/3"


class Figure(msgspec.Struct, frozen=True):
    """A figure over seeds: mean, standard deviation (None for a single seed), the number of seeds,
    and the value of each."""

    mean: float
    sd: float | None
    n: int
    values: list[float]


class Spread(msgspec.Struct, frozen=True):
    """A mean and, where there are several trainings, its standard deviation."""

    mean: float
    sd: float | None = None


def spread(figure: Figure) -> Spread:
    """The part of a figure that tables show."""
    return Spread(figure.mean, figure.sd)


class ClassFigures(msgspec.Struct, frozen=True):
    """The figures of a class over seeds, and how many utterances have this label."""

    precision: Figure
    recall: Figure
    f1: Figure
    support: int


class Figures(msgspec.Struct, frozen=True):
    """All figures of a split, a context and a set of modalities, from 0 to 1.

    `interval` is the 95 % interval of the mean weighted F1 over dialogues. `ece` is measured at the
    `temperature` that was fitted on validation, `ece_uncalibrated` without; where each seed has
    another validation split, there is one temperature, fitted on all of them. `confusion`, by label
    (first index) and answer (second), and the reliability diagrams pool all seeds. Where each seed
    has another validation split, the counts are those of the first.
    """

    weighted_f1: Figure
    interval: Interval
    accuracy: Figure
    macro_f1: Figure
    ece: Figure
    ece_uncalibrated: Figure
    temperature: Figure
    per_class: dict[str, ClassFigures]
    confusion: list[list[int]]
    reliability_before: list[Bin]
    reliability_after: list[Bin]
    utterances: int
    dialogues: int


class BestOnTest(msgspec.Struct, frozen=True):
    """Weighted F1 on test of the epoch that is the best on test, over seeds."""

    weighted_f1: Figure
    use: str = "none: selected on test; only to show how much that flatters"


class AgreementFigures(msgspec.Struct, frozen=True):
    """Agreement of the modalities in the shared encoder, over seeds, on validation.

    `cosine` is between their gradients in the kept epoch, by pair (`text_audio`). For the other
    fields see `train.scoring.agreement.Structures`.
    """

    cosine: dict[str, Figure]
    difference: dict[str, Figure]
    same_label: dict[str, Figure]
    chance: Figure


class Answers(msgspec.Struct, frozen=True):
    """Classes of the utterances of test, by dialogue: the labels (-1: no label), and by seed the
    answers as trained, with all modalities."""

    labels: list[list[int]]
    by_seed: dict[str, list[list[int]]]


class Evaluation(msgspec.Struct, frozen=True):
    """The evaluation of a run.

    `splits` holds figures by split, context and modalities, under the names of
    `train.scoring.measure`; `selection` names the split that epochs were selected on; `checkpoints`
    are the SHA-256 of the weights by seed; `context` is the window of a network of mode `buffer`.
    `answer_ms` is the median processor time in ms, on one thread, of the next answer in a
    conversation; in mode `full` that of a whole dialogue of test over its utterances. None where it
    was not measured. `ensemble` has the figures of all seeds together by split, see
    `train.scoring.ensemble`, as trained, with all modalities; None with a single seed.
    """

    run: str
    corpus: str
    labels: list[str]
    network: str
    mode: str
    context: int | None
    modalities: list[str]
    parameters: int
    seeds: list[int]
    selection: str
    recipe: dict[str, Any]
    checkpoints: dict[str, str]
    splits: dict[str, dict[str, dict[str, Figures]]]
    best_on_test: BestOnTest | None
    training_seconds: Figure | None
    agreement: AgreementFigures | None
    answers: Answers
    created: str
    machine: str
    answer_ms: float | None = None
    ensemble: dict[str, Figures] | None = None
    format: str = FORMAT

    @property
    def context_description(self) -> str:
        """The context that the network sees, in the terms of `published.yaml`."""
        if self.mode == "full":
            return "full"
        return "past-only" if self.mode == "causal" else f"past-only, last {self.context}"

    @property
    def unimodal(self) -> dict[str, Spread]:
        """Weighted F1 on test, as trained, with a single modality, by modality; empty for a
        unimodal network."""
        by_subset = self.splits["test"]["as_trained"]
        several = self.modalities if len(self.modalities) > 1 else []
        return {m: spread(by_subset[m].weighted_f1) for m in several}

    @property
    def test(self) -> Figures:
        """The figures on test, as trained, with all modalities."""
        return self.splits["test"]["as_trained"][modality_set_name(self.modalities)]

    @property
    def validation(self) -> Figures:
        """The figures on validation, as trained, with all modalities."""
        return self.splits["validation"]["as_trained"][modality_set_name(self.modalities)]


def figure(values: Sequence[float]) -> Figure:
    """Mean and standard deviation over seeds."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Figure(statistics.fmean(values), sd, len(values), list(values))


def agreement_over_seeds(
    structures: Sequence[Structures], cosines: Sequence[Mapping[str, float]]
) -> AgreementFigures | None:
    """The agreement over the seeds of a run; None where it was not measured."""
    if not structures:
        return None

    def by_name(seeds: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
        names = seeds[0] if all(values.keys() == seeds[0].keys() for values in seeds) else {}
        return {name: figure([values[name] for values in seeds]) for name in names}

    return AgreementFigures(
        cosine=by_name(cosines),
        difference=by_name([seed.difference for seed in structures]),
        same_label=by_name([seed.same_label for seed in structures]),
        chance=figure([seed.chance for seed in structures]),
    )


def over_seeds(measurements: Sequence[Measurement]) -> Figures:
    """The figures of a run over its seeds, from the measurement of each seed."""
    scores = [measurement.scores for measurement in measurements]
    draws = np.mean(
        [bootstrap_weighted_f1(measurement.confusions) for measurement in measurements], axis=0
    )
    return Figures(
        weighted_f1=figure([seed.weighted_f1 for seed in scores]),
        interval=percentile_interval(draws),
        accuracy=figure([seed.accuracy for seed in scores]),
        macro_f1=figure([seed.macro_f1 for seed in scores]),
        ece=figure([seed.ece for seed in scores]),
        ece_uncalibrated=figure([measurement.uncalibrated_ece for measurement in measurements]),
        temperature=figure([measurement.temperature for measurement in measurements]),
        per_class={
            name: ClassFigures(
                precision=figure([seed.per_class[name].precision for seed in scores]),
                recall=figure([seed.per_class[name].recall for seed in scores]),
                f1=figure([seed.per_class[name].f1 for seed in scores]),
                support=first.support,
            )
            for name, first in scores[0].per_class.items()
        },
        confusion=np.sum([seed.confusion for seed in scores], axis=0).tolist(),
        reliability_before=_merge([measurement.before for measurement in measurements]),
        reliability_after=_merge([measurement.after for measurement in measurements]),
        utterances=scores[0].count,
        dialogues=len(measurements[0].confusions),
    )


def _merge(diagrams: Sequence[Sequence[Bin]]) -> list[Bin]:
    """A single reliability diagram of all answers."""
    merged = []
    for bins in zip(*diagrams, strict=True):
        count = sum(part.count for part in bins)
        confidence = sum(part.count * part.confidence for part in bins) / max(count, 1)
        accuracy = sum(part.count * part.accuracy for part in bins) / max(count, 1)
        merged.append(Bin(count, confidence, accuracy))
    return merged
