"""What the consistency losses cost in training, and what an answer costs as a conversation goes on.

Ratios are of processor time, of variants that take turns in one run on one thread, so that other
work on the machine disturbs them little. Weights and features are random: the work is the same
whatever they are.
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

#: GSCon's plug-ins as published, without GDC, and none.
CONSISTENT: balance.PluginSettings = {"ssc": {}, "gdc": {}}
STRUCTURE: balance.PluginSettings = {"ssc": {}}
PLAIN: balance.PluginSettings = {}


class Settings(msgspec.Struct, frozen=True):
    """What is measured at which size. Training, at `width`: `dialogues` of `utterances` each, and
    for the comparison with gradients of single samples `windows` of `context` utterances; each
    variant `repetitions` times (`slow_repetitions` where one takes seconds). Answering: utterance
    `early` against utterance `late`, each `answers` times; and so many faces."""

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


QUICK = Settings(
    width=16, dialogues=3, utterances=4, windows=3, repetitions=2, slow_repetitions=1, late=60,
    answers=10,
)  # fmt: skip


class Released(SharedEncoder):
    """The shared encoder as it is released: two `nn.Conv2d`, one modality after the other."""

    def encode(self, states: Sequence[Tensor], valid: Tensor, last: bool = False) -> Sharing:
        rows, each, hidden, read = self.rows, [], [], []
        if last:
            seen = min(valid.shape[1], self.PAST + 1)
            before, rows = (self.PAST + 1 - seen, 0), (0, 0)
            states = [functional.pad(x[:, -seen:], (0, 0, *before)) for x in states]
            valid = functional.pad(valid[:, -seen:], before)
        fewer = 6 - sum(rows)
        whole = valid[..., None].to(states[0].dtype)
        inner, outer = whole[:, fewer:], whole[:, 2 * fewer :]
        for state in states:
            read.append(state * whole)
            maps = functional.pad(read[-1][:, None], (3, 3, *rows))
            hidden.append(functional.relu(self.first(maps)[:, 0]) * inner)
            maps = functional.pad(hidden[-1][:, None], (3, 3, *rows))
            each.append(self.second(maps)[:, 0] * outer)
        between = (torch.stack(read), torch.stack(hidden))
        return Sharing(torch.stack(each), self.second.weight, self.band, outer, between, rows)


@dataclass(frozen=True)
class Training:
    """A network, its optimiser and a batch: a training step, again and again."""

    network: Network
    batch: Batch
    optimiser: torch.optim.Optimizer
    random: torch.Generator

    def step(self, plugins: balance.PluginSettings, one_by_one: bool = False) -> None:
        """Forward, losses, backward, clipping and the optimiser's step; with `one_by_one`, GDC in
        addition, from the gradients of single samples."""
        torch.autograd.backward(self.loss(plugins, one_by_one))
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def loss(self, plugins: balance.PluginSettings, one_by_one: bool = False) -> Tensor:
        """The objective of the batch."""
        conversations, last, targets = self.batch.conversations, self.batch.last, self.batch.targets
        answers = self.network(conversations, last)
        step = step_totals([targets], Weighting())
        losses = network_losses(self.network.modalities, answers, targets, Weighting(), step)
        context = StepContext(self.network, conversations, last, answers, targets, step, losses)
        acting = balance.plugins(plugins, self.network)
        total = balance.objective(context, acting, self.random, measure=False).total
        if one_by_one:
            gradients = by_sample(answers.specific.values(), self.batch.labels, self.network)
            total = total + GDCSettings().weight * disagreement(gradients)
        return total


def by_sample(opinions: Iterable[Tensor], labels: Tensor, network: Network) -> Tensor:
    """The modalities' gradients on the shared encoder as the released code takes them: those of
    every sample's loss, averaged; [M, 98]."""
    shared, rows = network.groups()["shared"], []
    for logits in opinions:
        total = shared[0].new_zeros(sum(one.numel() for one in shared))
        losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        for loss in losses:
            parts = torch.autograd.grad(loss, shared, create_graph=True)
            total = total + torch.cat([part.flatten() for part in parts]) / len(losses)
        rows.append(total)
    return torch.stack(rows)


def training(
    architecture: Architecture, batch: int, count: int, seed: int, released: bool = False
) -> Training:
    """A GSCon in training on `batch` dialogues or windows of `count` utterances; with `released`,
    one whose shared encoder is as in the released code, with the same weights."""
    torch.manual_seed(seed)
    network = build(architecture)
    assert isinstance(network, GSCon)
    if released:
        as_released = Released(network.share.both_sides)
        as_released.load_state_dict(network.share.state_dict())
        network.share = as_released
    torch.manual_seed(seed)
    last = architecture.mode == "buffer"
    conversations = _conversations(architecture, batch, count)
    labels = torch.randint(architecture.classes, (batch, 1 if last else count))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.03)
    random = torch.Generator().manual_seed(seed)
    return Training(network.train(), Batch(conversations, labels, last), optimiser, random)


