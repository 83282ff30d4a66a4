"""What text encoders learn from: dialogues and sentences, as token ids and targets."""

import dataclasses
import random

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.encoders.text.context_encoder import Tokenise, tokeniser
from gscon_live.model.encoders.voice.speaker_relative import SpeakerRelative
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import erc, goemotions
from gscon_live.train.corpora.overlap import disjoint
from gscon_live.train.corpora.schema import PROSODY, Dialogue, Table
from gscon_live.train.data.asr_noise import Mishearing, Recogniser, disturbed
from gscon_live.train.encoders.text.training import Lessons, Spoken, TextRecipe, one_hot

#: The two corpora that transcribe the same show: neither is learned from where it tells a scene of
#: the other's validation or test.
_SAME_SHOW = {"meld": "emorynlp", "emorynlp": "meld"}


@dataclasses.dataclass(frozen=True)
class Written:
    """A dialogue, or a sentence by itself, before its words are cut into tokens; see `Spoken`."""

    texts: list[str]
    speakers: list[int]
    targets: Tensor
    sound: Tensor

    def spoken(self, tokenise: Tokenise) -> Spoken:
        """As a text encoder reads and learns it."""
        return Spoken(tokenise(self.texts), self.speakers, self.targets, self.sound)


def lessons(made: TextRecipe, seed: int = 1) -> dict[str, Lessons]:
    """What a recipe learns from: training splits; selection is on validation splits. With `seed`
    are the errors of a recogniser drawn."""
    tokenise = tokeniser(made.context)
    found = {}
    for name in made.corpora:
        if name == "goemotions":
            classes, train, validation = len(EMOTIONS), _sentences(), list[Written]()
        else:
            table = erc.load(name)
            classes = len(table.labels)
            dialogues = disjoint(table.splits["train"], _held_out(made, name))
            train = [written(one, table) for one in dialogues]
            validation = [written(one, table) for one in table.splits["validation"]]
        if made.left_out:
            parts = partition(len(train), made.parts)
            train = [one for place, one in enumerate(train) if parts[place] != made.left_out - 1]
        versions = [train, *_misheard(made, train, f"{seed} {name}")]
        if not made.prosody:
            versions, validation = [*map(_silent, versions)], _silent(validation)
        read = [[one.spoken(tokenise) for one in version] for version in [*versions, validation]]
        found[name] = _standardised(Lessons(classes, read[0], read[-1], read[1:-1]))
    return found


def partition(count: int, parts: int) -> list[int]:
    """The part, from 0, of each of so many dialogues. Dialogues that follow each other in a corpus
    were often recorded together, so they are in one part."""
    chunks = torch.arange(count).tensor_split(parts)
    return [number for number, chunk in enumerate(chunks) for _ in chunk]


def _held_out(made: TextRecipe, name: str) -> list[Dialogue]:
    """The dialogues whose scenes are not learned from a corpus."""
    found = []
    if len(made.corpora) > 1 and name in _SAME_SHOW:
        other = erc.load(_SAME_SHOW[name])
        found += [*other.splits["validation"], *other.splits["test"]]
    for apart in made.apart:
        found += [one for split in erc.load(apart).splits.values() for one in split]
    return found


def _misheard(made: TextRecipe, train: list[Written], seed: str) -> list[list[Written]]:
    """The training dialogues as they are read in each epoch; nothing where nothing disturbs."""
    how = made.mishearing
    if how is None:
        return []
    recogniser = Recogniser(text for one in train for text in one.texts)
    versions = []
    for epoch in range(made.epochs):
        draw = random.Random(f"{seed} {epoch}")
        versions.append([_disturbed(one, how, recogniser, draw) for one in train])
    return versions


def _disturbed(
    one: Written, how: Mishearing, recogniser: Recogniser, draw: random.Random
) -> Written:
    texts, speakers = disturbed(one.texts, one.speakers, how, recogniser, draw)
    return dataclasses.replace(one, texts=texts, speakers=speakers)


def _silent(dialogues: list[Written]) -> list[Written]:
    return [dataclasses.replace(one, sound=one.sound[:, :0]) for one in dialogues]


def _sentences() -> list[Written]:
    return [
        Written([one.text], [0], _several(one.labels), torch.zeros(1, 0))
        for one in goemotions.load()["train"]
    ]


def written(one: Dialogue, table: Table) -> Written:
    """A dialogue of a table as it is written."""
    labels = torch.tensor([utterance.label for utterance in one.utterances])
    return Written(
        [utterance.text for utterance in one.utterances],
        speakers_by_appearance([utterance.speaker for utterance in one.utterances]),
        one_hot(labels, len(table.labels)),
        sounds(one),
    )


def _standardised(lessons: Lessons) -> Lessons:
    """The same with sounds of mean 0 and deviation 1 in training, none beyond 4 deviations; of no
    length where no utterance in training was measured."""
    every = torch.cat([one.sound for one in lessons.train])
    if not every.shape[1]:
        return lessons
    measured = every[every.any(1)]
    width = every.shape[1] if len(measured) else 0
    known = measured if width else every
    mean, deviation = known.mean(0), known.std(0, correction=0).clamp(min=1e-4)

    def scaled(one: Spoken) -> Spoken:
        sound = ((one.sound - mean) / deviation).clamp(-4, 4) * one.sound.any(1)[:, None]
        return dataclasses.replace(one, sound=sound[:, :width])

    return Lessons(
        lessons.classes,
        [*map(scaled, lessons.train)],
        [*map(scaled, lessons.validation)],
        [[*map(scaled, version)] for version in lessons.misheard],
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
