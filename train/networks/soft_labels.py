"""Soft labels: what networks say of dialogues that they have not learned.

Which emotion an utterance carries is often open, and its label is one answer. A network that is
told for half of it what others think, which were trained on the rest of the corpus, learns which
emotions are near (Hinton et al. 2015, Distilling the Knowledge in a Neural Network); and since
these others have never seen the label, they are not sure of what nobody could know.
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
from gscon_live.train.data import cache
from gscon_live.train.encoders.text.text_data import one_hot
from gscon_live.train.engine.trainer import train
from gscon_live.train.networks.recipe import ConversationRecipe, material, plan, text_seed
from gscon_live.train.networks.task import ConversationTask
from gscon_live.train.progress import Report
from gscon_live.train.scoring.measure import predict

#: Changes when the same recipe would give other soft labels.
_VERSION = 1

#: In so many parts are the training dialogues left out. Dialogues that follow each other in a
#: corpus were often recorded together, so they are in one part.
PARTS = 4


def softened(
    recipe: ConversationRecipe, corpus: FeaturedCorpus, seed: int, fabric: Fabric, report: Report
) -> FeaturedCorpus:
    """A corpus whose training dialogues have soft labels: `distillation` of what networks say that
    were trained without them, the rest the label.

    These networks are GSCon without the consistency losses on the sentence encoder's vectors,
    otherwise as the recipe says, so that trainings which differ in nothing else learn the same.
    Their answers are kept in the user's cache.

    Args:
        recipe: `resolved`.
        corpus: its features, which these networks need not read.
        seed: of the training; as for text encoders, those of these networks are 1 to `text_seeds`.
        fabric: the devices.
        report: told (done, in all, what).

    Raises:
        InputError: there is a single training dialogue.
    """
    answers = _left_out(recipe, text_seed(recipe, seed), fabric, report)
    width = len(corpus.labels)
    mixed = [
        replace(dialogue, soft=_mix(one_hot(dialogue.labels, width), said, recipe.distillation))
        for dialogue, said in zip(corpus.splits["train"], answers, strict=True)
    ]
    return replace(corpus, splits={**corpus.splits, "train": tuple(mixed)})


def _mix(labels: Tensor, said: Tensor, share: float) -> Tensor:
    """Labels as probabilities [N, C], and as much as `share` of what others say in their place;
    where there is no label, nothing."""
    return torch.lerp(labels, said, share) * labels.any(1, keepdim=True)


def _left_out(
    recipe: ConversationRecipe, seed: int, fabric: Fabric, report: Report
) -> list[Tensor]:
    """The probabilities [N, C] that networks give for each training dialogue which were trained
    without it."""
    teacher = _network(recipe)
    with fabric.rank_zero_first():
        read = material(teacher, seed, report)
    count = len(read.splits["train"])
    if count < 2:
        raise InputError(
            f"corpus {read.name}: soft labels are told by networks that learned the other training "
            "dialogues, and there are none; give distillation=0"
        )
    parts = torch.arange(count).tensor_split(min(PARTS, count))
    key, kept = _key(teacher, read, seed), cache.folder("soft-labels")
    answers: list[Tensor] = []
    for number, part in enumerate(parts):
        report(number, len(parts), f"soft labels, seed {seed}, part {number + 1} of {len(parts)}")
        path = kept / f"{read.name}-{seed}-{number}-{key}.safetensors"
        answers += _answered(teacher, read, part.tolist(), seed, fabric, path)
    return answers


def _network(recipe: ConversationRecipe) -> ConversationRecipe:
    """The recipe of the networks that answer."""
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


def _answered(
    teacher: ConversationRecipe,
    corpus: FeaturedCorpus,
    part: Sequence[int],
    seed: int,
    fabric: Fabric,
    path: Path,
) -> list[Tensor]:
    """The probabilities [N, C] of each training dialogue of a part, by a network that was trained
    on the others; from the cache where they are there."""
    every = corpus.splits["train"]
    asked = [every[place] for place in part]
    with ExitStack() as stack:
        # Of several trainings that need the same answers, the first makes them.
        if fabric.is_global_zero:
            stack.enter_context(FileLock(path.with_suffix(".lock")))
        if not fabric.broadcast(path.is_file()):
            rest = tuple(other for place, other in enumerate(every) if place not in {*part})
            split = {**corpus.splits, "train": rest}
            task = ConversationTask(teacher, replace(corpus, splits=split), seed, fabric)
            state = train(task, plan(teacher, seed), fabric)
            task.learner.load_state_dict(state.best)
            if fabric.is_global_zero:
                logits = map(torch.from_numpy, predict(task.network, asked).final)
                answers = {str(place): rows.softmax(-1) for place, rows in enumerate(logits)}
                with replacing(path) as unfinished:
                    save_file(answers, unfinished)
    fabric.barrier()
    with cache.reading(path):
        answers = load_file(path)
    return [answers[str(place)] for place in range(len(asked))]


def _key(teacher: ConversationRecipe, corpus: FeaturedCorpus, seed: int) -> str:
    """What the answers depend on."""
    digest = hashlib.sha256(f"{_VERSION} {seed}\n".encode() + msgspec.json.encode(teacher))
    for split in ("train", "validation"):
        for dialogue in corpus.splits[split]:
            features = dialogue.features.values()
            for tensor in (*features, dialogue.present, dialogue.speakers, dialogue.labels):
                digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:12]
