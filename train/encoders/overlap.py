"""Training of the network that hears two people speak at once, and its evaluation."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.overlap import (
    FRAME_SECONDS,
    OverlapDetector,
    OverlapNet,
    overlapped,
    spectrogram,
)
from gscon_live.train.bounds import Positive
from gscon_live.train.corpora import librispeech, ravdess_emodb
from gscon_live.train.corpora.voice_corpora import VOICE_CORPORA
from gscon_live.train.data.mixtures import (
    LEVELS,
    Mixture,
    Recordings,
    Samples,
    colour,
    mixed,
    speech,
    utterance,
)
from gscon_live.train.progress import Display, Report
from gscon_live.train.save_weights import save_encoder
from gscon_live.train.trainables import Trainable

#: Seconds of a training example.
_SECONDS = 3.0
#: Steps over which the loss that is shown is averaged.
_SHOWN = 100
#: Share of utterances without overlap that may be marked.
FALSE_ALARMS = 0.05
#: Overlaps that are to be marked last longer, in seconds.
LONG = 0.5


class OverlapRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training of the overlap detector on mixtures of RAVDESS, EMO-DB, nEMO and URDU, and its
    evaluation on mixtures of LibriSpeech."""

    kind: Literal["overlap"] = "overlap"
    #: Results go to `runs/<name>/`.
    name: str = "overlap"
    #: Seed of the mixtures and of the network.
    seed: int = 1
    #: Number of training steps.
    steps: Positive = 1000
    #: Mixtures of a step.
    batch: Annotated[int, msgspec.Meta(ge=2)] = 16
    #: Largest learning rate; it rises in the first tenth, and falls to zero.
    learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 3e-3
    #: Share of the speakers whose mixtures choose the threshold.
    held_out: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.2
    #: Number of utterances with and without overlap in the evaluation.
    utterances: Annotated[int, msgspec.Meta(ge=20)] = 200
    #: Install the network as `model/weights/overlap.safetensors`.
    ship: bool = False


class OverlapTrainable(Trainable[OverlapRecipe]):
    """The overlap detector."""

    recipe = OverlapRecipe
    ships_as = "overlap"

    def fit(self, recipe: OverlapRecipe, folder: Path, display: Display) -> Path:
        torch.manual_seed(recipe.seed)
        people = read_speakers(display.report)
        readers = _by_speaker(librispeech.load(), librispeech.COUNT, "readers", display.report)
        own, others = parts_of(people, recipe.held_out)
        net = train(recipe, own, display.report)
        net.threshold.fill_(threshold_for(net, examples(others, recipe, seed=recipe.seed + 1)))
        figures = {
            "held-out speakers": figures_of(net, examples(others, recipe, seed=recipe.seed + 2)),
            "librispeech": figures_of(net, examples(readers, recipe, seed=recipe.seed + 3)),
        }
        return save_encoder(net, _card(recipe, net, figures), folder / f"{recipe.name}.safetensors")


def read_speakers(report: Report) -> dict[str, list[Samples]]:
    """The speech of each speaker of the four corpora. Raises `InputError` where one is
    missing."""
    actors = ((clip.actor, sound) for clip, sound in ravdess_emodb.load())
    people = _by_speaker(actors, ravdess_emodb.COUNT, "actors", report)
    for name in ("nemo", "urdu"):
        corpus = VOICE_CORPORA[name]
        recordings = ((clip.speaker, sound) for clip, sound in corpus.read())
        people |= _by_speaker(recordings, corpus.count, name, report)
    return people


def _by_speaker(
    recordings: Iterable[tuple[str, Samples]], count: int, line: str, report: Report
) -> dict[str, list[Samples]]:
    people: dict[str, list[Samples]] = {}
    for number, (speaker, sound) in enumerate(recordings, 1):
        people.setdefault(speaker, []).append(speech(sound))
        report(number, count, f"voices of {line}")
    return people


def parts_of(people: Recordings, share: float) -> tuple[Recordings, Recordings]:
    """The speakers to train on, and those who choose the threshold: every so manieth."""
    names = sorted(people)
    others = set(names[:: max(2, round(1 / share))])
    return (
        {name: people[name] for name in names if name not in others},
        {name: people[name] for name in names if name in others},
    )


def train(recipe: OverlapRecipe, people: Recordings, report: Report) -> OverlapNet:
    """Trains a network on mixtures that are drawn anew for every step."""
    random = np.random.default_rng(recipe.seed)
    net = OverlapNet().train()
    optimiser = torch.optim.AdamW(net.parameters(), recipe.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.steps + 1, pct_start=0.1
    )
    losses: list[float] = []
    line = "training"
    for step in range(recipe.steps):
        drawn = [_drawn(people, random) for _ in range(recipe.batch)]
        sound = torch.from_numpy(np.stack([mixture.samples for mixture in drawn]))
        wanted = torch.from_numpy(np.stack([mixture.overlapped for mixture in drawn])).float()
        loss = functional.binary_cross_entropy_with_logits(net(spectrogram(sound)), wanted)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if len(losses) == _SHOWN:
            line = f"step {step + 1}: mean loss {np.mean(losses):.3f}"
            losses.clear()
        report(step + 1, recipe.steps, line)
    return net.eval().requires_grad_(False)


