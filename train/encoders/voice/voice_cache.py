"""Voice networks that have not heard some of the actors: trained, or from the user's cache."""

import hashlib
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

import msgspec
import torch
from filelock import FileLock
from safetensors.torch import save_file

from gscon_live.common.files import replacing
from gscon_live.model.encoders.voice.voice_network import VoiceNet, load
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import voices
from gscon_live.train.data import cache
from gscon_live.train.data.feature_banks import voice_sources
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.training import train_voice
from gscon_live.train.encoders.voice.voice_data import Material, material
from gscon_live.train.engine.devices import threads
from gscon_live.train.progress import Report, Reporting
from gscon_live.train.runs.run_folder import TrainingFolder

#: Changes when the same recipe would give other networks.
_VERSION = 3


class VoiceNets:
    """Networks of a recipe, each trained once: what is interrupted goes on with the epoch that it
    was at, and of several processes that need the same network, the first trains it."""

    def __init__(self, recipe: VoiceRecipe, report: Report) -> None:
        # What a network does not depend on is the same for all, and so is its place in the cache.
        self._recipe = msgspec.structs.replace(recipe, name="voice", ship=False, folds=1)
        self._report = report

    @cached_property
    def material(self) -> Material:
        """The clips. Raises `InputError` where they are not there."""
        return material(self._report, coded=self._recipe.coded > 0)

    def weights(self, without: Collection[str], title: str, *, stated: bool = False) -> Path:
        """The weights of a network that has heard all actors but some.

        Args:
            without: actors.
            title: says what is trained.
            stated: it answers with RAVDESS' own emotions, not with the seven.
        """
        what = [str(_VERSION), msgspec.json.encode(self._recipe).decode(), str(stated)]
        key = hashlib.sha256("\n".join([*what, *voice_sources(), *sorted(without)]).encode())
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
        """The network itself, ready to answer; see `weights`."""
        path = self.weights(without, title, stated=stated)
        with cache.reading(path):
            return load(path, _classes(stated))[0]

    def _trained(
        self, without: Collection[str], training: TrainingFolder, title: str, stated: bool
    ) -> VoiceNet:
        clips = self.material.clips
        mine = torch.tensor([clip.actor not in without for clip in clips])
        labels = torch.tensor([clip.stated if stated else clip.emotion for clip in clips])[mine]
        heard = self.material.heard.take(mine)
        display = Reporting(self._report)
        with threads(self._recipe.threads):
            return train_voice(
                self._recipe, heard, labels, _classes(stated), training, display, title
            )


def _classes(stated: bool) -> int:
    return len(voices.STATED if stated else EMOTIONS)
