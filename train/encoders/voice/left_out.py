"""The voice encoder on corpora that were left out of its training: what it says, and scores."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from gscon_live.model.encoders.text.context_encoder import digest
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.encoders.voice.relative_voice import RelativeVoice, inverse_temperature
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.priors import PROFILES
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.training import fitted
from gscon_live.train.encoders.voice.voice_data import (
    READERS,
    Voices,
    drawn,
    in_conversation,
    in_moods,
)
from gscon_live.train.scoring.stranger_scores import StrangerScores, at_prior, stranger_scores

#: Utterances of a speaker after which the speaker counts as known.
AFTER = 3

#: The order in which the utterances of a speaker come: each for itself, as if it were the first;
#: drawn; or in long moods.
Order = Literal["first", "drawn", "moods"]
ORDERS: tuple[Order, ...] = get_args(Order)
#: The rows of the scores, and how many utterances must have come before.
_ROWS: dict[Order, tuple[str, int]] = {
    "first": ("first utterances", 0),
    "drawn": (f"after {AFTER} utterances", AFTER),
    "moods": (f"in long moods, after {AFTER}", AFTER),
}


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of a corpus that was left out of its training: log-probabilities
    before temperatures [n, 7]; how much of each baseline is the speaker's own [n]; how many
    utterances of the speaker came before [n]; the labels [n]."""

    log_probabilities: NDArray[np.float64]
    known: NDArray[np.float64]
    before: NDArray[np.int64]
    emotions: NDArray[np.int64]

    def calibrated(self, temperatures: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probabilities [n, 7] at the temperatures of first utterances and of well-known
        speakers."""
        factor = inverse_temperature(temperatures, self.known)
        return _probabilities(self.log_probabilities * factor[:, None])

    def loss(self, temperatures: NDArray[np.float64]) -> float:
        """The mean negative log-likelihood of the labels, among the corpus' own emotions."""
        occurs = np.bincount(self.emotions, minlength=len(EMOTIONS)) > 0
        factor = inverse_temperature(temperatures, self.known)
        among = np.where(occurs, self.log_probabilities, -np.inf) * factor[:, None]
        right = _probabilities(among)[np.arange(len(self.emotions)), self.emotions]
        return float(-np.log(right + 1e-12).mean())


class LeftOutVoices:
    """Classifiers of a recipe, each trained without a corpus.

    Args:
        recipe: the training.
        sets: the corpora by name, see `voice_data.voices`.
    """

    def __init__(self, recipe: VoiceRecipe, sets: Mapping[str, Voices]) -> None:
        self._recipe, self.sets = recipe, sets
        self._classifier = cache(self._trained)
        self._predictions = cache(self._predicted)
        self._temperatures = cache(self._fitted_temperatures)

    def encoder(self, name: str) -> AudioEncoder:
        """An audio encoder whose classifier was trained without a corpus, with temperatures fitted
        on the others, left out likewise."""
        voice = deepcopy(self._classifier(name))
        voice.temperatures.copy_(torch.from_numpy(self.temperatures(without=name)))
        return AudioEncoder((voice, f"relative-voice/1:{digest(voice)}"))

    def vectors(self, name: str, order: Order) -> NDArray[np.float32]:
        """The audio features [n, dim] of a corpus by `encoder`, where it is spoken in an order."""
        part = self._predictions(name, order)
        answers = np.log(part.calibrated(self.temperatures(without=name)) + 1e-9)
        return np.concatenate([self.sets[name].statistics, answers], 1).astype(np.float32)

    def temperatures(self, without: str | None = None) -> NDArray[np.float64]:
        """The temperatures of first utterances and of well-known speakers that fit predictions on
        left-out corpora best, by log-likelihood; every corpus with emotions counts alike."""
        return self._temperatures(without)

    def _fitted_temperatures(self, without: str | None) -> NDArray[np.float64]:
        parts = [
            self._predictions(name, order)
            for name in self.sets
            if name not in (READERS, without)
            for order in ("first", "drawn")
        ]

        def loss(logarithms: NDArray[np.float64]) -> float:
            return float(np.mean([part.loss(np.exp(logarithms)) for part in parts]))

        best = minimize(loss, np.zeros(2), method="Nelder-Mead", bounds=[(-2.0, 3.0)] * 2)
        return np.asarray(np.exp(best.x), np.float64)

    def scores(self) -> dict[str, dict[str, StrangerScores]]:
        """Scores by corpus that was left out, and by how well the speakers are known. Temperatures
        are fitted on the other corpora."""
        return {name: dict(self._rows(name)) for name in self.sets}

    def _rows(self, name: str) -> Iterable[tuple[str, StrangerScores]]:
        temperatures, genders = self.temperatures(without=name), self.sets[name].genders
        flat = np.full(len(EMOTIONS), 1 / len(EMOTIONS))
        for order, (row, least) in _ROWS.items():
            part = self._predictions(name, order)
            late = part.before >= least
            if not late.any():
                continue
            answers, labels = part.calibrated(temperatures), part.emotions
            rates = np.bincount(labels, minlength=len(EMOTIONS)) / len(labels)
            several = (rates > 0).sum() > 1

            def scored(
                rows: NDArray[np.bool_],
                prior: NDArray[np.float64] = flat,
                answers: NDArray[np.float64] = answers,
                labels: NDArray[np.int64] = labels,
                among: bool = bool(several),
            ) -> StrangerScores:
                moved = at_prior(answers[rows], flat, prior)
                return stranger_scores(moved, labels[rows], among)

            yield row, scored(late)
            if several:
                yield f"{row}, at the corpus' prior", scored(late, rates)
                yield f"{row}, all seven", scored(late, among=False)
            yield (
                f"{row}, at the prior of conversations",
                scored(late, np.array(PROFILES["conversation"])),
            )
            for gender in ("women", "men"):
                rows = late & (genders == gender)
                if several and rows.any():
                    yield f"{row}, {gender}", scored(rows)

    def _trained(self, name: str) -> RelativeVoice:
        others = {other: spoken for other, spoken in self.sets.items() if other != name}
        return fitted(self._recipe, others)

    def _predicted(self, name: str, order: Order) -> Predictions:
        return predictions(self._classifier(name), self.sets[name], order, self._recipe.seed)


def predictions(model: RelativeVoice, spoken: Voices, order: Order, seed: int) -> Predictions:
    """What a classifier with temperatures 1 says of utterances in an order."""
    random = np.random.default_rng(seed + 100)
    if order == "first":
        relative = model.standardised(spoken.statistics)
        known, before = np.zeros(len(relative)), np.zeros(len(relative), np.int64)
    else:
        rows = in_moods(spoken, random) if order == "moods" else drawn(spoken, random)
        relative, known, before = in_conversation(model, spoken, rows)
    answers = model.log_probabilities(relative, known)
    return Predictions(answers, known, before, spoken.emotions)


def _probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities [n, 7], above 0 where the logit is finite."""
    probabilities = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    return np.asarray(np.where(np.isfinite(logits), probabilities.clip(1e-12), 0), np.float64)
