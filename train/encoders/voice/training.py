"""Training of a voice network on acted speech."""

from collections.abc import Iterator, Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor

from gscon_live.model.encoders.voice.voice_network import VoiceNet
from gscon_live.train.encoders.labelled_rows import RowsPart, cross_entropy, split
from gscon_live.train.encoders.voice.augmentation import augment
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.voice_data import Clips
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.losses import Terms
from gscon_live.train.engine.trainer import SELECTION_SCORE, Plan, Task
from gscon_live.train.progress import Display
from gscon_live.train.runs.resumable import train_in
from gscon_live.train.runs.run_folder import TrainingFolder


class VoiceTask(Task[RowsPart]):
    """A voice network in training on clips and their labels int64 [n]."""

    def __init__(
        self, recipe: VoiceRecipe, clips: Clips, labels: Tensor, classes: int, fabric: Fabric
    ) -> None:
        self._recipe, self._fabric = recipe, fabric
        torch.manual_seed(recipe.seed)
        self.net = VoiceNet(classes, recipe.dropout)
        spoken = torch.arange(clips.power.shape[-1]) < clips.lengths[:, None]
        self.net.standardise(clips.power[0].transpose(1, 2)[spoken])
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.learner = self.net
        self._clips = Clips(fabric.to_device(clips.power), fabric.to_device(clips.lengths))
        self._labels = fabric.to_device(labels)
        self.steps = -(-len(labels) // recipe.batch)

    def epoch(self, random: torch.Generator, parts: int) -> Iterator[Sequence[RowsPart]]:
        order = self._fabric.to_device(torch.randperm(len(self._labels), generator=random))
        for rows in order.tensor_split(self.steps):
            yield split(rows, parts)

    def loss(self, part: RowsPart, random: torch.Generator, measure: bool) -> Terms:
        spectrograms = augment(self.net.log_mel, self._clips.take(part.rows), self._recipe)
        with self._fabric.autocast():
            logits = self.net(spectrograms)
        return cross_entropy(logits, self._labels[part.rows], self._recipe.label_smoothing, part)

    def scores(self) -> dict[str, float]:
        """Nothing is selected."""
        return {SELECTION_SCORE: 0.0}


def train_voice(
    recipe: VoiceRecipe,
    clips: Clips,
    labels: Tensor,
    classes: int,
    training: TrainingFolder,
    display: Display,
    title: str,
) -> VoiceNet:
    """Trains a network on clips and their labels int64 [n], or resumes from the folder's state.
    Returns it on the CPU, in evaluation mode. `title` is shown with the progress."""
    fabric = launch_fabric(recipe.accelerator, precision=recipe.precision)
    task = VoiceTask(recipe, clips, labels, classes, fabric)
    plan = Plan(
        seed=recipe.seed,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        warm_up=recipe.warm_up,
        clip=5.0,
        average=recipe.average,
        keep="last",
    )
    train_in(training, task, plan, fabric, display, title, figure=None, log=False)
    return task.net.cpu().eval().requires_grad_(False)
