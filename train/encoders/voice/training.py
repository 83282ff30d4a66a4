"""Training of the voice encoder on acted speech."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gscon_live.model.encoders.voice.spectrogram import sound as as_heard
from gscon_live.model.encoders.voice.voice_network import EDGES, MELS, Spectrogram, VoiceNet
from gscon_live.train.data.feature_banks import Report
from gscon_live.train.engine.descent import Descent
from gscon_live.train.engine.trainer import Precision, copied, fabric

Positive = Annotated[int, msgspec.Meta(ge=1)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Samples = NDArray[np.float32]

#: Columns after which nothing is heard of a sound any more.
_ECHO = 16
#: Middles of the bands in Hz, equally apart in mel.
_LOWEST, _HIGHEST = (2595 * math.log10(1 + edge / 700) for edge in EDGES)
_MEL = torch.linspace(_LOWEST, _HIGHEST, MELS + 2)[1:-1]
_CENTRES = 700 * (10 ** (_MEL / 2595) - 1)
#: By so many dB at most does a microphone weaken the bands that it does not hear.
_UNHEARD = 45.0


class VoiceRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a voice encoder is trained.

    Utterances are heard as another speaker, microphone and room might give them: with the
    probability `coded` through a telephone's codec or one of calls (see `train.data.codecs`);
    `columns` of 20 ms of each are taken, faster or slower by up to the share `speed`; bands are
    moved by up to `shift`; their levels follow a random curve of about `colour` dB; with the
    probability `room` they reverberate for 0.2 to 0.8 s, with `noise` there is noise 10 to 35 dB
    below, and with `band` the microphone hears less and less below 60 to 450 and above 2800 to 9000
    Hz, by 8 to 97 dB an octave; and with `hidden` bands and columns are left out, twice each.
    `folds` of RAVDESS' actors are measured (fewer: for a quick look); `average` is the decay, in a
    step, of the weights' moving average, which is kept after the last epoch.
    """

    kind: Literal["voice"] = "voice"
    name: str = "voice"
    seed: int = 1
    folds: Annotated[int, msgspec.Meta(ge=1, le=6)] = 6
    epochs: Positive = 80
    batch: Positive = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warm_up: float = 0.1
    label_smoothing: float = 0.1
    dropout: float = 0.3
    average: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.98
    coded: Probability = 0.2
    columns: Positive = 180
    speed: float = 0.15
    shift: float = 3.0
    colour: float = 2.5
    room: Probability = 0.2
    noise: Probability = 0.7
    band: Probability = 0.3
    hidden: Probability = 0.7
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Precision = "32-true"
    threads: Positive = 1
    ship: bool = False


@dataclass(frozen=True)
class Clips:
    """Recordings: power [ways, n, 64, columns], padded with silence, and their lengths in columns
    int64 [n]. The first way is as they were recorded; others are the same through codecs."""

    power: Tensor
    lengths: Tensor

    def take(self, rows: Tensor) -> "Clips":
        """Some of them."""
        return Clips(self.power[:, rows], self.lengths[rows])


def heard(ear: Spectrogram, *ways: Sequence[Samples]) -> Clips:
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


