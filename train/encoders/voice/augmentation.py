"""Augmentation of voices: variations of speakers, microphones and rooms."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from gscon_live.model.encoders.voice.spectrogram import EDGES, MELS
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.voice_data import Clips

#: Length of the reverberation in columns.
_ECHO = 16
#: Centres of the bands in Hz, equally spaced in mel.
_LOWEST, _HIGHEST = (2595 * math.log10(1 + edge / 700) for edge in EDGES)
_MEL = torch.linspace(_LOWEST, _HIGHEST, MELS + 2)[1:-1]
_CENTRES = 700 * (10 ** (_MEL / 2595) - 1)
#: Maximum attenuation in dB of the bands outside of a microphone's range.
_UNHEARD = 45.0


def augment(log_mel: Callable[[Tensor], Tensor], clips: Clips, recipe: VoiceRecipe) -> Tensor:
    """Augmented spectrograms of clips, [n, 64, columns], with the recipe's probabilities and
    strengths; `log_mel` is the network's standardisation of power."""
    count, device = len(clips.lengths), clips.power.device

    def up_to(most: float) -> Tensor:
        return (torch.rand(count, 1, device=device) * 2 - 1) * most

    def selected(probability: float) -> Tensor:
        return torch.rand(count, 1, device=device) < probability

    band = torch.linspace(0, 1, MELS, device=device)
    power, versions = clips.power[0], len(clips.power)
    if recipe.coded and versions > 1:
        codec = torch.randint(1, versions, (count, 1), device=device) * selected(recipe.coded)
        power = clips.power[codec[:, 0], torch.arange(count, device=device)]
    speed, bands = 1 + up_to(recipe.speed), 1 + up_to(recipe.shift) / MELS
    power = _cut(power, clips.lengths, speed, bands, recipe.columns)
    slope, wave = torch.randn(2, count, 1, device=device) * recipe.colour
    curve = slope * (2 * band - 1) + wave * torch.cos(band * (5 + up_to(3.0)) + up_to(math.pi))
    power = power * (10 ** (curve / 10))[..., None]
    if recipe.room:
        power = _reverberating(power, selected(recipe.room))
    ratio = 10 ** (-(22.5 + up_to(12.5)) / 10) * selected(recipe.noise)
    falling = 10 ** (-(0.75 + up_to(0.75)) * band)
    level = power.mean((1, 2))[:, None] * ratio * falling / falling.mean(1, keepdim=True)
    # The power of noise in a band of a column is distributed exponentially; two are averaged.
    grain = 0.5 + 0.5 * torch.empty_like(power).exponential_()
    power = power + level[..., None] * grain
    if recipe.band:
        power = _narrow(power, selected(recipe.band))
    spectrogram = log_mel(power)
    for axis, most in ((1, 9), (2, 25)) * 2:
        size = spectrogram.shape[axis]
        length = torch.rand(count, 1, device=device) * most * selected(recipe.hidden)
        start = torch.rand(count, 1, device=device) * (size - length)
        at = torch.arange(size, device=device)
        masked = (at >= start) & (at < start + length)
        spectrogram = spectrogram.masked_fill(masked.unsqueeze(3 - axis), 0.0)
    return spectrogram


def _reverberating(power: Tensor, selected: Tensor) -> Tensor:
    """Power [n, 64, columns] with exponentially decaying reverberation, where `selected`
    [n, 1]."""
    count, device = len(power), power.device
    seconds = 0.2 + 0.6 * torch.rand(count, 1, 1, device=device)
    loudness = 0.5 * torch.rand(count, 1, 1, device=device) * selected[..., None]
    decay = 10 ** (-6 * 0.02 / seconds)
    late = torch.zeros_like(power)
    for column in range(1, _ECHO):
        late[..., column:] += power[..., :-column] * decay**column
    return power + loudness * late


def _narrow(power: Tensor, selected: Tensor) -> Tensor:
    """Power [n, 64, columns] through a random band-pass, where `selected` [n, 1]."""
    octaves = _CENTRES.to(power.device).log2()

    def between(lowest: float, highest: float) -> Tensor:
        return lowest + (highest - lowest) * torch.rand_like(selected, dtype=power.dtype)

    low, high = between(60.0, 450.0).log2(), between(2800.0, 9000.0).log2()
    below, above = (low - octaves).clamp(min=0), (octaves - high).clamp(min=0)
    falls = 2 ** between(3.0, 6.6) * below + 2 ** between(3.0, 6.6) * above
    decibels = -falls.clamp(max=_UNHEARD) * selected
    return power * (10 ** (decibels / 10))[..., None]


def _cut(power: Tensor, lengths: Tensor, speed: Tensor, bands: Tensor, columns: int) -> Tensor:
    """A random crop of `columns` columns of each clip, padded with silence where it is shorter;
    power [n, 64, longest], of which `lengths` [n] are sound. `speed` and `bands` [n, 1] multiply
    its speed and frequencies."""
    count, _, longest = power.shape
    device = power.device
    room = lengths[:, None] - columns * speed
    start = torch.rand(count, 1, device=device) * room
    time = start + torch.arange(columns, device=device) * speed
    band = torch.arange(MELS, device=device) * bands
    x, y = (2 * time + 1) / longest - 1, (2 * band + 1) / MELS - 1
    grid = torch.stack(
        [x[:, None, :].expand(-1, MELS, -1), y[:, :, None].expand(-1, -1, columns)], -1
    )
    return functional.grid_sample(power[:, None], grid, align_corners=False)[:, 0]
