"""Training of a text encoder, and its vectors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gscon_live.model.encoders.text.context_encoder import ContextEncoder, Tokens, pack
from gscon_live.train.encoders.text.learner import VoicedHead
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.task import TextTask
from gscon_live.train.encoders.text.text_data import TextCorpus
from gscon_live.train.engine.devices import (
    autocast,
    chosen,
    launch_fabric,
    on_gpu,
    precision_of,
    threads,
)
from gscon_live.train.engine.trainer import Plan
from gscon_live.train.progress import Display
from gscon_live.train.runs.resumable import train_in
from gscon_live.train.runs.run_folder import TrainingFolder


@dataclass(frozen=True)
class TextResult:
    """A trained encoder, its heads on its vectors alone and those that read prosody, too, by
    corpus, the kept epoch, weighted F1 on validation by epoch and corpus, and the numerical
    precision of the training."""

    model: ContextEncoder
    heads: dict[str, nn.Sequential]
    voiced: dict[str, VoicedHead]
    epoch: int
    validation: list[dict[str, float]]
    precision: str


def fit(
    recipe: TextRecipe,
    corpora: Mapping[str, TextCorpus],
    start: Mapping[str, Tensor] | None,
    seed: int,
    training: TrainingFolder,
    display: Display,
) -> TextResult:
    """Trains an encoder, or resumes from the folder's state. The same seed and number of threads
    give the same weights.

    Args:
        recipe: the recipe of the encoder.
        corpora: the training corpora by name.
        start: the encoder's initial weights; None: the sentence encoder's.
        seed: the seed of all random numbers.
        training: the folder of the state.
        display: shows progress.
    """
    plan = Plan(
        seed=seed,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        warm_up=0.1,
        anneal="linear",
        average=recipe.average,
        keep=recipe.keep,
    )
    with threads(recipe.threads):
        fabric = launch_fabric(recipe.accelerator, precision=recipe.precision)
        task = TextTask(recipe, corpora, start, seed, fabric)
        title = f"text encoder {recipe.name}, seed {seed}"
        state = train_in(training, task, plan, fabric, display, title, log=False)
    task.learner.cpu().eval().requires_grad_(False)
    validation = [
        {
            name: epoch[f"validation_weighted_f1_{name}"]
            for name, corpus in corpora.items()
            if corpus.validation
        }
        for epoch in state.history
    ]
    return TextResult(
        task.encoder,
        task.heads,
        task.voiced,
        state.best_epoch,
        validation,
        precision_of(fabric),
    )


class Reader:
    """A trained encoder that reads dialogues on a GPU where there is one, in the precision of its
    recipe: `precision` is that which was chosen.

    Raises:
        InputError: the machine does not have this precision.
    """

    def __init__(self, model: ContextEncoder, recipe: TextRecipe) -> None:
        self._cuda = on_gpu(recipe.accelerator)
        self.precision = chosen(recipe.precision, self._cuda)
        self._model = model.to("cuda" if self._cuda else "cpu")

    def vectors(self, ids: Sequence[Sequence[int]], speakers: Sequence[int]) -> Tensor:
        """As the function `vectors`."""
        with autocast(self.precision, self._cuda):
            return vectors(self._model, ids, speakers)


def vectors(model: ContextEncoder, ids: Sequence[Sequence[int]], speakers: Sequence[int]) -> Tensor:
    """The features of a dialogue's utterances, float32 [U, dim], on the CPU."""
    device = model.bias.device
    tokens = Tokens(*(part.to(device) for part in pack([(ids, speakers)])))
    with torch.no_grad():
        utterances: Tensor = model.eval()(tokens)[0].float().cpu()
        return utterances