def _drawn(people: Recordings, random: np.random.Generator) -> Mixture:
    """A training example: one person, or two from somewhere to somewhere."""
    names = sorted(people)
    first, second = random.choice(len(names), 2, replace=False)
    own = colour(utterance(people[names[first]], _SECONDS, random), random)
    if random.random() < 0.3:
        return mixed(own, None, 0.0, random)
    seconds = random.uniform(0.3, _SECONDS)
    other = colour(utterance(people[names[second]], seconds, random), random)
    return mixed(own, other, random.uniform(0.0, _SECONDS - seconds), random)


class Example(msgspec.Struct, frozen=True):
    """An utterance, and the seconds in which two people speak in it."""

    samples: Samples
    seconds: float


def examples(people: Recordings, recipe: OverlapRecipe, seed: int) -> list[Example]:
    """As many utterances of one person as of one whom another interrupts for 0.5 to 3 seconds."""
    random = np.random.default_rng(seed)
    names, out = sorted(people), []
    for number in range(2 * recipe.utterances):
        first, second = random.choice(len(names), 2, replace=False)
        length = random.uniform(2.0, 8.0)
        own = utterance(people[names[first]], length, random)
        other, at = None, 0.0
        if number % 2:
            seconds = min(random.uniform(0.6, 3.0), length)
            other = utterance(people[names[second]], seconds, random)
            at = random.uniform(0.0, length - seconds)
        mixture = mixed(own, other, at, random)
        out.append(Example(mixture.samples, float(mixture.overlapped.sum()) * FRAME_SECONDS))
    return out


def threshold_for(net: OverlapNet, spoken: Sequence[Example]) -> float:
    """The lowest threshold that marks at most 5 % of the utterances without overlap."""
    alone = _probabilities(net, [example for example in spoken if not example.seconds])
    for threshold in np.linspace(0.05, 0.99, 189):
        if np.mean([overlapped(row, threshold) > 0 for row in alone]) <= FALSE_ALARMS:
            return float(threshold)
    return 0.995


def figures_of(net: OverlapNet, spoken: Sequence[Example]) -> dict[str, float]:
    """The share of overlaps over 0.5 s that is marked, that of utterances without overlap that is
    marked too, and the first at 5 % of the second, wherever the threshold would be."""
    threshold = float(net.threshold)
    alone = _probabilities(net, [example for example in spoken if not example.seconds])
    long = [example for example in spoken if example.seconds > LONG]
    both = _probabilities(net, long)

    def marked(rows: Sequence[NDArray[np.float32]], limit: float) -> float:
        return round(float(np.mean([overlapped(row, limit) > 0 for row in rows])), 3)

    error = [abs(overlapped(row, threshold) - example.seconds) for row, example in zip(both, long,
             strict=True)]  # fmt: skip
    return {
        "overlaps": len(both),
        "alone": len(alone),
        "marked": marked(both, threshold),
        "false_alarms": marked(alone, threshold),
        "marked_at_5_percent": marked(both, threshold_for(net, spoken)),
        "median_error_seconds": round(float(np.median(error)), 2),
    }


def _probabilities(net: OverlapNet, spoken: Sequence[Example]) -> list[NDArray[np.float32]]:
    detector = OverlapDetector(net)
    return [detector.probabilities(example.samples) for example in spoken]


def _card(
    recipe: OverlapRecipe, net: OverlapNet, figures: dict[str, dict[str, float]]
) -> dict[str, object]:
    return {
        "name": "overlap-convolutional",
        "data": "Sums of two recordings of RAVDESS, EMO-DB, nEMO and URDU at "
        f"{LEVELS[0]:g} to {LEVELS[1]:+g} dB, with noise.",
        "figures_data": f"Utterances of 2 to 8 s; overlaps of more than {LONG} s that are marked, "
        "and utterances without overlap that are marked too. The threshold is that of "
        f"{FALSE_ALARMS:.0%} false alarms on other mixtures of the held-out speakers. LibriSpeech "
        "chose nothing; marked_at_5_percent is what another threshold would give there.",
        "parameters": sum(weights.numel() for weights in net.parameters()),
        "sample_rate": SAMPLE_RATE,
        "threshold": float(net.threshold),
        "recipe": recipe,
        "figures": figures,
    }
