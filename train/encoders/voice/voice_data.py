"""The acted voices as networks learn them and are asked about them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.model.encoders.voice.voice_network import Spectrogram, VoiceNet
from gscon_live.train.corpora import voices
from gscon_live.train.data.codecs import CALLS, TELEPHONE, through
from gscon_live.train.data.feature_banks import Report
from gscon_live.train.encoders.voice.training import Clips, Samples, answer, heard


@dataclass(frozen=True)
class Material:
    """The clips of both corpora, as they were recorded and as the training takes them."""

    clips: list[voices.Clip]
    sounds: list[Samples]
    heard: Clips
    ear: Spectrogram

    def answers(
        self, net: VoiceNet, chosen: Tensor, change: Callable[[Samples], Samples] = lambda one: one
    ) -> NDArray[np.float64]:
        """What a network says of some clips, bool [n], each changed: [chosen, classes]."""
        rows = chosen.nonzero()[:, 0].tolist()
        return np.stack([answer(net, self.ear, change(self.sounds[row])) for row in rows])


def material(report: Report, coded: bool) -> Material:
    """Reads both corpora; where `coded`, the training may hear each clip through one of the codecs
    of telephones and one of calls, too. Raises `InputError` where they are not there."""
    clips, sounds = [], list[Samples]()
    for clip, sound in voices.load():
        clips.append(clip)
        sounds.append(sound)
        report(len(clips), voices.COUNT, "voices")
    ways = [sounds]
    random = np.random.default_rng(0)
    passed = ((TELEPHONE, "voices by telephone"), (CALLS, "voices in calls")) if coded else ()
    for codecs, line in passed:
        way = list[Samples]()
        for sound in sounds:
            way.append(through(sound, codecs[random.integers(len(codecs))]))
            report(len(way), len(sounds), line)
        ways.append(way)
    ear = Spectrogram()
    return Material(clips, sounds, heard(ear, *ways), ear)
