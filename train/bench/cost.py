"""The cost of the consistency losses in training, and of an answer as a conversation goes on.

Ratios are of processor time. Their variants are interleaved on a single thread, so that other work
on the machine disturbs them little. Weights and features are random, since the cost does not depend
on them.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.encoders.face.face_encoder import SIZE, FaceEncoder
from gscon_live.model.networks.consistency_losses import disagreement
from gscon_live.model.networks.gscon import GSCon
from gscon_live.model.networks.layers.shared_encoder import SharedEncoder, Sharing
from gscon_live.model.networks.network import Architecture, Conversations, Network, build
from gscon_live.train import balance
from gscon_live.train.balance.gdc import GDCSettings
from gscon_live.train.balance.plugin import StepContext
from gscon_live.train.data.batching import Batch
from gscon_live.train.engine.losses import Weighting, network_losses, step_totals

Tick = Callable[[], None]

#: Plug-ins of a training step: GSCon's as published, the same without GDC, and none.
GDC_AND_SSC: balance.PluginSettings = {"ssc": {}, "gdc": {}}
SSC_ONLY: balance.PluginSettings = {"ssc": {}}
NO_PLUGINS: balance.PluginSettings = {}


class Settings(msgspec.Struct, frozen=True):
    """The sizes of the measurements.

    Training steps of a network of `width` take `dialogues` of `utterances` each, or, compared with
    gradients of single samples, `windows` of `context` utterances. A variant is repeated
    `repetitions` times, or `slow_repetitions` times where it takes seconds. Answers are measured at
    utterance `early` and at utterance `late`, `answers` times each; so are as many faces. Training
    steps of the large text encoder read `tokens` tokens.
    """

    width: int = 128
    dialogues: int = 16
    utterances: int = 16
    windows: int = 16
    context: int = 8
    repetitions: int = 40
    slow_repetitions: int = 7
    early: int = 10
    late: int = 10_000
    answers: int = 1000
    tokens: int = 512


QUICK = Settings(
    width=16, dialogues=3, utterances=4, windows=3, repetitions=2, slow_repetitions=1, late=60,
    answers=10, tokens=32,
)  # fmt: skip


class ReleasedSharedEncoder(SharedEncoder):
    """The shared encoder of the released code: two `nn.Conv2d`, one modality after the other."""

    def encode(self, states: Sequence[Tensor], valid: Tensor, last: bool = False) -> Sharing:
        rows, outputs, hidden, inputs = self.rows, [], [], []
        if last:
            context = min(valid.shape[1], self.PAST + 1)
            padding, rows = (self.PAST + 1 - context, 0), (0, 0)
            states = [functional.pad(x[:, -context:], (0, 0, *padding)) for x in states]
            valid = functional.pad(valid[:, -context:], padding)
        trimmed = 6 - sum(rows)
        mask = valid[..., None].to(states[0].dtype)
        hidden_mask, output_mask = mask[:, trimmed:], mask[:, 2 * trimmed :]
        for state in states:
            inputs.append(state * mask)
            maps = functional.pad(inputs[-1][:, None], (3, 3, *rows))
            hidden.append(functional.relu(self.first(maps)[:, 0]) * hidden_mask)
            maps = functional.pad(hidden[-1][:, None], (3, 3, *rows))
            outputs.append(self.second(maps)[:, 0] * output_mask)
        conv_inputs = (torch.stack(inputs), torch.stack(hidden))
        shared = torch.stack(outputs)
        return Sharing(shared, self.second.weight, self.band, output_mask, conv_inputs, rows)


@dataclass(frozen=True)
class Training:
    """A network, its optimiser and the batch of all its steps."""

    network: Network
    batch: Batch
    optimiser: torch.optim.Optimizer
    random: torch.Generator

    def step(self, plugins: balance.PluginSettings, per_sample: bool = False) -> None:
        """A training step: forward, losses, backward, gradient clipping, optimiser. `per_sample`
        adds GDC from the gradients of single samples."""
        torch.autograd.backward(self.loss(plugins, per_sample))
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def loss(self, plugins: balance.PluginSettings, per_sample: bool = False) -> Tensor:
        """The objective of the batch; for `per_sample` see `step`."""
        conversations, last, targets = self.batch.conversations, self.batch.last, self.batch.targets
        answers = self.network(conversations, last)
        step = step_totals([targets], Weighting())
        losses = network_losses(self.network.modalities, answers, targets, Weighting(), step)
        context = StepContext(self.network, conversations, last, answers, targets, step, losses)
        acting = balance.plugins(plugins, self.network)
        total = balance.objective(context, acting, self.random, measure=False).total
        if per_sample:
            logits, labels = answers.specific.values(), self.batch.labels
            gradients = per_sample_gradients(logits, labels, self.network)
            total = total + GDCSettings().weight * disagreement(gradients)
        return total


def per_sample_gradients(
    unimodal_logits: Iterable[Tensor], labels: Tensor, network: Network
) -> Tensor:
    """The modalities' gradients on the shared encoder, [M, 98], as in the released code: the mean
    of the gradients of each sample's loss."""
    shared, rows = network.groups()["shared"], []
    for logits in unimodal_logits:
        total = shared[0].new_zeros(sum(parameter.numel() for parameter in shared))
        losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        for loss in losses:
            parts = torch.autograd.grad(loss, shared, create_graph=True)
            total = total + torch.cat([part.flatten() for part in parts]) / len(losses)
        rows.append(total)
    return torch.stack(rows)


