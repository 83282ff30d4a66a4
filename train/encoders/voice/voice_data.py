"""Training and test data of the voice networks: acted voices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.model.encoders.voice.spectrogram import MELS, MelSpectrogram, power_spectrogram
from gscon_live.model.encoders.voice.voice_network import VoiceNet
from gscon_live.train.corpora import ravdess_emodb
from gscon_live.train.data.codecs import CALLS, TELEPHONE, through
from gscon_live.train.progress import Report

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Clips:
    """Recordings: power [versions, n, 64, columns], padded with silence, and their lengths in
    columns int64 [n]. The first version is the original; the others went through codecs."""

    power: Tensor
    lengths: Tensor

    def take(self, rows: Tensor) -> "Clips":
        """Some of the clips."""
        return Clips(self.power[:, rows], self.lengths[rows])


def clips_of(mel: MelSpectrogram, *versions: Sequence[Samples]) -> Clips:
    """Clips of sounds, mono float32 at 16 kHz; all versions have the same sounds in the same
    lengths."""
    powers = [[mel(power_spectrogram(samples)) for samples in sounds] for sounds in versions]
    lengths = torch.tensor([power.shape[1] for power in powers[0]])
    padded = torch.zeros(len(versions), len(lengths), MELS, int(lengths.max()))
    for rows, version in zip(padded, powers, strict=True):
        for row, power in zip(rows, version, strict=True):
            row[:, : power.shape[1]] = power
    return Clips(padded, lengths)


def answer(net: VoiceNet, mel: MelSpectrogram, sound: Samples) -> NDArray[np.float64]:
    """The class probabilities [classes] of a sound, as computed live."""
    with torch.inference_mode():
        return np.asarray(net.log_probabilities(mel(power_spectrogram(sound))).double().exp())


@dataclass(frozen=True)
class VoiceMaterial:
    """The clips of both corpora: sounds, and spectrograms for training."""

    clips: list[ravdess_emodb.Clip]
    sounds: list[Samples]
    spectrograms: Clips
    mel: MelSpectrogram

    def answers(
        self,
        net: VoiceNet,
        selected: Tensor,
        change: Callable[[Samples], Samples] = lambda sound: sound,
    ) -> NDArray[np.float64]:
        """Class probabilities [selected, classes] of selected clips, bool [n], each changed by
        `change`."""
        rows = selected.nonzero()[:, 0].tolist()
        return np.stack([answer(net, self.mel, change(self.sounds[row])) for row in rows])


def material(report: Report, coded: bool) -> VoiceMaterial:
    """Reads both corpora. With `coded`, each clip has two more versions for training: through a
    codec of telephones and one of calls. Raises `InputError` where a corpus is missing."""
    clips, sounds = [], list[Samples]()
    for clip, sound in ravdess_emodb.load():
        clips.append(clip)
        sounds.append(sound)
        report(len(clips), ravdess_emodb.COUNT, "voices")
    versions = [sounds]
    random = np.random.default_rng(0)
    codec_groups = ((TELEPHONE, "voices by telephone"), (CALLS, "voices in calls")) if coded else ()
    for codecs, line in codec_groups:
        version = list[Samples]()
        for sound in sounds:
            version.append(through(sound, codecs[random.integers(len(codecs))]))
            report(len(version), len(sounds), line)
        versions.append(version)
    mel = MelSpectrogram()
    return VoiceMaterial(clips, sounds, clips_of(mel, *versions), mel)
