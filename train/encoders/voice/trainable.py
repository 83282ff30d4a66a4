"""The voice encoder as a trainable: its training, scores on left-out corpora, and card."""

from pathlib import Path

import torch

from gscon_live.train.encoders.voice.left_out import LeftOutVoices
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.training import CORPORA, fitted
from gscon_live.train.encoders.voice.voice_data import voices
from gscon_live.train.progress import Display
from gscon_live.train.save_weights import save_encoder
from gscon_live.train.trainables import Trainable


class VoiceTrainable(Trainable[VoiceRecipe]):
    """The voice encoder: a classifier on acoustic statistics relative to the speaker."""

    recipe = VoiceRecipe
    ships_as = "voice"

    def fit(self, recipe: VoiceRecipe, folder: Path, display: Display) -> Path:
        sets = {name: voices(name, display.report) for name in CORPORA}
        left_out = LeftOutVoices(recipe, sets)
        display.report(1, 1, "voices relative to their speakers")
        model = fitted(recipe, sets)
        model.temperatures.copy_(torch.from_numpy(left_out.temperatures()))
        card = {
            "name": "relative-voice",
            "data": "RAVDESS (calm counted as neutral), EMO-DB (boredom left out), nEMO and URDU; "
            "LibriSpeech's readers as neutral. Cut as live.",
            "left_out_data": "Each corpus by a classifier that was trained without it, and with "
            "temperatures fitted on the other corpora, left out likewise; among the corpus' own "
            "emotions. The design was chosen with such figures in view.",
            "left_out": left_out.scores(),
            "recipe": recipe,
        }
        return save_encoder(model, card, folder / f"{recipe.name}.safetensors")
