"""A text encoder taught by another one: the teacher's answers, mixed into the training labels.

The teacher's probabilities tell which emotions are similar in a sentence (Hinton et al. 2015,
Distilling the Knowledge in a Neural Network). The teacher reads the words as they are written, also
where its student reads simulated recognition.
"""

import dataclasses
from collections.abc import Mapping

import msgspec
import torch
from torch import Tensor, nn

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.context_encoder import ContextEncoder
from gscon_live.train.data import targets
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.text_data import TextCorpus, TokenDialogue, corpora, kept
from gscon_live.train.encoders.text.training import Reader
from gscon_live.train.progress import Report


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A trained encoder, its recipe, and its heads on words alone by corpus."""

    recipe: TextRecipe
    model: ContextEncoder
    heads: Mapping[str, nn.Module]


def answers(teacher: Teacher, recipe: TextRecipe, report: Report) -> dict[str, list[Tensor]]:
    """The teacher's probabilities [U, classes] for the training dialogues of a student, by corpus,
    read on a GPU where there is one, in the precision of the teacher's recipe. No fold is left out;
    `taught` takes those of the student's.

    Args:
        teacher: the teacher, with a head for each of the student's corpora.
        recipe: the recipe of the student.
        report: takes (done, total, what).

    Raises:
        InputError: the teacher has no head on words alone for one of the corpora.
    """
    for name in recipe.corpora:
        if name not in teacher.heads:
            raise InputError(
                f"recipe {teacher.recipe.name!r}: no head that answers for {name} from words "
                f"alone; give a teacher with prosody: false, and {name} among its corpora"
            )
    # The same dialogues, in the teacher's tokens.
    reading = msgspec.structs.replace(
        teacher.recipe,
        corpora=recipe.corpora,
        apart=recipe.apart,
        left_out=0,
        mishearing=None,
        prosody=False,
    )
    return {
        name: _probabilities(teacher, name, corpus, report)
        for name, corpus in corpora(reading).items()
    }


def _probabilities(teacher: Teacher, name: str, corpus: TextCorpus, report: Report) -> list[Tensor]:
    reader, head = Reader(teacher.model, teacher.recipe), teacher.heads[name]
    probabilities: list[Tensor] = []
    for place, dialogue in enumerate(corpus.train):
        report(place, len(corpus.train), f"answers of {teacher.recipe.name} on {name}")
        with torch.no_grad():
            words = reader.vectors(dialogue.ids, dialogue.speakers)
            probabilities.append(head(words).softmax(-1))
    return probabilities


def taught(
    recipe: TextRecipe, own: Mapping[str, TextCorpus], taught_by: Mapping[str, list[Tensor]]
) -> dict[str, TextCorpus]:
    """The corpora with soft targets on their training dialogues: the share `distillation` of each
    comes from the teacher's probabilities, the rest from the label. Validation keeps its labels.

    Args:
        recipe: the recipe of the student.
        own: the student's corpora by name.
        taught_by: the teacher's `answers`.
    """
    return {
        name: _soft(
            corpus,
            [taught_by[name][place] for place in kept(recipe, name, len(taught_by[name]))],
            recipe.distillation,
        )
        for name, corpus in own.items()
    }


def _soft(corpus: TextCorpus, probabilities: list[Tensor], share: float) -> TextCorpus:
    """The corpus with targets [U, classes] mixed with the share of probabilities."""
    soft_targets = [
        targets.mixed(dialogue.targets, answer, share)
        for dialogue, answer in zip(corpus.train, probabilities, strict=True)
    ]

    def with_targets(version: list[TokenDialogue]) -> list[TokenDialogue]:
        return [
            dataclasses.replace(dialogue, targets=soft)
            for dialogue, soft in zip(version, soft_targets, strict=True)
        ]

    return dataclasses.replace(
        corpus,
        train=with_targets(corpus.train),
        recognised=[*map(with_targets, corpus.recognised)],
    )
