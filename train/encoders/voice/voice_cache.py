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
from gscon_live.train.data.feature_banks import Report, voice_sources
from gscon_live.train.encoders.voice.training import VoiceRecipe, trained
from gscon_live.train.encoders.voice.voice_data import Material, material
from gscon_live.train.engine.descent import threads

#: Changes when the same recipe would give other networks.
_VERSION = 2


class VoiceNets:
    """Networks of a recipe, each trained once: what is interrupted goes on with the network that it
    was at, and of several processes that need the same network, the first trains it."""

    def __init__(self, recipe: VoiceRecipe, report: Report) -> None:
        # What a network does not depend on is the same for all, and so is its place in the cache.
        self._recipe = msgspec.structs.replace(recipe, name="voice", ship=False, folds=1)
        self._report = report

    @cached_property
    def material(self) -> Material:
        """The clips. Raises `InputError` where they are not there."""
        return material(self._report, coded=self._recipe.coded > 0)

    def weights(self, without: Collection[str], line: str, *, stated: bool = False) -> Path:
        """The weights of a network that has heard all actors but some.

        Args:
            without: actors.
            line: says what is trained.
            stated: it answers with RAVDESS' own emotions, not with the seven.
        """
        what = [str(_VERSION), msgspec.json.encode(self._recipe).decode(), str(stated)]
        key = hashlib.sha256("\n".join([*what, *voice_sources(), *sorted(without)]).encode())
        path = cache.folder("voice") / f"{key.hexdigest()[:16]}.safetensors"
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                net = self._trained(without, line, stated)
                tensors = {name: one.contiguous() for name, one in net.state_dict().items()}
                with replacing(path) as unfinished:
                    save_file(tensors, unfinished)
        return path

    def net(self, without: Collection[str], line: str, *, stated: bool = False) -> VoiceNet:
        """The network itself, ready to answer; see `weights`."""
        path = self.weights(without, line, stated=stated)
        with cache.reading(path):
            return load(path, _classes(stated))[0]

    def _trained(self, without: Collection[str], line: str, stated: bool) -> VoiceNet:
        clips = self.material.clips
        mine = torch.tensor([clip.actor not in without for clip in clips])
        labels = torch.tensor([clip.stated if stated else clip.emotion for clip in clips])[mine]
        heard = self.material.heard.take(mine)
        with threads(self._recipe.threads):
            return trained(self._recipe, heard, labels, _classes(stated), line, self._report)


def _classes(stated: bool) -> int:
    return len(voices.STATED if stated else EMOTIONS)