def training(
    architecture: Architecture, batch: int, count: int, seed: int, released: bool = False
) -> Training:
    """GSCon in training on `batch` dialogues or windows of `count` utterances. `released` replaces
    its shared encoder by that of the released code, with the same weights."""
    torch.manual_seed(seed)
    network = build(architecture)
    assert isinstance(network, GSCon)
    if released:
        as_released = ReleasedSharedEncoder(network.share.both_sides)
        as_released.load_state_dict(network.share.state_dict())
        network.share = as_released
    torch.manual_seed(seed)
    last = architecture.mode == "buffer"
    conversations = _random_conversations(architecture, batch, count)
    labels = torch.randint(architecture.classes, (batch, 1 if last else count))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.03)
    random = torch.Generator().manual_seed(seed)
    return Training(network.train(), Batch(conversations, labels, last), optimiser, random)


def gdc_step_overhead(
    architecture: Architecture, settings: Settings, seed: int, tick: Tick
) -> dict[str, float]:
    """The time of a training step with GDC and SSC, as a ratio to a step without; on dialogues."""
    wide = msgspec.structs.replace(architecture, mode="causal", width=settings.width)
    trainer = training(wide, settings.dialogues, settings.utterances, seed)
    seconds = time_interleaved(
        {"with": lambda: trainer.step(GDC_AND_SSC), "without": lambda: trainer.step(NO_PLUGINS)},
        settings.repetitions,
        tick,
    )
    return {
        "gdc_step_overhead": seconds["with"] / seconds["without"],
        "step_ms": 1000 * seconds["without"],
    }


def gdc_vs_per_sample(
    architecture: Architecture, settings: Settings, seed: int, tick: Tick
) -> dict[str, float]:
    """The time of a training step with GDC from the gradients of single samples, as a ratio to our
    step; on windows, with the released shared encoder and with ours."""
    wide = msgspec.structs.replace(
        architecture, mode="buffer", width=settings.width, context=settings.context
    )
    batch = settings.windows, settings.context
    ours, theirs = training(wide, *batch, seed), training(wide, *batch, seed, released=True)
    seconds = time_interleaved(
        {
            "ours": lambda: ours.step(GDC_AND_SSC),
            "released": lambda: theirs.step(SSC_ONLY, per_sample=True),
            "same encoder": lambda: ours.step(SSC_ONLY, per_sample=True),
        },
        settings.slow_repetitions,
        tick,
    )
    return {
        "gdc_vs_per_sample": seconds["released"] / seconds["ours"],
        "gdc_vs_per_sample_same_encoder": seconds["same encoder"] / seconds["ours"],
    }


def inference(
    architecture: Architecture, settings: Settings, seed: int, tick: Tick
) -> dict[str, float]:
    """The time of an answer late in a conversation, and its ratio to that of an early answer."""
    torch.manual_seed(seed)
    network = build(msgspec.structs.replace(architecture, mode="causal")).eval()
    turns = [_random_conversations(network.architecture, 1, 1) for _ in range(16)]
    state = network.start()
    states = {}
    for index in range(1, settings.late + 1):
        if index in (settings.early, settings.late):
            states[index] = state
        _, state = network.step(state, turns[index % len(turns)])
        tick()
    wall_seconds: list[float] = []

    def late() -> None:
        start = time.perf_counter()
        network.step(states[settings.late], turns[0])
        wall_seconds.append(time.perf_counter() - start)

    seconds = time_interleaved(
        {"early": lambda: network.step(states[settings.early], turns[0]), "late": late},
        settings.answers,
        tick,
    )
    return {
        "inference_p95_ms": 1000 * float(np.percentile(wall_seconds, 95)),
        "inference_p50_ms": 1000 * float(np.percentile(wall_seconds, 50)),
        "inference_growth": seconds["late"] / seconds["early"],
    }


def face(settings: Settings, seed: int, tick: Tick) -> dict[str, float]:
    """The time of the face encoder that ships for a face."""
    encoder = FaceEncoder()
    faces = np.random.default_rng(seed).integers(0, 256, (16, 1, SIZE, SIZE)).astype(np.uint8)
    wall_seconds: list[float] = []
    for index in range(settings.answers + 2):
        start = time.perf_counter()
        encoder.encode(faces[index % len(faces)])
        if index > 1:
            wall_seconds.append(time.perf_counter() - start)
            tick()
    return {"face_p95_ms": 1000 * float(np.percentile(wall_seconds, 95))}


def _random_conversations(architecture: Architecture, batch: int, count: int) -> Conversations:
    """Random conversations without missing modalities."""
    modalities = len(architecture.modalities)
    return Conversations(
        {m: torch.randn(batch, count, architecture.dims[m]) for m in architecture.modalities},
        torch.ones(batch, count, modalities, dtype=torch.bool),
        torch.randint(architecture.speakers, (batch, count)),
        torch.ones(batch, count, dtype=torch.bool),
    )


def time_interleaved(
    variants: dict[str, Callable[[], object]], repetitions: int, tick: Tick
) -> dict[str, float]:
    """The median processor time of each variant in s, after two rounds of warm-up."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for repetition in range(repetitions + 2):
        for name, variant in variants.items():
            start = time.thread_time()
            variant()
            if repetition > 1:
                times[name].append(time.thread_time() - start)
        if repetition > 1:
            tick()
    return {name: median(times) for name, times in times.items()}
