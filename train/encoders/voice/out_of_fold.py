"""Out-of-fold audio encoders for the training actors.

An encoder is overconfident on its own training data, and a network trained on such features relies
on them too much. So the fusion reads training actors and dialogues through encoders that were
trained without them (Wolpert 1992, Stacked Generalization).
"""

import numpy as np

from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.encoders.voice.voice_network import load_voice_network
from gscon_live.train.corpora import ravdess_emodb
from gscon_live.train.data import cache
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.voice_cache import VoiceNets
from gscon_live.train.progress import Report
from gscon_live.train.recipes import as_written

#: Number of folds of the training actors.
FOLDS = 4


def recipe(name_or_path: str) -> VoiceRecipe:
    """The recipe of a voice encoder. Raises `InputError` for a wrong key or value."""
    return as_written(name_or_path, VoiceRecipe)


def audio_encoders(recipe: VoiceRecipe, report: Report) -> dict[str, AudioEncoder]:
    """An out-of-fold audio encoder for each training actor, trained or from the user's cache.
    Raises `InputError` where the voices are missing."""
    nets = VoiceNets(recipe, report)
    encoders: dict[str, AudioEncoder] = {}
    for number, left_out in enumerate(folds()):
        title = f"voice encoder without fold {number + 1} of {FOLDS} of the training actors"
        path = nets.weights((*left_out, *ravdess_emodb.HELD_OUT), title)
        with cache.reading(path):
            encoder = AudioEncoder(load_voice_network(path))
        encoders |= dict.fromkeys(left_out, encoder)
    return encoders


def folds() -> list[tuple[str, ...]]:
    """The training actors in `FOLDS` folds, balanced by corpus; pairs of a man and a woman of
    RAVDESS stay together."""
    ravdess = [f"ravdess-{number:02}" for number in range(1, 25)]
    emodb = [f"emodb-{number:02}" for number in (3, 8, 9, 10, 11, 12, 13, 14, 15, 16)]
    folds: list[tuple[str, ...]] = [()] * FOLDS
    for actors in (ravdess, emodb):
        training = np.array([actor for actor in actors if ravdess_emodb.split_of(actor) == "train"])
        chunks = np.array_split(training, FOLDS)
        folds = [(*fold, *map(str, chunk)) for fold, chunk in zip(folds, chunks, strict=True)]
    return folds
