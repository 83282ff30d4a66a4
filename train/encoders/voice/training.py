"""Training of the voice encoder, see `model.encoders.voice.relative_voice`."""

from collections.abc import Mapping

import numpy as np
import torch

from gscon_live.model.encoders.voice.relative_voice import MOST, RelativeVoice
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora.voice_corpora import VOICE_CORPORA
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.voice_data import (
    READERS,
    Voices,
    drawn,
    in_conversation,
    in_moods,
)

#: All that is trained on.
CORPORA = (*VOICE_CORPORA, READERS)
#: Logit of an emotion that no training corpus has.
_NEVER = -20.0


def fitted(recipe: VoiceRecipe, sets: Mapping[str, Voices]) -> RelativeVoice:
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
