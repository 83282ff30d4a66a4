"""The space in which speakers are told apart, and how well they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from gscon_live.model.encoders.speaker.speaker_clustering import DIRECTIONS, Speakers, SpeakerSpace
from gscon_live.model.encoders.voice.spectrogram import sound
from gscon_live.model.encoders.voice.voice_statistics import VoiceStatistics
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.train.corpora import librispeech, voices
from gscon_live.train.data.feature_banks import Report

Vectors = NDArray[np.float32]


class SpeakerRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the space is made, of RAVDESS' and EMO-DB's actors, and measured.

    `shrinkage` is the part of the scatter within speakers that is taken to be alike in all
    directions. In `conversations` of one, two and three speakers with `utterances` each it is
    counted how much of the time is given to the wrong one: of actors in `folds` parts, by a space
    made of the others; and of LibriSpeech's readers. Of the 34 actors, fewer than three folds leave
    too few others for the space's directions, and more than eleven too few to converse.
    """

    kind: Literal["speaker"] = "speaker"
    name: str = "speaker"
    seed: int = 1
    shrinkage: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.1
    folds: Annotated[int, msgspec.Meta(ge=3, le=11)] = 4
    conversations: Annotated[int, msgspec.Meta(ge=1)] = 40
    utterances: Annotated[int, msgspec.Meta(ge=1)] = 20
    ship: bool = False


@dataclass(frozen=True)
class Spoken:
    """Utterances: statistics float32 [n, 114], whose they are [n], and how long in seconds [n]."""

    statistics: Vectors
    speakers: NDArray[np.str_]
    seconds: NDArray[np.float64]

    def of(self, speakers: Sequence[str]) -> "Spoken":
        """Those of some speakers."""
        mine = np.isin(self.speakers, speakers)
        return Spoken(self.statistics[mine], self.speakers[mine], self.seconds[mine])


@dataclass(frozen=True)
class Fitted:
    """The space, and by material and number of speakers the share of the time given to the wrong
    one, and how many speakers were heard in the mean."""

    space: SpeakerSpace
    confusion: dict[str, dict[int, dict[str, float]]]


def fit(recipe: SpeakerRecipe, report: Report) -> Fitted:
    """Makes the space and measures it. Raises `InputError` where a corpus is not there."""
    actors, readers = _acted(report), _read(report)
    names = np.unique(actors.speakers)
    parts = [list(names[first :: recipe.folds]) for first in range(recipe.folds)]
    spaces = [
        (space(actors.of([one for one in names if one not in part]), recipe.shrinkage), part)
        for part in parts
    ]
    whole = space(actors, recipe.shrinkage)
    random = np.random.default_rng(recipe.seed)
    found: dict[str, dict[int, dict[str, float]]] = {"acted": {}, "read": {}}
    for count in (1, 2, 3):
        acted = [
            converse(one, actors.of(part), count, recipe.utterances, random)
            for one, part in spaces
            for _ in range(-(-recipe.conversations // len(spaces)))
        ]
        read = [
            converse(whole, readers, count, recipe.utterances, random)
            for _ in range(recipe.conversations)
        ]
        for name, rows in (("acted", acted), ("read", read)):
            wrong, heard = np.mean(rows, 0)
            found[name][count] = {"confusion": float(wrong), "speakers": float(heard)}
    return Fitted(whole, found)


def space(spoken: Spoken, shrinkage: float) -> SpeakerSpace:
    """The space in which these speakers differ most for how much their utterances do."""
    # Takes a second to import, and every command that reads recipes imports this module.
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    made = SpeakerSpace(spoken.statistics.shape[1])
    rows = torch.from_numpy(spoken.statistics)
    made.mean.copy_(rows.mean(0))
    made.deviation.copy_(rows.std(0) + 1e-4)
    standardised = made.standardised(rows).double().numpy()
    analysis = LinearDiscriminantAnalysis(
        solver="eigen", shrinkage=shrinkage, n_components=DIRECTIONS
    ).fit(standardised, spoken.speakers)
    projection = analysis.scalings_[:, :DIRECTIONS]
    places = standardised @ projection
    names = np.unique(spoken.speakers)
    within = np.mean([places[spoken.speakers == name].var(0) for name in names], 0)
    projection = projection / np.sqrt(within)
    places = standardised @ projection
    means = np.stack([places[spoken.speakers == name].mean(0) for name in names])
    made.projection.copy_(torch.from_numpy(projection))
    made.shift.copy_(torch.from_numpy(means.mean(0)))
    made.between.copy_(torch.from_numpy(means.var(0)))
    return made.eval()


def converse(
    space: SpeakerSpace, spoken: Spoken, count: int, utterances: int, random: np.random.Generator
) -> tuple[float, int]:
    """A conversation of `count` of the speakers with `utterances` each, in any order: the share of
    the time that is given to the wrong one, and how many were heard."""
    who = random.choice(np.unique(spoken.speakers), count, replace=False)
    rows = np.concatenate([_some(spoken, name, utterances, random) for name in who])
    random.shuffle(rows)
    listener = Speakers(8, space)
    heard = [listener.final(spoken.statistics[row]) for row in rows]
    return confusion(heard, spoken.speakers[rows], spoken.seconds[rows]), len(set(heard))


def confusion(
    heard: Sequence[str], speakers: Sequence[str] | NDArray[np.str_], seconds: Sequence[float]
) -> float:
    """The share of the time that is given to the wrong speaker, with the names that were heard
    matched to the speakers in the best way: what is left of the diarization error rate where the
    bounds of utterances are given."""
    names, people = sorted(set(heard)), sorted(set(speakers))
    shared = np.zeros((len(names), len(people)))
    for name, person, time in zip(heard, speakers, seconds, strict=True):
        shared[names.index(name), people.index(person)] += time
    right = shared[linear_sum_assignment(-shared)].sum()
    return float(1 - right / shared.sum())


def _some(
    spoken: Spoken, speaker: str, utterances: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of a speaker, none twice, so many if there are as many."""
    mine = np.flatnonzero(spoken.speakers == speaker)
    return random.permutation(mine)[:utterances]


def _acted(report: Report) -> Spoken:
    made = ((clip.actor, heard) for clip, heard in voices.load())
    return _spoken(made, voices.COUNT, "voices of actors", report)


def _read(report: Report) -> Spoken:
    return _spoken(librispeech.load(), librispeech.COUNT, "voices of readers", report)


def _spoken(
    recordings: Iterable[tuple[str, Vectors]], count: int, line: str, report: Report
) -> Spoken:
    """Recordings with their speakers, by their statistics."""
    statistics, rows, names, seconds = VoiceStatistics(), [], [], []
    for name, samples in recordings:
        with torch.inference_mode():
            rows.append(statistics(sound(samples)).numpy())
        names.append(name)
        seconds.append(len(samples) / SAMPLE_RATE)
        report(len(rows), count, line)
    return Spoken(np.stack(rows), np.array(names), np.array(seconds))
