"""Training of `RelativeVoice`, and its scores on corpora that were left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from gscon_live.model.encoders.voice.relative_voice import MOST, RelativeVoice, inverse_temperature
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora.voice_corpora import VOICE_CORPORA
from gscon_live.train.encoders.voice.relative_data import (
    READERS,
    Voices,
    drawn,
    in_conversation,
    in_moods,
    voices,
)
from gscon_live.train.progress import Display
from gscon_live.train.save_weights import save_encoder
from gscon_live.train.scoring.stranger_scores import StrangerScores, stranger_scores
from gscon_live.train.trainables import Trainable

Positive = Annotated[int, msgspec.Meta(ge=1)]
Above0 = Annotated[float, msgspec.Meta(gt=0)]

#: All that is trained on.
CORPORA = (*VOICE_CORPORA, READERS)
#: Utterances of a speaker after which the speaker counts as known.
AFTER = 3
#: Logit of an emotion that no training corpus has.
_NEVER = -20.0


#: The order in which the utterances of a speaker come: each for itself, as if it were the first;
#: drawn; or in long moods.
Order = Literal["first", "drawn", "moods"]
#: The rows of the scores, and how many utterances must have come before.
_ROWS: dict[Order, tuple[str, int]] = {
    "first": ("first utterances", 0),
    "drawn": (f"after {AFTER} utterances", AFTER),
    "moods": (f"in long moods, after {AFTER}", AFTER),
}


class RelativeVoiceRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training of the classifier on relative statistics."""

    kind: Literal["relative_voice"] = "relative_voice"
    #: Results go to `runs/<name>/`.
    name: str = "relative-voice"
    #: Seed of the orders in which utterances are spoken.
    seed: int = 1
    #: Number of utterances that the population's mean counts for in a speaker's baseline.
    weight: Above0 = 2.0
    #: Random orders of the utterances, for training; in every second one, moods are long.
    orders: Positive = 4
    #: Share of training utterances that are taken for a speaker's first.
    first: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.15
    #: Penalty of the squared weights, beside the sum of the losses of one order.
    penalty: Above0 = 100.0
    #: Install the classifier among `model/weights`.
    ship: bool = False


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of a corpus that was left out of its training: log-probabilities
    before temperatures [n, 7], among the corpus' emotions if it has several; how much of each
    baseline is the speaker's own [n]; how many utterances of the speaker came before [n]; the
    labels [n]."""

    log_probabilities: NDArray[np.float64]
    known: NDArray[np.float64]
    before: NDArray[np.int64]
    emotions: NDArray[np.int64]

    def calibrated(self, temperatures: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probabilities [n, 7] at the temperatures of first utterances and of well-known
        speakers."""
        factor = inverse_temperature(temperatures, self.known)
        scaled = self.log_probabilities * factor[:, None]
        return np.asarray(np.exp(scaled - logsumexp(scaled, axis=1, keepdims=True)), np.float64)

    def loss(self, temperatures: NDArray[np.float64]) -> float:
        """The mean negative log-likelihood of the labels."""
        rows = np.arange(len(self.emotions))
        right = self.calibrated(temperatures)[rows, self.emotions]
        return float(-np.log(right + 1e-12).mean())


#: Predictions on each corpus, left out, by order.
LeftOut = Mapping[str, Mapping[Order, Predictions]]


class RelativeVoiceTrainable(Trainable[RelativeVoiceRecipe]):
    """The classifier on relative statistics."""

    recipe = RelativeVoiceRecipe

    def fit(self, recipe: RelativeVoiceRecipe, folder: Path, display: Display) -> Path:
        sets = {name: voices(name, display.report) for name in CORPORA}
        left_out = {name: left_out_predictions(recipe, sets, name) for name in CORPORA}
        display.report(1, 1, "voices relative to their speakers")
        model = fitted(recipe, sets)
        model.temperatures.copy_(torch.from_numpy(temperatures(left_out)))
        card = {
            "name": "relative-voice",
            "data": "RAVDESS, EMO-DB, nEMO, URDU; LibriSpeech's readers as neutral.",
            "left_out_data": "Each corpus by a classifier that was trained without it, and with "
            "temperatures fitted on the other corpora, left out likewise; among the corpus' own "
            "emotions. The design was chosen with such figures in view.",
            "left_out": scores(left_out),
            "recipe": recipe,
        }
        return save_encoder(model, card, folder / f"{recipe.name}.safetensors")


