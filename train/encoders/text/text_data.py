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
from gscon_live.train.encoders.text.recipe import TextRecipe

#: The two corpora that transcribe the same show: neither is learned from where it tells a scene of
#: the other's validation or test.
_SAME_SHOW = {"meld": "emorynlp", "emorynlp": "meld"}


@dataclasses.dataclass(frozen=True)
class Spoken:
    """A dialogue as the encoder learns it: token ids and speaker of each utterance, the
    probability of each class, float32 [U, classes], all zero where there is no label; and how it
    sounded, float32 [U, sounds], standardised, zero where unknown."""

    ids: list[list[int]]
    speakers: list[int]
    targets: Tensor
    sound: Tensor


@dataclasses.dataclass(frozen=True)
class TextCorpus:
    """One corpus: what to learn from, and what to select on (empty where nothing is selected).
    `misheard` has what to learn from in each epoch, where it is not the same in all."""

    classes: int
    train: list[Spoken]
    validation: list[Spoken] = dataclasses.field(default_factory=list)
    misheard: list[list[Spoken]] = dataclasses.field(default_factory=list)

    def read_in(self, epoch: int) -> list[Spoken]:
        """What to learn from in an epoch, counted from 0."""
        return self.misheard[epoch] if self.misheard else self.train


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


def corpora(recipe: TextRecipe, seed: int = 1) -> dict[str, TextCorpus]:
    """What a recipe learns from, by name: training splits; selection is on validation splits. With
    `seed` are the errors of a recogniser drawn."""
    tokenise = tokeniser(recipe.context)
    read = {}
    for name in recipe.corpora:
        if name == "goemotions":
            classes, train, validation = len(EMOTIONS), _sentences(), list[Written]()
        else:
            table = erc.load(name)
            classes = len(table.labels)
            dialogues = disjoint(table.splits["train"], _held_out(recipe, name))
            train = [written(dialogue, table) for dialogue in dialogues]
            validation = [written(dialogue, table) for dialogue in table.splits["validation"]]
        if recipe.left_out:
            parts = partition(len(train), recipe.parts)
            kept = zip(train, parts, strict=True)
            train = [dialogue for dialogue, part in kept if part != recipe.left_out - 1]
        versions = [train, *_misheard(recipe, train, f"{seed} {name}")]
        if not recipe.prosody:
            versions, validation = [*map(_silent, versions)], _silent(validation)
        first, *others, last = [
            [dialogue.spoken(tokenise) for dialogue in version]
            for version in [*versions, validation]
        ]
        read[name] = _standardised(TextCorpus(classes, first, last, others))
    return read


def partition(count: int, parts: int) -> list[int]:
    """The part, from 0, of each of so many dialogues. Dialogues that follow each other in a corpus
    were often recorded together, so they are in one part."""
    chunks = torch.arange(count).tensor_split(parts)
    return [number for number, chunk in enumerate(chunks) for _ in chunk]


def _held_out(recipe: TextRecipe, name: str) -> list[Dialogue]:
    """The dialogues whose scenes are not learned from a corpus."""
    dialogues = []
    if len(recipe.corpora) > 1 and name in _SAME_SHOW:
        other = erc.load(_SAME_SHOW[name])
        dialogues += [*other.splits["validation"], *other.splits["test"]]
    for apart in recipe.apart:
        dialogues += [dialogue for split in erc.load(apart).splits.values() for dialogue in split]
    return dialogues


def _misheard(recipe: TextRecipe, train: list[Written], seed: str) -> list[list[Written]]:
    """The training dialogues as they are read in each epoch; nothing where nothing disturbs."""
    how = recipe.mishearing
    if how is None:
        return []
    recogniser = Recogniser(text for dialogue in train for text in dialogue.texts)
    versions = []
    for epoch in range(recipe.epochs):
        draw = random.Random(f"{seed} {epoch}")
        versions.append([_disturbed(dialogue, how, recogniser, draw) for dialogue in train])
    return versions


def _disturbed(
    dialogue: Written, how: Mishearing, recogniser: Recogniser, draw: random.Random
) -> Written:
    texts, speakers = disturbed(dialogue.texts, dialogue.speakers, how, recogniser, draw)
    return dataclasses.replace(dialogue, texts=texts, speakers=speakers)


def _silent(dialogues: list[Written]) -> list[Written]:
    return [dataclasses.replace(silent, sound=silent.sound[:, :0]) for silent in dialogues]


def _sentences() -> list[Written]:
    return [
        Written([sentence.text], [0], _several(sentence.labels), torch.zeros(1, 0))
        for sentence in goemotions.load()["train"]
    ]


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Targets of single labels int64 [n], all zero where one is -1; float32 [n, classes]."""
    return functional.one_hot(labels.clamp(min=0), classes) * (labels >= 0)[:, None].float()


def written(dialogue: Dialogue, table: Table) -> Written:
    """A dialogue of a table as it is written."""
    labels = torch.tensor([utterance.label for utterance in dialogue.utterances])
    return Written(
        [utterance.text for utterance in dialogue.utterances],
        speakers_by_appearance([utterance.speaker for utterance in dialogue.utterances]),
        one_hot(labels, len(table.labels)),
        sounds(dialogue),
    )


def _standardised(corpus: TextCorpus) -> TextCorpus:
    """The same with sounds of mean 0 and deviation 1 in training, none beyond 4 deviations; of no
    length where no utterance in training was measured."""
    sound = torch.cat([dialogue.sound for dialogue in corpus.train])
    if not sound.shape[1]:
        return corpus
    measured = sound[sound.any(1)]
    width = sound.shape[1] if len(measured) else 0
    known = measured if width else sound
    mean, deviation = known.mean(0), known.std(0, correction=0).clamp(min=1e-4)

    def scaled(dialogue: Spoken) -> Spoken:
        values = ((dialogue.sound - mean) / deviation).clamp(-4, 4)
        values = values * dialogue.sound.any(1)[:, None]
        return dataclasses.replace(dialogue, sound=values[:, :width])

    return TextCorpus(
        corpus.classes,
        [*map(scaled, corpus.train)],
        [*map(scaled, corpus.validation)],
        [[*map(scaled, version)] for version in corpus.misheard],
    )


def sounds(dialogue: Dialogue) -> Tensor:
    """The prosody of a dialogue's utterances, each value beside its difference from the speaker's
    mean so far, float32 [U, 16]; zero where it was not measured."""
    relative, rows = SpeakerRelative(), []
    for utterance in dialogue.utterances:
        if utterance.prosody is None:
            rows.append(np.zeros(2 * len(PROSODY), np.float32))
        else:
            rows.append(relative(np.asarray(utterance.prosody, np.float32), utterance.speaker))
    return torch.from_numpy(np.stack(rows))


def _several(labels: tuple[int, ...]) -> Tensor:
    """The target of a sentence with several labels: all of them alike."""
    return functional.one_hot(torch.tensor(labels), len(EMOTIONS)).float().mean(0)[None]
