"""Training of the space of voice profiles, and its evaluation over composed recordings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.model.encoders.speaker.speaker_clustering import SpeakerSpace
from gscon_live.model.encoders.speaker.voice_profiles import (
    DIRECTIONS,
    VoiceProfile,
    VoiceProfiles,
)
from gscon_live.model.encoders.voice.voice_statistics import VoiceStatistics
from gscon_live.train.bounds import Positive
from gscon_live.train.corpora import librispeech, ravdess_emodb
from gscon_live.train.encoders.microphones import Samples, microphone
from gscon_live.train.encoders.speaker import Utterances, space
from gscon_live.train.progress import Display, Report
from gscon_live.train.save_weights import save_encoder
from gscon_live.train.trainables import Trainable

#: Utterances in a composed recording, and recordings of each person.
LAYOUTS = ((1, 5), (3, 3), (5, 2))
#: Utterances with which a voice is enrolled, and after which its name is asked for.
ENROLLED, HEARD = 5, (1, 2, 4)

Clips = Mapping[str, Sequence[Samples]]


class ProfileRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training of the space of voice profiles on RAVDESS' and EMO-DB's actors, each heard by
    several random microphones, and its evaluation on people whom it never met."""

    kind: Literal["profile"] = "profile"
    #: Results go to `runs/<name>/`.
    name: str = "profile"
    #: Seed of the microphones and of the composed recordings.
    seed: int = 1
    #: Shrinkage of the within-speaker covariance towards a multiple of the identity.
    shrinkage: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.05
    #: Random microphones through which each utterance is heard, besides as it is.
    microphones: Positive = 2
    #: Draws of the composed recordings that the evaluation averages over.
    draws: Positive = 5
    #: Install the space as `model/weights/profile.safetensors`.
    ship: bool = False


@dataclass(frozen=True)
class Regrouped:
    """How well people are found again over recordings.

    Attributes:
        together: the share of pairs of one person's profiles that are given one person.
        mixed: the share of pairs of two people's profiles that are given one person.
        people: how many people are found.
    """

    together: float
    mixed: float
    people: float


@dataclass(frozen=True)
class Named:
    """How well enrolled people are known: shares of the enrolled who get the right name and a wrong
    one, and of the others who get any."""

    right: float
    wrong: float
    strangers: float


@dataclass(frozen=True)
class Figures:
    """The evaluation on some people, by utterances in a recording: the people found again, and the
    names of the enrolled."""

    regrouped: dict[str, Regrouped]
    named: dict[str, Named]


class ProfileTrainable(Trainable[ProfileRecipe]):
    """The space of voice profiles."""

    recipe = ProfileRecipe
    ships_as = "profile"

    def fit(self, recipe: ProfileRecipe, folder: Path, display: Display) -> Path:
        speaker_space, figures = fit(recipe, display.report)
        return save_encoder(
            speaker_space, _card(recipe, figures), folder / f"{recipe.name}.safetensors"
        )


def fit(recipe: ProfileRecipe, report: Report) -> tuple[SpeakerSpace, dict[str, Figures]]:
    """Fits the space, and evaluates it. Raises `InputError` where a corpus is missing."""
    random = np.random.default_rng(recipe.seed)
    actors = _by_person((clip.actor, samples) for clip, samples in ravdess_emodb.load())
    readers = _by_person(librispeech.load())
    heard = _through_microphones(actors, recipe.microphones, random, report)
    speaker_space = space(heard, recipe.shrinkage, DIRECTIONS)
    names = list(actors)
    trained, tested = names[::2], names[1::2]
    half = space(heard.of(trained), recipe.shrinkage, len(trained) - 1)
    people: list[tuple[str, SpeakerSpace, Clips]] = [
        ("readers", speaker_space, readers),
        ("actors", half, {name: actors[name] for name in tested}),
    ]
    figures = {}
    for who, tested_space, clips in people:
        for number, place in enumerate(("one microphone", "other microphones")):
            profiles = VoiceProfiles((tested_space, ""))
            figures[f"{who}, {place}"] = _figures(
                profiles, clips, number > 0, recipe.draws, random, report
            )
    return speaker_space, figures


def regrouped(numbers: Sequence[int], people: Sequence[str]) -> Regrouped:
    """Compares the people that were found with those who spoke, by pairs of profiles."""
    joined = np.equal.outer(numbers, numbers)
    same = np.equal.outer(np.array(people), np.array(people))
    pairs = np.triu(np.ones_like(same), 1)
    return Regrouped(
        together=float(joined[same & pairs].mean()),
        mixed=float(joined[~same & pairs].mean()),
        people=float(len(set(numbers))),
    )


