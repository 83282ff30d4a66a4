"""Training of the speaker space, and its evaluation by speaker confusion."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from gscon_live.model.encoders.speaker.speaker_clustering import (
    DIRECTIONS,
    SpeakerClustering,
    SpeakerSpace,
)
from gscon_live.model.encoders.voice.voice_statistics import VoiceStatistics
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.train.bounds import Positive
from gscon_live.train.corpora import librispeech, ravdess_emodb
from gscon_live.train.progress import Display, Report
from gscon_live.train.save_weights import save_encoder
from gscon_live.train.trainables import Trainable

Vectors = NDArray[np.float32]


class SpeakerRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training of the speaker space on RAVDESS' and EMO-DB's actors, and its evaluation in
    simulated conversations."""

    kind: Literal["speaker"] = "speaker"
    #: Results go to `runs/<name>/`.
    name: str = "speaker"
    #: Seed of the simulated conversations.
    seed: int = 1
    #: Shrinkage of the within-speaker covariance towards a multiple of the identity.
    shrinkage: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.1
    #: Folds of the 34 actors; more leave too few for a conversation, fewer too few to train on.
    folds: Annotated[int, msgspec.Meta(ge=3, le=11)] = 4
    #: Number of conversations for one, two and three speakers each.
    conversations: Positive = 40
    #: Number of utterances of each speaker in a conversation.
    utterances: Positive = 20
    #: Install the space as `model/weights/speaker.safetensors`.
    ship: bool = False


@dataclass(frozen=True)
class Utterances:
    """Utterances: statistics float32 [n, 114], speakers [n], and durations in seconds [n]."""

    statistics: Vectors
    speakers: NDArray[np.str_]
    seconds: NDArray[np.float64]

    def of(self, speakers: Sequence[str]) -> "Utterances":
        """The utterances of some speakers."""
        selected = np.isin(self.speakers, speakers)
        return Utterances(
            self.statistics[selected], self.speakers[selected], self.seconds[selected]
        )


@dataclass(frozen=True)
class SpeakerResult:
    """The space, and its evaluation by data and number of speakers: the share of time assigned to a
    wrong speaker, and the mean number of speakers found."""

    space: SpeakerSpace
    confusion: dict[str, dict[int, dict[str, float]]]


class SpeakerTrainable(Trainable[SpeakerRecipe]):
    """The speaker space."""

    recipe = SpeakerRecipe
    ships_as = "speaker"

    def fit(self, recipe: SpeakerRecipe, folder: Path, display: Display) -> Path:
        result = fit(recipe, display.report)
        return save_encoder(
            result.space, _card(recipe, result), folder / f"{recipe.name}.safetensors"
        )


