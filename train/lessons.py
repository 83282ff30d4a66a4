"""What text encoders learn from: dialogues and sentences, as token ids and targets."""

import dataclasses

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model.context_text import Tokenise, tokeniser
from model.conversations import speakers_by_appearance
from model.labels import EMOTIONS
from model.relative import SpeakerRelative
from train.corpora import goemotions, tables
from train.corpora.overlap import disjoint
from train.corpora.table import PROSODY, Dialogue, Table
from train.text import Lessons, Spoken, TextRecipe, one_hot

#: The two corpora that transcribe the same show: neither is learned from where it tells a scene of
#: the other's validation or test.
_SAME_SHOW = {"meld": "emorynlp", "emorynlp": "meld"}


def lessons(made: TextRecipe) -> dict[str, Lessons]:
    """What a recipe learns from: training splits; selection is on validation splits."""
    tokenise = tokeniser(made.context)
    found = {}
    for name in made.corpora:
        if name == "goemotions":
            sentences = goemotions.load()["train"]
            ids = tokenise([one.text for one in sentences])
            found[name] = Lessons(
                len(EMOTIONS),
                [
                    Spoken([row], [0], _several(one.labels), torch.zeros(1, 0))
                    for row, one in zip(ids, sentences, strict=True)
                ],
            )
            continue
        table = tables.load(name)
        train = table.splits["train"]
        if len(made.corpora) > 1 and name in _SAME_SHOW:
            other = tables.load(_SAME_SHOW[name])
            train = disjoint(train, [*other.splits["validation"], *other.splits["test"]])
        learned, selected = (
            [spoken(tokenise, one, table) for one in dialogues]
            for dialogues in (train, table.splits["validation"])
        )
        found[name] = _standardised(Lessons(len(table.labels), learned, selected))
    return found


def spoken(tokenise: Tokenise, one: Dialogue, table: Table) -> Spoken:
    """A dialogue as a text encoder reads and learns it."""
    labels = torch.tensor([utterance.label for utterance in one.utterances])
    return Spoken(
        tokenise([utterance.text for utterance in one.utterances]),
        speakers_by_appearance([utterance.speaker for utterance in one.utterances]),
        one_hot(labels, len(table.labels)),
        sounds(one),
    )


def _standardised(lessons: Lessons) -> Lessons:
    """The same with sounds of mean 0 and deviation 1 in training, none beyond 4 deviations; of no
    length where no utterance in training was measured."""
    every = torch.cat([one.sound for one in lessons.train])
    measured = every[every.any(1)]
    width = every.shape[1] if len(measured) else 0
    known = measured if width else every
    mean, deviation = known.mean(0), known.std(0, correction=0).clamp(min=1e-4)

    def scaled(one: Spoken) -> Spoken:
        sound = ((one.sound - mean) / deviation).clamp(-4, 4) * one.sound.any(1)[:, None]
        return dataclasses.replace(one, sound=sound[:, :width])

    return Lessons(
        lessons.classes, [*map(scaled, lessons.train)], [*map(scaled, lessons.validation)]
    )


def sounds(dialogue: Dialogue) -> Tensor:
    """The prosody of a dialogue's utterances, each value beside its difference from the speaker's
    mean so far, float32 [U, 16]; zero where it was not measured."""
    relative, rows = SpeakerRelative(), []
    for one in dialogue.utterances:
        if one.prosody is None:
            rows.append(np.zeros(2 * len(PROSODY), np.float32))
        else:
            rows.append(relative(np.asarray(one.prosody, np.float32), one.speaker))
    return torch.from_numpy(np.stack(rows))


def _several(labels: tuple[int, ...]) -> Tensor:
    """The target of a sentence with several labels: all of them alike."""
    return functional.one_hot(torch.tensor(labels), len(EMOTIONS)).float().mean(0)[None]