def fitted(recipe: RelativeVoiceRecipe, sets: Mapping[str, Voices]) -> RelativeVoice:
    """A classifier trained on these corpora, with temperatures 1. Every corpus and every emotion
    counts alike."""
    # Takes a second to import.
    from sklearn.linear_model import LogisticRegression

    everything = np.concatenate([spoken.statistics for spoken in sets.values()])
    model = RelativeVoice(everything.shape[1])
    model.mean.copy_(torch.from_numpy(everything.mean(0)))
    model.deviation.copy_(torch.from_numpy(everything.std(0) + 1e-6))
    model.weight.fill_(recipe.weight)
    rows, labels, weights = [], [], []
    random = np.random.default_rng(recipe.seed)
    for number in range(recipe.orders):
        for spoken in sets.values():
            order = in_moods(spoken, random) if number % 2 else drawn(spoken, random)
            relative, _, _ = in_conversation(model, spoken, order)
            first = random.random(len(relative)) < recipe.first
            relative[first] = model.standardised(spoken.statistics[first])
            rows.append(relative.clip(-MOST, MOST))
            labels.append(spoken.emotions)
            weights.append(np.full(len(relative), len(relative) ** -0.5))
    target, weight = np.concatenate(labels), np.concatenate(weights)
    weight /= np.bincount(target, weight, len(EMOTIONS))[target]
    weight *= len(weight) / weight.sum()
    regression = LogisticRegression(C=1 / (recipe.penalty * recipe.orders), max_iter=300)
    regression.fit(np.concatenate(rows), target, weight)
    with torch.no_grad():
        model.classify.weight.zero_()
        model.classify.bias.fill_(_NEVER)
        model.classify.weight[regression.classes_] = torch.from_numpy(regression.coef_)
        model.classify.bias[regression.classes_] = torch.from_numpy(regression.intercept_)
    return model.requires_grad_(False)


def left_out_predictions(
    recipe: RelativeVoiceRecipe, sets: Mapping[str, Voices], name: str
) -> dict[Order, Predictions]:
    """What a classifier without a corpus says of it, by the order in which it is spoken."""
    model = fitted(recipe, {other: spoken for other, spoken in sets.items() if other != name})
    return {order: predictions(model, sets[name], order, recipe.seed) for order in get_args(Order)}


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
    occurs = np.bincount(spoken.emotions, minlength=len(EMOTIONS)) > 0
    # Where all are neutral, nothing could be wrong among the corpus' own emotions.
    if occurs.sum() > 1:
        answers = np.where(occurs, answers, -np.inf)
    return Predictions(answers, known, before, spoken.emotions)


def temperatures(left_out: LeftOut) -> NDArray[np.float64]:
    """The temperatures of first utterances and of well-known speakers that fit predictions on
    left-out corpora best, by log-likelihood; every corpus with emotions counts alike."""
    parts = [
        by_order[order]
        for name, by_order in left_out.items()
        if name != READERS
        for order in ("first", "drawn")
    ]

    def loss(logarithms: NDArray[np.float64]) -> float:
        return float(np.mean([part.loss(np.exp(logarithms)) for part in parts]))

    best = minimize(loss, np.zeros(2), method="Nelder-Mead", bounds=[(-2.0, 3.0)] * 2)
    return np.asarray(np.exp(best.x), np.float64)


def scores(left_out: LeftOut) -> dict[str, dict[str, StrangerScores]]:
    """Scores by corpus that was left out, and by how well the speakers are known. Temperatures are
    fitted on the other corpora."""
    table: dict[str, dict[str, StrangerScores]] = {}
    for name, by_order in left_out.items():
        others = {other: parts for other, parts in left_out.items() if other != name}
        fit_on_others = temperatures(others)
        table[name] = {}
        for order, (row, least) in _ROWS.items():
            part = by_order[order]
            chosen = part.before >= least
            if chosen.any():
                probabilities = part.calibrated(fit_on_others)[chosen]
                table[name][row] = stranger_scores(probabilities, part.emotions[chosen])
    return table
