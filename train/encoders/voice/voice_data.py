"""The acted voices as networks learn them and are asked about them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.model.encoders.voice.spectrogram import sound as as_heard
from gscon_live.model.encoders.voice.voice_network import MELS, Spectrogram, VoiceNet
from gscon_live.train.corpora import voices
from gscon_live.train.data.codecs import CALLS, TELEPHONE, through
from gscon_live.train.progress import Report

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Clips:
    """Recordings: power [ways, n, 64, columns], padded with silence, and their lengths in columns
    int64 [n]. The first way is as they were recorded; others are the same through codecs."""

    power: Tensor
    lengths: Tensor

    def take(self, rows: Tensor) -> "Clips":
        """Some of them."""
        return Clips(self.power[:, rows], self.lengths[rows])


def clips_of(ear: Spectrogram, *ways: Sequence[Samples]) -> Clips:
    """Sounds, mono float32 at 16 kHz, as the training takes them; each way has the same sounds in
    the same lengths."""
    powers = [[ear(as_heard(samples)) for samples in sounds] for sounds in ways]
    lengths = torch.tensor([power.shape[1] for power in powers[0]])
    padded = torch.zeros(len(ways), len(lengths), MELS, int(lengths.max()))
    for rows, way in zip(padded, powers, strict=True):
        for row, power in zip(rows, way, strict=True):
            row[:, : power.shape[1]] = power
    return Clips(padded, lengths)


def answer(net: VoiceNet, ear: Spectrogram, sound: Samples) -> NDArray[np.float64]:
    """The probabilities [classes] of one sound, as it is heard live."""
    with torch.inference_mode():
        return np.asarray(net.says(ear(as_heard(sound))).double().exp())


@dataclass(frozen=True)
class Material:
    """The clips of both corpora, as they were recorded and as the training takes them."""

    clips: list[voices.Clip]
    sounds: list[Samples]
    heard: Clips
    ear: Spectrogram

    def answers(
        self,
        net: VoiceNet,
        chosen: Tensor,
        change: Callable[[Samples], Samples] = lambda sound: sound,
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
    return Material(clips, sounds, clips_of(ear, *ways), ear)