def _figures(
    profiles: VoiceProfiles,
    clips: Clips,
    other_microphones: bool,
    draws: int,
    random: np.random.Generator,
    report: Report,
) -> Figures:
    record = _Recorder(profiles, other_microphones, random)
    again: dict[str, list[list[float]]] = {}
    named: dict[str, list[list[float]]] = {}
    for draw in range(draws):
        for utterances, recordings in LAYOUTS:
            rows = [
                (name, record(spoken[first : first + utterances]))
                for name, own in clips.items()
                for spoken in ([own[place] for place in random.permutation(len(own))],)
                for first in range(0, utterances * recordings, utterances)
            ]
            mixed = [rows[place] for place in random.permutation(len(rows))]
            result = regrouped(
                profiles.people([profile for _, profile in mixed]), [name for name, _ in mixed]
            )
            again.setdefault(str(utterances), []).append([*vars(result).values()])
        for utterances in HEARD:
            name_result = _named(profiles, record, clips, utterances, random)
            named.setdefault(str(utterances), []).append([*vars(name_result).values()])
        report(draw + 1, draws, "composed recordings")
    return Figures(
        {key: Regrouped(*np.mean(rows, 0).tolist()) for key, rows in again.items()},
        {key: Named(*np.mean(rows, 0).tolist()) for key, rows in named.items()},
    )


def _named(
    profiles: VoiceProfiles,
    record: "_Recorder",
    clips: Clips,
    utterances: int,
    random: np.random.Generator,
) -> Named:
    """Enrols every second person of a random order, and asks for the names of all."""
    enrolled: dict[str, VoiceProfile] = {}
    asked: dict[str, VoiceProfile] = {}
    for number, name in enumerate(random.permutation(list(clips)).tolist()):
        spoken = [clips[name][place] for place in random.permutation(len(clips[name]))]
        if number % 2 == 0:
            enrolled[name] = record(spoken[:ENROLLED])
        asked[name] = record(spoken[ENROLLED : ENROLLED + utterances])
    answers = {name: profiles.name(profile, enrolled) for name, profile in asked.items()}
    own = [answers[name] for name in enrolled]
    right = np.mean([answer == name for answer, name in zip(own, enrolled, strict=True)])
    others = [answer for name, answer in answers.items() if name not in enrolled]
    return Named(
        right=float(right),
        wrong=float(np.mean([answer is not None for answer in own]) - right),
        strangers=float(np.mean([answer is not None for answer in others])),
    )


class _Recorder:
    """Makes profiles of recordings, each through a microphone of its own if asked."""

    def __init__(
        self, profiles: VoiceProfiles, other_microphones: bool, random: np.random.Generator
    ) -> None:
        self._profiles = profiles
        self._other_microphones = other_microphones
        self._random = random
        self._read = VoiceStatistics().of
        #: Statistics of the clips as they are, by the clips' identity: read once.
        self._as_they_are: dict[int, NDArray[np.float32]] = {}

    def __call__(self, clips: Iterable[Samples]) -> VoiceProfile:
        if self._other_microphones:
            heard = microphone(self._random)
            return self._profiles.profile([self._read(heard(clip)) for clip in clips])
        rows = []
        for clip in clips:
            if id(clip) not in self._as_they_are:
                self._as_they_are[id(clip)] = self._read(clip)
            rows.append(self._as_they_are[id(clip)])
        return self._profiles.profile(rows)


def _through_microphones(
    clips: Clips, microphones: int, random: np.random.Generator, report: Report
) -> Utterances:
    """The statistics of utterances as they are, and through random microphones."""
    read = VoiceStatistics().of
    rows, names = [], []
    for name, own in clips.items():
        for samples in own:
            rows.append(read(samples))
            rows += [read(microphone(random)(samples)) for _ in range(microphones)]
            names += [name] * (microphones + 1)
            report(len(rows) // (microphones + 1), ravdess_emodb.COUNT, "voices of actors")
    return Utterances(np.stack(rows), np.array(names), np.ones(len(rows)))


def _by_person(recordings: Iterable[tuple[str, Samples]]) -> dict[str, list[Samples]]:
    clips: dict[str, list[Samples]] = {}
    for name, samples in recordings:
        clips.setdefault(name, []).append(samples)
    return clips


def _card(recipe: ProfileRecipe, figures: dict[str, Figures]) -> dict[str, object]:
    return {
        "name": "voice-profiles",
        "data": "RAVDESS and EMO-DB, 34 actors, through random microphones.",
        "figures_data": "Composed recordings of one person each. regrouped, by utterances in a "
        "recording: the share of pairs of one person that were found to be one person, the share "
        "of pairs of two people that were, and how many people were found. named, by utterances "
        f"heard: half of the people are enrolled with {ENROLLED} utterances; the share of them "
        "with the right name and with a wrong one, and of the others with any. readers: "
        "LibriSpeech's ten. actors: half of them, by a space made of the other half; each "
        "recording mixes their emotions. The microphones are simulated: they colour the sound, "
        "cut high frequencies, and add noise.",
        "note": "Shrinkage, how exact a mean counts, and the limit for one person were chosen on "
        "the actors.",
        "recipe": recipe,
        "figures": figures,
    }
