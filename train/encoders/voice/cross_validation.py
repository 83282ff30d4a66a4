"""Cross-validation of the voice encoder over held-out actors and microphone conditions."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gscon_live.model.encoders.voice.voice_network import VoiceNet
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import ravdess_emodb
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.voice_cache import VoiceNets
from gscon_live.train.encoders.voice.voice_conditions import conditions
from gscon_live.train.engine.devices import threads
from gscon_live.train.progress import Report
from gscon_live.train.scoring.metrics import Scores, score

#: RAVDESS' actors in folds of four, as in EmoBox (Ma et al. 2024).
FOLDS = tuple(range(first, first + 4) for first in range(1, 25, 4))


@dataclass(frozen=True)
class VoiceResult:
    """The encoder of the seven emotions, trained on the actors of the split `train`, and its scores
    on the actors of `validation` and `test`. `folds`, `by_gender` and `by_fold` are out-of-fold on
    RAVDESS' eight emotions: scores by microphone condition (see
    `train.encoders.voice.voice_conditions`), scores by gender as recorded, and the mean recall of
    each fold."""

    net: VoiceNet
    validation: Scores
    test: Scores
    folds: dict[str, Scores]
    by_gender: dict[str, Scores]
    by_fold: list[float]


def cross_validate(recipe: VoiceRecipe, report: Report) -> VoiceResult:
    """Trains a network for each fold, and the encoder, or takes them from the cache. Nothing is
    selected: the last epoch is kept."""
    with threads(recipe.threads):
        return _measured(recipe, VoiceNets(recipe, report))


def _measured(recipe: VoiceRecipe, nets: VoiceNets) -> VoiceResult:
    material = nets.material
    folds, by_gender, by_fold = _folds(recipe, nets)
    emotions = torch.tensor([clip.emotion for clip in material.clips])
    splits = np.array([ravdess_emodb.split_of(clip.actor) for clip in material.clips])
    title = f"the encoder (mean recall of the folds {np.mean(by_fold):.3f})"
    net = nets.net(ravdess_emodb.HELD_OUT, title)

    def scored(split: str) -> Scores:
        held_out = torch.from_numpy(splits == split)
        return score(material.answers(net, held_out), emotions[held_out].numpy(), EMOTIONS)

    return VoiceResult(net, scored("validation"), scored("test"), folds, by_gender, by_fold)


def _folds(
    recipe: VoiceRecipe, nets: VoiceNets
) -> tuple[dict[str, Scores], dict[str, Scores], list[float]]:
    """Scores by condition over all folds, by gender as recorded, and the mean recall by fold."""
    material = nets.material
    stated = torch.tensor([clip.stated for clip in material.clips])
    by_condition: dict[str, list[NDArray[np.float64]]] = {}
    labels, women, by_fold = list[NDArray[np.int64]](), list[bool](), list[float]()
    for number, actors in enumerate(FOLDS[: recipe.folds]):
        names = {f"ravdess-{actor:02}" for actor in actors}
        held_out = torch.tensor([clip.actor in names for clip in material.clips])
        so_far = f", mean recall so far {np.mean(by_fold):.3f}" if by_fold else ""
        title = f"fold {number + 1} of {recipe.folds}{so_far}"
        net = nets.net(names, title, stated=True)
        labels.append(stated[held_out].numpy())
        # RAVDESS numbers its women evenly.
        women += [int(c.actor[-2:]) % 2 == 0 for c in material.clips if c.actor in names]
        for name, change in conditions(np.random.default_rng(number)).items():
            by_condition.setdefault(name, []).append(material.answers(net, held_out, change))
        scored = score(by_condition["as recorded"][-1], labels[-1], ravdess_emodb.STATED)
        by_fold.append(scored.balanced_accuracy)
    truth = np.concatenate(labels)
    folds = {
        name: score(np.concatenate(rows), truth, ravdess_emodb.STATED)
        for name, rows in by_condition.items()
    }
    recorded, female = np.concatenate(by_condition["as recorded"]), np.array(women)
    by_gender = {
        name: score(recorded[rows], truth[rows], ravdess_emodb.STATED)
        for name, rows in (("women", female), ("men", ~female))
    }
    return folds, by_gender, by_fold
