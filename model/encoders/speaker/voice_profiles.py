"""Profiles of voices: whether two are of one person, and who is who over many recordings.

A profile is the mean of a person's utterances in one recording, in a space that was trained on
voices behind many microphones. The model is that of `speaker_clustering`: both means are of one
person, or of two. Another recording has another room, so the mean of many utterances counts as no
more exact than that of a few (`EXACT`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gscon_live.model.encoders.speaker.speaker_clustering import SpeakerSpace
from gscon_live.model.encoders.voice.voice_statistics import VoiceStatistics
from gscon_live.model.shipped_weights import FOLDER, load_weights

WEIGHTS = FOLDER / "profile.safetensors"
#: Dimensions of the space.
DIRECTIONS = 30
#: A mean counts as that of at most so many utterances.
EXACT = 3
#: From this logarithm of the likelihood ratio of one person to two, two profiles are one person's.
SAME = 8.0

Vector = NDArray[np.float32]
Positions = NDArray[np.float64]


@dataclass(frozen=True)
class VoiceProfile:
    """A voice: the mean place of its utterances in the speaker space, float64 [30], and their
    number."""

    mean: Positions
    utterances: int

    def joined(self, other: "VoiceProfile") -> "VoiceProfile":
        """The profile of the utterances of both."""
        utterances = self.utterances + other.utterances
        share = other.utterances / utterances
        return VoiceProfile(self.mean + share * (other.mean - self.mean), utterances)


class VoiceProfiles:
    """Makes profiles, and compares them.

    Args:
        space: the projection and its checksum; None takes the one that ships.

    Attributes:
        identity: names what the profiles were made with; only those of one identity compare.

    Raises:
        InputError: the weights that ship are missing or damaged.
    """

    def __init__(self, space: tuple[SpeakerSpace, str] | None = None) -> None:
        self._space, version = load_profile_space() if space is None else space
        self.identity = f"{VoiceStatistics.identity}|voice-profile/1:{version}"
        self._between = self._space.between.double().numpy()

    def profile(self, audio: Iterable[Vector]) -> VoiceProfile:
        """The profile of at least one utterance.

        Args:
            audio: the audio features of each; the first 114 are the statistics.
        """
        size = len(self._space.mean)
        rows = np.stack([np.asarray(features[:size], np.float32) for features in audio])
        with torch.inference_mode():
            positions = self._space(torch.from_numpy(rows)).double().numpy()
        return VoiceProfile(positions.mean(0), len(positions))

    def likelihood_ratios(
        self, profile: VoiceProfile, means: Positions, utterances: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The logarithms of the likelihood ratios of one person to two, [n].

        Args:
            profile: a voice.
            means: the means of other profiles, [n, 30].
            utterances: their numbers of utterances, [n].
        """
        own = self._between + 1 / min(profile.utterances, EXACT)
        others = self._between + 1 / np.minimum(utterances, EXACT)[:, None]
        # The determinant of the covariance of both means, if one person speaks.
        both = own * others - self._between**2
        together = others * profile.mean**2 + own * means**2
        together = (together - 2 * self._between * profile.mean * means) / both
        apart = profile.mean**2 / own + means**2 / others
        terms = apart - together + np.log(own) + np.log(others) - np.log(both)
        ratios: NDArray[np.float64] = 0.5 * np.sum(terms, axis=1)
        return ratios

    def people(self, profiles: Sequence[VoiceProfile], limit: float = SAME) -> list[int]:
        """Whose each profile is: numbers from 0, in order of appearance.

        Each profile joins the person that it fits best, or is a new person's. A person's mean is
        that of all utterances so far. The cost of a profile grows with the number of people.

        Args:
            profiles: the voices.
            limit: from this logarithm of the likelihood ratio on, two are one person's; 0 takes
                what is likelier.
        """
        size = len(self._between)
        means, utterances = np.zeros((len(profiles), size)), np.zeros(len(profiles), np.int64)
        numbers: list[int] = []
        count = 0
        for profile in profiles:
            person = self._likeliest(profile, means[:count], utterances[:count], limit)
            if person is None:
                person, joined = count, profile
                count += 1
            else:
                joined = VoiceProfile(means[person], int(utterances[person])).joined(profile)
            means[person], utterances[person] = joined.mean, joined.utterances
            numbers.append(person)
        return numbers

    def name(self, profile: VoiceProfile, known: Mapping[str, VoiceProfile]) -> str | None:
        """The name of the voice among known ones that a profile belongs to; None: it is of nobody
        known, as far as can be told."""
        if not known:
            return None
        means = np.stack([voice.mean for voice in known.values()])
        utterances = np.array([voice.utterances for voice in known.values()])
        likeliest = self._likeliest(profile, means, utterances)
        return None if likeliest is None else list(known)[likeliest]

    def _likeliest(
        self,
        profile: VoiceProfile,
        means: Positions,
        utterances: NDArray[np.int64],
        limit: float = SAME,
    ) -> int | None:
        """The number of the profile that fits best, if its ratio reaches the limit."""
        if not len(means):
            return None
        ratios = self.likelihood_ratios(profile, means, utterances)
        likeliest = int(np.argmax(ratios))
        return likeliest if ratios[likeliest] >= limit else None


def load_profile_space(weights: Path | None = None) -> tuple[SpeakerSpace, str]:
    """The space of profiles in evaluation mode, and the checksum of its weights.

    Args:
        weights: a safetensors file of `SpeakerSpace`; None takes the one that ships.

    Raises:
        InputError: the file is missing or holds something else.
    """
    space = SpeakerSpace(directions=DIRECTIONS)
    version = load_weights(space, weights or WEIGHTS, "profile")
    return space.eval(), version