def trained(
    recipe: VoiceRecipe, clips: Clips, labels: Tensor, classes: int, line: str, report: Report
) -> VoiceNet:
    """A network, trained on clips and their labels int64 [n]; on the CPU, ready to answer. `line`
    says what is trained."""
    on = fabric(recipe.accelerator, precision=recipe.precision)
    torch.manual_seed(recipe.seed)
    shuffle = torch.Generator().manual_seed(recipe.seed)
    net = VoiceNet(classes, recipe.dropout)
    spoken = torch.arange(clips.power.shape[-1]) < clips.lengths[:, None]
    net.standardise(clips.power[0].transpose(1, 2)[spoken])
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    plain = torch.optim.AdamW(
        net.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    clips = Clips(*(on.to_device(part) for part in vars(clips).values()))
    labels = on.to_device(labels)
    steps = -(-len(labels) // recipe.batch)
    total = steps * recipe.epochs
    descent = Descent(on, net, plain, total, recipe.warm_up, recipe.average)
    descent.module.train()
    for _ in range(recipe.epochs):
        order = on.to_device(torch.randperm(len(labels), generator=shuffle))
        for rows in torch.tensor_split(order, steps):
            part = clips.take(rows)
            seen = augment(net.seen, part, recipe)
            loss = functional.cross_entropy(
                descent.module(seen), labels[rows], label_smoothing=recipe.label_smoothing
            )
            descent.step(loss)
            report(descent.done, total, line)
    with descent.average.in_place():
        kept = copied(net)
    net.load_state_dict(kept)
    return net.cpu().eval().requires_grad_(False)


def augment(see: Callable[[Tensor], Tensor], clips: Clips, recipe: VoiceRecipe) -> Tensor:
    """What a network sees of clips as they might also sound, [n, 64, columns]; see
    `VoiceRecipe`."""
    count, device = len(clips.lengths), clips.power.device

    def up_to(most: float) -> Tensor:
        return (torch.rand(count, 1, device=device) * 2 - 1) * most

    def chosen(probability: float) -> Tensor:
        return torch.rand(count, 1, device=device) < probability

    band = torch.linspace(0, 1, MELS, device=device)
    power, ways = clips.power[0], len(clips.power)
    if recipe.coded and ways > 1:
        codec = torch.randint(1, ways, (count, 1), device=device) * chosen(recipe.coded)
        power = clips.power[codec[:, 0], torch.arange(count, device=device)]
    speed, bands = 1 + up_to(recipe.speed), 1 + up_to(recipe.shift) / MELS
    power = _cut(power, clips.lengths, speed, bands, recipe.columns)
    slope, wave = torch.randn(2, count, 1, device=device) * recipe.colour
    curve = slope * (2 * band - 1) + wave * torch.cos(band * (5 + up_to(3.0)) + up_to(math.pi))
    power = power * (10 ** (curve / 10))[..., None]
    if recipe.room:
        power = _reverberating(power, chosen(recipe.room))
    ratio = 10 ** (-(22.5 + up_to(12.5)) / 10) * chosen(recipe.noise)
    falling = 10 ** (-(0.75 + up_to(0.75)) * band)
    level = power.mean((1, 2))[:, None] * ratio * falling / falling.mean(1, keepdim=True)
    # The power of noise in a band of a column is distributed exponentially; two are averaged.
    grain = 0.5 + 0.5 * torch.empty_like(power).exponential_()
    power = power + level[..., None] * grain
    if recipe.band:
        power = _narrow(power, chosen(recipe.band))
    seen = see(power)
    for axis, most in ((1, 9), (2, 25)) * 2:
        size = seen.shape[axis]
        length = torch.rand(count, 1, device=device) * most * chosen(recipe.hidden)
        start = torch.rand(count, 1, device=device) * (size - length)
        at = torch.arange(size, device=device)
        gone = (at >= start) & (at < start + length)
        seen = seen.masked_fill(gone.unsqueeze(3 - axis), 0.0)
    return seen


def _reverberating(power: Tensor, chosen: Tensor) -> Tensor:
    """Power [n, 64, columns] with what walls give back, exponentially less with time, where
    `chosen` [n, 1]."""
    count, device = len(power), power.device
    seconds = 0.2 + 0.6 * torch.rand(count, 1, 1, device=device)
    loudness = 0.5 * torch.rand(count, 1, 1, device=device) * chosen[..., None]
    decay = 10 ** (-6 * 0.02 / seconds)
    late = torch.zeros_like(power)
    for column in range(1, _ECHO):
        late[..., column:] += power[..., :-column] * decay**column
    return power + loudness * late


def _narrow(power: Tensor, chosen: Tensor) -> Tensor:
    """Power [n, 64, columns] as it is heard through a narrow band where `chosen` [n, 1]."""
    octaves = _CENTRES.to(power.device).log2()

    def between(lowest: float, highest: float) -> Tensor:
        return lowest + (highest - lowest) * torch.rand_like(chosen, dtype=power.dtype)

    low, high = between(60.0, 450.0).log2(), between(2800.0, 9000.0).log2()
    below, above = (low - octaves).clamp(min=0), (octaves - high).clamp(min=0)
    falls = 2 ** between(3.0, 6.6) * below + 2 ** between(3.0, 6.6) * above
    decibels = -falls.clamp(max=_UNHEARD) * chosen
    return power * (10 ** (decibels / 10))[..., None]


def _cut(power: Tensor, lengths: Tensor, speed: Tensor, bands: Tensor, columns: int) -> Tensor:
    """So many columns of each clip, power [n, 64, longest] of which `lengths` [n] are sound, from
    anywhere in it, or it from anywhere in silence; with its speed and the frequencies of its bands
    multiplied, [n, 1] each."""
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
