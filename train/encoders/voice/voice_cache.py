"""Voice networks trained without some of the actors, and their cache."""

import hashlib
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

import msgspec
import torch
from filelock import FileLock
from safetensors.torch import save_file

from gscon_live.common.files import replacing
from gscon_live.model.encoders.voice.voice_network import VoiceNet, load_voice_network
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import ravdess_emodb
from gscon_live.train.data import cache
from gscon_live.train.data.feature_banks import voice_sources
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.training import train_voice
from gscon_live.train.encoders.voice.voice_data import VoiceMaterial, material
from gscon_live.train.engine.devices import threads
from gscon_live.train.progress import Report, Reporting
from gscon_live.train.runs.run_folder import TrainingFolder

#: Version of the cache: changes when the same recipe gives other networks.
_VERSION = 3


class VoiceNets:
    """Networks of a recipe, each trained once. An interrupted training resumes at the last finished
    epoch. Of several processes that need the same network, the first trains it."""

    def __init__(self, recipe: VoiceRecipe, report: Report) -> None:
        # Fields that do not affect a network are fixed, so that they do not change its cache key.
        self._recipe = msgspec.structs.replace(recipe, name="voice", ship=False, folds=1)
        self._report = report

    @cached_property
    def material(self) -> VoiceMaterial:
        """The clips. Raises `InputError` where the corpora are missing."""
        return material(self._report, coded=self._recipe.coded > 0)

    def weights(self, without: Collection[str], title: str, *, stated: bool = False) -> Path:
        """The path of the weights of a network trained on all actors but some.

        Args:
            without: the actors that are left out.
            title: what is trained, for the display.
            stated: classes are RAVDESS' own emotions, not the seven.
        """
        parts = [str(_VERSION), msgspec.json.encode(self._recipe).decode(), str(stated)]
        key = hashlib.sha256("\n".join([*parts, *voice_sources(), *sorted(without)]).encode())
        path = cache.folder("voice") / f"{key.hexdigest()[:16]}.safetensors"
        training = TrainingFolder(path.with_suffix(".training"))
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                net = self._trained(without, training, title, stated)
                tensors = {name: value.contiguous() for name, value in net.state_dict().items()}
                with replacing(path) as unfinished:
                    save_file(tensors, unfinished)
            training.remove()
        return path

    def net(self, without: Collection[str], title: str, *, stated: bool = False) -> VoiceNet:
        """The network in evaluation mode; see `weights`."""
        path = self.weights(without, title, stated=stated)
        with cache.reading(path):
            return load_voice_network(path, _classes(stated))[0]

    def _trained(
        self, without: Collection[str], training: TrainingFolder, title: str, stated: bool
    ) -> VoiceNet:
        clips = self.material.clips
        rows = torch.tensor([clip.actor not in without for clip in clips])
        labels = torch.tensor([clip.stated if stated else clip.emotion for clip in clips])[rows]
        spectrograms = self.material.spectrograms.take(rows)
        display = Reporting(self._report)
        with threads(self._recipe.threads):
            return train_voice(
                self._recipe, spectrograms, labels, _classes(stated), training, display, title
            )


def _classes(stated: bool) -> int:
    return len(ravdess_emodb.STATED if stated else EMOTIONS)
