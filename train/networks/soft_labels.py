"""Soft labels: out-of-fold probabilities of teacher networks, mixed into the training labels.

The emotion of an utterance is often ambiguous, and its label is one of several possible answers.
From the probabilities of teachers a network learns which emotions are similar (Hinton et al. 2015,
Distilling the Knowledge in a Neural Network). The teachers of a fold were trained on the other
folds. So they have not seen its labels and are not overconfident.
"""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import torch
from filelock import FileLock
from lightning_fabric import Fabric
from safetensors.torch import load_file, save_file
from torch import Tensor

from gscon_live.common.errors import InputError
from gscon_live.common.files import replacing
from gscon_live.train.corpora.dataset import FeaturedCorpus
from gscon_live.train.data import cache, targets
from gscon_live.train.engine.trainer import train
from gscon_live.train.networks.material import material
from gscon_live.train.networks.recipe import ConversationRecipe, plan, text_seed
from gscon_live.train.networks.task import ConversationTask
from gscon_live.train.progress import Report
from gscon_live.train.scoring.measure import predict

#: Version of the cache: changes when the same recipe gives other soft labels.
_VERSION = 1

#: Number of folds of the training dialogues. Consecutive dialogues of a corpus were often recorded
#: together, so they share a fold.
FOLDS = 4


def with_soft_labels(
    recipe: ConversationRecipe, corpus: FeaturedCorpus, seed: int, fabric: Fabric, report: Report
) -> FeaturedCorpus:
    """The corpus with soft labels on its training dialogues: the share `distillation` of each
    comes from the teachers' probabilities, the rest from the label.

    Teachers are GSCon without consistency losses, on the vectors of the `general` text encoder;
    their other settings are the recipe's. So runs that differ only in network or `text` have the
    same soft labels. The probabilities are kept in the user's cache.

    Args:
        recipe: is resolved.
        corpus: the features of the training; teachers may read others.
        seed: the seed of the training; as for text encoders, teachers have the seeds 1 to
            `text_seeds` in turn.
        fabric: the devices.
        report: takes (done, total, what).

    Raises:
        InputError: there is a single training dialogue.
    """
    teacher_probabilities = _out_of_fold(recipe, text_seed(recipe, seed), fabric, report)
    width = len(corpus.labels)
    mixed = [
        replace(
            dialogue,
            soft=targets.mixed(
                targets.one_hot(dialogue.labels, width), probabilities, recipe.distillation
            ),
        )
        for dialogue, probabilities in zip(
            corpus.splits["train"], teacher_probabilities, strict=True
        )
    ]
    return replace(corpus, splits={**corpus.splits, "train": tuple(mixed)})


def _out_of_fold(
    recipe: ConversationRecipe, seed: int, fabric: Fabric, report: Report
) -> list[Tensor]:
    """The out-of-fold probabilities [N, C] of each training dialogue."""
    teacher = _teacher(recipe)
    with fabric.rank_zero_first():
        corpus = material(teacher, seed, report)
    count = len(corpus.splits["train"])
    if count < 2:
        raise InputError(
            f"corpus {corpus.name}: soft labels need at least two training dialogues; "
            "give distillation=0"
        )
    folds = torch.arange(count).tensor_split(min(FOLDS, count))
    key, folder = _key(teacher, corpus, seed), cache.folder("soft-labels")
    probabilities: list[Tensor] = []
    for number, fold in enumerate(folds):
        report(number, len(folds), f"soft labels, seed {seed}, fold {number + 1} of {len(folds)}")
        path = folder / f"{corpus.name}-{seed}-{number}-{key}.safetensors"
        probabilities += _fold_probabilities(teacher, corpus, fold.tolist(), seed, fabric, path)
    return probabilities


def _teacher(recipe: ConversationRecipe) -> ConversationRecipe:
    """The recipe of the teachers."""
    return msgspec.structs.replace(
        recipe,
        name="soft-labels",
        seeds=1,
        first_seed=1,
        text="frozen",
        direct=False,
        model="gscon",
        options={},
        plugins={},
        scaled="gradient",
        distillation=0.0,
        log_test=False,
        ship=False,
    )


def _fold_probabilities(
    teacher: ConversationRecipe,
    corpus: FeaturedCorpus,
    fold: Sequence[int],
    seed: int,
    fabric: Fabric,
    path: Path,
) -> list[Tensor]:
    """The probabilities [N, C] of each training dialogue of a fold, by a teacher that was trained
    on the other folds, or from the cache."""
    dialogues = corpus.splits["train"]
    held_out = [dialogues[place] for place in fold]
    with ExitStack() as stack:
        # Of several processes that need the same probabilities, the first computes them.
        if fabric.is_global_zero:
            stack.enter_context(FileLock(path.with_suffix(".lock")))
        if not fabric.broadcast(path.is_file()):
            others = tuple(other for place, other in enumerate(dialogues) if place not in {*fold})
            splits = {**corpus.splits, "train": others}
            task = ConversationTask(teacher, replace(corpus, splits=splits), seed, fabric)
            state = train(task, plan(teacher, seed), fabric)
            task.learner.load_state_dict(state.best)
            if fabric.is_global_zero:
                logits = map(torch.from_numpy, predict(task.network, held_out).final)
                probabilities = {str(place): rows.softmax(-1) for place, rows in enumerate(logits)}
                with replacing(path) as unfinished:
                    save_file(probabilities, unfinished)
    fabric.barrier()
    with cache.reading(path):
        probabilities = load_file(path)
    return [probabilities[str(place)] for place in range(len(held_out))]


def _key(teacher: ConversationRecipe, corpus: FeaturedCorpus, seed: int) -> str:
    """The cache key: a hash of all that the probabilities depend on."""
    settings = msgspec.to_builtins(teacher)
    del settings["left_out_session"]  # the dialogues below say it
    digest = hashlib.sha256(f"{_VERSION} {seed}\n".encode() + msgspec.json.encode(settings))
    for split in ("train", "validation"):
        for dialogue in corpus.splits[split]:
            features = dialogue.features.values()
            for tensor in (*features, dialogue.present, dialogue.speakers, dialogue.labels):
                digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:12]
