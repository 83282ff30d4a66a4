"""What a fusion on composed conversations is worth, and its calibration."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.model.checkpoint import presence
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.network import Network
from gscon_live.train.data.composed import Agreement, Composition, Corpus, batch, compose
from gscon_live.train.scoring.calibration import Calibration, softmax, temperatures
from gscon_live.train.scoring.metrics import Scores, score

#: Which modalities there are in an evaluation, by its name.
SUBSETS: dict[str, tuple[str, ...]] = {
    presence(chosen): chosen for size in (3, 2, 1, 0) for chosen in combinations(MODALITIES, size)
}


def otherwise(
    model: Network,
    test: Corpus,
    misheard: Mapping[float, Tensor],
    compositions: list[Composition],
    found: Calibration,
) -> dict[str, Scores]:
    """Scores on test where words are wrong, and where voice and face always show the label."""
    scores = {}
    for rate, text in misheard.items():
        ways = [Composition({**way.features, "text": text}, way.present) for way in compositions]
        for name, one in evaluate(model, test, ways, found).items():
            if "text" in SUBSETS[name]:
                scores[f"{name}; {rate:.0%} of words wrong"] = one
    as_labelled = dict.fromkeys(("audio", "visual"), Agreement(same=1.0, neutral=0.0))
    ways = compositions_of(test, as_labelled, len(compositions), 303)
    for name, one in evaluate(model, test, ways, found).items():
        if {*SUBSETS[name]} - {"text"}:
            scores[f"{name}; voice and face as labelled"] = one
    return scores


def predict(
    model: Network, corpus: Corpus, composition: Composition, keep: tuple[str, ...]
) -> dict[str, NDArray[np.float32]]:
    """Logits [n, 7] for every utterance: `final`, and each modality's own."""
    model.eval()
    found: dict[str, list[Tensor]] = {name: [] for name in ("final", *MODALITIES)}
    with torch.inference_mode():
        for start in range(0, len(corpus.emotions), 512):
            rows = torch.arange(start, min(start + 512, len(corpus.emotions)))
            answers = model(batch(corpus, composition, rows, keep), last=True)
            found["final"].append(answers.final[:, -1])
            for m in MODALITIES:
                found[m].append(answers.specific[m][:, -1])
    return {name: torch.cat(rows).numpy() for name, rows in found.items()}


def evaluate(
    model: Network,
    corpus: Corpus,
    compositions: list[Composition],
    calibration: Calibration | None = None,
) -> dict[str, Scores]:
    """Scores by subset of modalities, over all compositions together."""
    labels = corpus.emotions.numpy()
    scores = {}
    for name, keep in SUBSETS.items():
        ways = compositions if set(keep) - {"text"} else compositions[:1]
        logits = np.concatenate([predict(model, corpus, way, keep)["final"] for way in ways])
        temperature, shift = np.ones((len(logits), 1)), np.zeros(1)
        if calibration is not None:
            there = [one for way in ways for one in _presence(way, keep)]
            nothing = [0.0] * len(EMOTIONS)
            temperature = np.array([[calibration.by_presence[one]] for one in there])
            shift = np.array([calibration.shifts.get(one, nothing) for one in there])
        found = softmax(logits, temperature, shift)
        scores[name] = score(found, np.tile(labels, len(ways)), EMOTIONS)
    return scores


def calibrate(
    model: Network,
    corpus: Corpus,
    compositions: list[Composition],
    weight: Tensor,
    rates: Tensor,
) -> Calibration:
    """The temperatures under which the labels are most probable, and as much of the classes'
    weights [7] taken back as calibration needs, where the classes are as frequent as `rates` [7]
    say."""
    labels = np.tile(corpus.emotions.numpy(), len(compositions))
    logits, there = {}, {}
    for name, keep in SUBSETS.items():
        found = [predict(model, corpus, way, keep) for way in compositions]
        logits[name] = {key: np.concatenate([one[key] for one in found]) for key in found[0]}
        there[name] = [one for way in compositions for one in _presence(way, keep)]
    return temperatures(logits, there, labels, weight.double().numpy(), rates.double().numpy())


def _presence(composition: Composition, keep: tuple[str, ...]) -> list[str]:
    return [
        presence(m for m, here in zip(MODALITIES, row, strict=True) if here and m in keep)
        for row in composition.present.tolist()
    ]


def selection(scores: dict[str, Scores], kept: Sequence[str]) -> float:
    """What an epoch is judged by: the mean of weighted and macro F1 over all subsets of what is
    kept."""
    judged = [scores[name] for name, some in SUBSETS.items() if some and {*some} <= {*kept}]
    return float(np.mean([(one.weighted_f1 + one.macro_f1) / 2 for one in judged]))


def weighted_f1(scores: dict[str, Scores]) -> dict[str, float]:
    return {name: one.weighted_f1 for name, one in scores.items()}


def compositions_of(
    corpus: Corpus, agreement: dict[str, Agreement], count: int, seed: int
) -> list[Composition]:
    return [
        compose(corpus, agreement, np.random.default_rng(seed + index), clean=True)
        for index in range(count)
    ]
