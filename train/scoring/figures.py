"""What `evaluation.json` holds: the figures of a run over its seeds."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from gscon_live.model.checkpoint import modality_set_name
from gscon_live.train.scoring.agreement import Structures
from gscon_live.train.scoring.measure import Measurement
from gscon_live.train.scoring.metrics import Bin
from gscon_live.train.scoring.significance import Interval, interval, resampled

FORMAT = "gscon.evaluation/2"


class Figure(msgspec.Struct, frozen=True):
    """A figure over seeds: mean, standard deviation (None for one seed), how many, and each."""

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
    """One class over seeds, and how many utterances have this label."""

    precision: Figure
    recall: Figure
    f1: Figure
    support: int


class Figures(msgspec.Struct, frozen=True):
    """All figures of one split, context and set of modalities, from 0 to 1.

    `interval` is of the mean weighted F1, over dialogues. `ece` is measured at the `temperature`
    that was fitted on validation, `ece_uncalibrated` without. `confusion`, by label (first index)
    and answer (second), and the reliability diagrams are of all seeds together.
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
    """Weighted F1 on test of the epoch that is the best there, over seeds."""

    weighted_f1: Figure
    use: str = "none: selected on test; only to show how much that flatters"


class AgreementFigures(msgspec.Struct, frozen=True):
    """How far modalities agree in the shared encoder, over seeds, on validation.

    `cosine` is that of their gradients in the kept epoch, by pair (`text_audio`); the rest is told
    by `train.scoring.agreement.Structures`.
    """

    cosine: dict[str, Figure]
    difference: dict[str, Figure]
    same_label: dict[str, Figure]
    chance: Figure


class Answers(msgspec.Struct, frozen=True):
    """Classes by dialogue of the test split: the labels (-1 for none), and by seed the answers as
    trained, with all modalities."""

    labels: list[list[int]]
    by_seed: dict[str, list[list[int]]]


class Evaluation(msgspec.Struct, frozen=True):
    """The evaluation of a run.

    `splits` holds figures by split, context and modalities, under the names of
    `train.scoring.measure`; `selection` names the split that epochs were selected on; `checkpoints`
    are the SHA-256 of the weights by seed; `context` is the window of a network of mode `buffer`.
    `answer_ms` is the median processor time in ms, on one thread, of the next answer in a
    conversation; in mode `full` that of a whole dialogue of test over its utterances. None where it
    was not measured.
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
    format: str = FORMAT

    @property
    def seen(self) -> str:
        """What the network sees of a conversation, in the words of the published figures."""
        if self.mode == "full":
            return "full"
        return "past-only" if self.mode == "causal" else f"past-only, last {self.context}"

    @property
    def alone(self) -> dict[str, Spread]:
        """Weighted F1 on test, as trained, by the modality that is there, all others missing; empty
        where there is one anyway."""
        there = self.splits["test"]["as_trained"]
        several = self.modalities if len(self.modalities) > 1 else []
        return {m: spread(there[m].weighted_f1) for m in several}

    @property
    def test(self) -> Figures:
        """Test, as trained, with all modalities."""
        return self.splits["test"]["as_trained"][modality_set_name(self.modalities)]

    @property
    def validation(self) -> Figures:
        """Validation, as trained, with all modalities."""
        return self.splits["validation"]["as_trained"][modality_set_name(self.modalities)]


def figure(values: Sequence[float]) -> Figure:
    """Mean and standard deviation over seeds."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Figure(statistics.fmean(values), sd, len(values), list(values))


def agreement_over_seeds(
    measured: Sequence[Structures], cosines: Sequence[Mapping[str, float]]
) -> AgreementFigures | None:
    """The agreement of the trainings of a run, None where there are none."""
    if not measured:
        return None

    def each(values: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
        names = values[0] if all(one.keys() == values[0].keys() for one in values) else {}
        return {name: figure([one[name] for one in values]) for name in names}

    return AgreementFigures(
        cosine=each(cosines),
        difference=each([one.difference for one in measured]),
        same_label=each([one.same_label for one in measured]),
        chance=figure([one.chance for one in measured]),
    )


def over_seeds(measured: Sequence[Measurement]) -> Figures:
    """The figures of the trainings of a run, all measured alike."""
    scores = [one.scores for one in measured]
    draws = np.mean([resampled(one.confusions) for one in measured], axis=0)
    return Figures(
        weighted_f1=figure([one.weighted_f1 for one in scores]),
        interval=interval(draws),
        accuracy=figure([one.accuracy for one in scores]),
        macro_f1=figure([one.macro_f1 for one in scores]),
        ece=figure([one.ece for one in scores]),
        ece_uncalibrated=figure([one.uncalibrated_ece for one in measured]),
        temperature=figure([one.temperature for one in measured]),
        per_class={
            name: ClassFigures(
                precision=figure([one.per_class[name].precision for one in scores]),
                recall=figure([one.per_class[name].recall for one in scores]),
                f1=figure([one.per_class[name].f1 for one in scores]),
                support=first.support,
            )
            for name, first in scores[0].per_class.items()
        },
        confusion=np.sum([one.confusion for one in scores], axis=0).tolist(),
        reliability_before=_together([one.before for one in measured]),
        reliability_after=_together([one.after for one in measured]),
        utterances=scores[0].count,
        dialogues=len(measured[0].confusions),
    )


def _together(diagrams: Sequence[Sequence[Bin]]) -> list[Bin]:
    """One reliability diagram of several."""
    made = []
    for bins in zip(*diagrams, strict=True):
        count = sum(one.count for one in bins)
        confidence = sum(one.count * one.confidence for one in bins) / max(count, 1)
        accuracy = sum(one.count * one.accuracy for one in bins) / max(count, 1)
        made.append(Bin(count, confidence, accuracy))
    return made