def gdc_step_overhead(
    architecture: Architecture, settings: Settings, seed: int, tick: Tick
) -> dict[str, float]:
    """A step with GDC and SSC over one without, on whole dialogues."""
    wide = msgspec.structs.replace(architecture, mode="causal", width=settings.width)
    one = training(wide, settings.dialogues, settings.utterances, seed)
    found = _taking_turns(
        {"with": lambda: one.step(CONSISTENT), "without": lambda: one.step(PLAIN)},
        settings.repetitions,
        tick,
    )
    return {
        "gdc_step_overhead": found["with"] / found["without"],
        "step_ms": 1000 * found["without"],
    }


def gdc_vs_per_sample(
    architecture: Architecture, settings: Settings, seed: int, tick: Tick
) -> dict[str, float]:
    """A step with GDC from the gradients of single samples over ours, on windows: with the shared
    encoder as released, and with ours."""
    wide = msgspec.structs.replace(
        architecture, mode="buffer", width=settings.width, context=settings.context
    )
    batch = settings.windows, settings.context
    ours, theirs = training(wide, *batch, seed), training(wide, *batch, seed, released=True)
    found = _taking_turns(
        {
            "ours": lambda: ours.step(CONSISTENT),
            "released": lambda: theirs.step(STRUCTURE, one_by_one=True),
            "same encoder": lambda: ours.step(STRUCTURE, one_by_one=True),
        },
        settings.slow_repetitions,
        tick,
    )
    return {
        "gdc_vs_per_sample": found["released"] / found["ours"],
        "gdc_vs_per_sample_same_encoder": found["same encoder"] / found["ours"],
    }


def inference(
    architecture: Architecture, settings: Settings, seed: int, tick: Tick
) -> dict[str, float]:
    """The time of an answer late in a conversation, and over that of an early one."""
    torch.manual_seed(seed)
    network = build(msgspec.structs.replace(architecture, mode="causal")).eval()
    turns = [_conversations(network.architecture, 1, 1) for _ in range(16)]
    state = network.start()
    states = {}
    for number in range(1, settings.late + 1):
        if number in (settings.early, settings.late):
            states[number] = state
        _, state = network.step(state, turns[number % len(turns)])
        tick()
    wall: list[float] = []

    def late() -> None:
        start = time.perf_counter()
        network.step(states[settings.late], turns[0])
        wall.append(time.perf_counter() - start)

    found = _taking_turns(
        {"early": lambda: network.step(states[settings.early], turns[0]), "late": late},
        settings.answers,
        tick,
    )
    return {
        "inference_p95_ms": 1000 * float(np.percentile(wall, 95)),
        "inference_p50_ms": 1000 * float(np.percentile(wall, 50)),
        "inference_growth": found["late"] / found["early"],
    }


def face(settings: Settings, seed: int, tick: Tick) -> dict[str, float]:
    """The time that the face encoder that ships takes for one face."""
    encoder = FaceEncoder()
    faces = np.random.default_rng(seed).integers(0, 256, (16, 1, SIZE, SIZE)).astype(np.uint8)
    wall: list[float] = []
    for number in range(settings.answers + 2):
        start = time.perf_counter()
        encoder.encode(faces[number % len(faces)])
        if number > 1:
            wall.append(time.perf_counter() - start)
            tick()
    return {"face_p95_ms": 1000 * float(np.percentile(wall, 95))}


def _conversations(architecture: Architecture, batch: int, count: int) -> Conversations:
    """Random ones in which everybody is seen and heard."""
    modalities = len(architecture.modalities)
    return Conversations(
        {m: torch.randn(batch, count, architecture.dims[m]) for m in architecture.modalities},
        torch.ones(batch, count, modalities, dtype=torch.bool),
        torch.randint(architecture.speakers, (batch, count)),
        torch.ones(batch, count, dtype=torch.bool),
    )


def _taking_turns(
    variants: dict[str, Callable[[], object]], repetitions: int, tick: Tick
) -> dict[str, float]:
    """Median processor time in s of each, after two rounds to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(repetitions + 2):
        for name, variant in variants.items():
            start = time.thread_time()
            variant()
            if number > 1:
                taken[name].append(time.thread_time() - start)
        if number > 1:
            tick()
    return {name: median(times) for name, times in taken.items()}