def fit(recipe: SpeakerRecipe, report: Report) -> SpeakerResult:
    """Fits the space and evaluates it. Raises `InputError` where a corpus is missing."""
    actors, readers = _actor_utterances(report), _reader_utterances(report)
    names = np.unique(actors.speakers)
    parts = [list(names[first :: recipe.folds]) for first in range(recipe.folds)]
    spaces = [
        (space(actors.of([name for name in names if name not in part]), recipe.shrinkage), part)
        for part in parts
    ]
    final = space(actors, recipe.shrinkage)
    random = np.random.default_rng(recipe.seed)
    figures: dict[str, dict[int, dict[str, float]]] = {"acted": {}, "read": {}}
    for count in (1, 2, 3):
        acted = [
            converse(without, actors.of(part), count, recipe.utterances, random)
            for without, part in spaces
            for _ in range(-(-recipe.conversations // len(spaces)))
        ]
        read = [
            converse(final, readers, count, recipe.utterances, random)
            for _ in range(recipe.conversations)
        ]
        for name, rows in (("acted", acted), ("read", read)):
            error, speakers = np.mean(rows, 0)
            figures[name][count] = {"confusion": float(error), "speakers": float(speakers)}
    return SpeakerResult(final, figures)


def space(spoken: Utterances, shrinkage: float, directions: int = DIRECTIONS) -> SpeakerSpace:
    """The space of these speakers, by linear discriminant analysis; they are more than its
    directions."""
    # Takes a second to import.
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    space = SpeakerSpace(spoken.statistics.shape[1], directions)
    rows = torch.from_numpy(spoken.statistics)
    space.mean.copy_(rows.mean(0))
    space.deviation.copy_(rows.std(0) + 1e-4)
    standardised = space.standardised(rows).double().numpy()
    analysis = LinearDiscriminantAnalysis(
        solver="eigen", shrinkage=shrinkage, n_components=directions
    ).fit(standardised, spoken.speakers)
    projection = analysis.scalings_[:, :directions]
    places = standardised @ projection
    names = np.unique(spoken.speakers)
    within = np.mean([places[spoken.speakers == name].var(0) for name in names], 0)
    projection = projection / np.sqrt(within)
    places = standardised @ projection
    means = np.stack([places[spoken.speakers == name].mean(0) for name in names])
    space.projection.copy_(torch.from_numpy(projection))
    space.shift.copy_(torch.from_numpy(means.mean(0)))
    space.between.copy_(torch.from_numpy(means.var(0)))
    return space.eval()


def converse(
    space: SpeakerSpace,
    spoken: Utterances,
    count: int,
    utterances: int,
    random: np.random.Generator,
) -> tuple[float, int]:
    """Simulates a conversation of `count` speakers with `utterances` each, in random order. Returns
    the share of time assigned to a wrong speaker, and the number of speakers found."""
    speakers = random.choice(np.unique(spoken.speakers), count, replace=False)
    rows = np.concatenate([_sample_rows(spoken, name, utterances, random) for name in speakers])
    random.shuffle(rows)
    listener = SpeakerClustering(8, space)
    assigned = [listener.final(spoken.statistics[row]) for row in rows]
    return confusion(assigned, spoken.speakers[rows], spoken.seconds[rows]), len(set(assigned))


def confusion(
    assigned: Sequence[str], speakers: Sequence[str] | NDArray[np.str_], seconds: Sequence[float]
) -> float:
    """The share of time assigned to a wrong speaker, under the best matching of names and speakers:
    the speaker confusion of the diarization error rate, with given segment bounds."""
    names, people = sorted(set(assigned)), sorted(set(speakers))
    shared = np.zeros((len(names), len(people)))
    for name, person, time in zip(assigned, speakers, seconds, strict=True):
        shared[names.index(name), people.index(person)] += time
    correct = shared[linear_sum_assignment(-shared)].sum()
    return float(1 - correct / shared.sum())


def _sample_rows(
    spoken: Utterances, speaker: str, utterances: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Random rows of a speaker, without replacement; fewer if there are not as many."""
    rows = np.flatnonzero(spoken.speakers == speaker)
    return random.permutation(rows)[:utterances]


def _actor_utterances(report: Report) -> Utterances:
    recordings = ((clip.actor, sound) for clip, sound in ravdess_emodb.load())
    return _utterances(recordings, ravdess_emodb.COUNT, "voices of actors", report)


def _reader_utterances(report: Report) -> Utterances:
    return _utterances(librispeech.load(), librispeech.COUNT, "voices of readers", report)


def _utterances(
    recordings: Iterable[tuple[str, Vectors]], count: int, line: str, report: Report
) -> Utterances:
    """The statistics of recordings and their speakers."""
    statistics, rows, names, seconds = VoiceStatistics(), [], [], []
    for name, samples in recordings:
        rows.append(statistics.of(samples))
        names.append(name)
        seconds.append(len(samples) / SAMPLE_RATE)
        report(len(rows), count, line)
    return Utterances(np.stack(rows), np.array(names), np.array(seconds))


def _card(recipe: SpeakerRecipe, result: SpeakerResult) -> dict[str, object]:
    return {
        "name": "speaker-lda",
        "data": "RAVDESS and EMO-DB, 34 actors.",
        "confusion_data": "Share of the time given to the wrong one of one, two or three speakers "
        "who take turns at random, where the bounds of utterances are given, and how many were "
        "heard. acted: actors in four parts, by spaces made of the others. read: LibriSpeech, "
        "which chose nothing.",
        "note": "The directions' number and the readiness to hear somebody new were chosen on the "
        "actors, by the mean over one, two and three of them.",
        "recipe": recipe,
        "confusion": result.confusion,
    }
