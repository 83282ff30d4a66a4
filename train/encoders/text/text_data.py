"""Training data of text encoders: dialogues and sentences as token ids and targets."""

import dataclasses
import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.encoders.text.context_encoder import Tokeniser, tokeniser
from gscon_live.model.encoders.voice.speaker_relative import SpeakerRelative
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import goemotions, sessions
from gscon_live.train.corpora.goemotions import Sentence
from gscon_live.train.corpora.iemocap_meld_emorynlp import TABLES, load_table
from gscon_live.train.corpora.overlap import SAME_SHOW, disjoint
from gscon_live.train.corpora.schema import PROSODY, Dialogue, Table
from gscon_live.train.corpora.written import WRITTEN, load_written
from gscon_live.train.data.asr_noise import AsrNoise, SimulatedAsr, with_asr_noise
from gscon_live.train.data.targets import one_hot
from gscon_live.train.encoders.text.recipe import TextRecipe, directory

#: Every corpus that a recipe may name.
CORPORA = ("goemotions", *TABLES, *WRITTEN)


@dataclasses.dataclass(frozen=True)
class TokenDialogue:
    """A dialogue as training data: token ids and speaker of each utterance; `targets` float32
    [U, classes], class probabilities, all zero where there is no label; `sound` float32
    [U, sounds], standardised prosody, zero where unknown."""

    ids: list[list[int]]
    speakers: list[int]
    targets: Tensor
    sound: Tensor


@dataclasses.dataclass(frozen=True)
class TextCorpus:
    """A corpus: training and validation dialogues (`validation` is empty without selection).
    `recognised` has the training dialogues of each epoch, where they differ. `seven`: its labels
    are the seven emotions."""

    classes: int
    train: list[TokenDialogue]
    validation: list[TokenDialogue] = dataclasses.field(default_factory=list)
    recognised: list[list[TokenDialogue]] = dataclasses.field(default_factory=list)
    seven: bool = False

    def read_in(self, epoch: int) -> list[TokenDialogue]:
        """The training dialogues of an epoch, from 0."""
        return self.recognised[epoch] if self.recognised else self.train


@dataclasses.dataclass(frozen=True)
class Transcript:
    """A dialogue or a single sentence before tokenisation; see `TokenDialogue`."""

    texts: list[str]
    speakers: list[int]
    targets: Tensor
    sound: Tensor

    def tokenised(self, tokenise: Tokeniser) -> TokenDialogue:
        """The dialogue with token ids."""
        return TokenDialogue(tokenise(self.texts), self.speakers, self.targets, self.sound)


def corpora(recipe: TextRecipe, seed: int = 1) -> dict[str, TextCorpus]:
    """The corpora of a recipe, by name: training splits, and validation splits for selection.
    `seed` is that of the simulated recognition errors, and of the session that is left out."""
    tokenise = tokeniser(recipe.context, directory(recipe), recipe.normalise)
    text_corpora = {}
    for name in recipe.corpora:
        labels, train, validation = _transcripts(recipe, name, seed)
        versions = [train, *_recognised(recipe, train, f"{seed} {name}")]
        if not recipe.prosody:
            versions, validation = [*map(_silent, versions)], _silent(validation)
        first, *others, last = [
            [dialogue.tokenised(tokenise) for dialogue in version]
            for version in [*versions, validation]
        ]
        corpus = TextCorpus(len(labels), first, last, others, seven=labels == EMOTIONS)
        text_corpora[name] = _standardised(corpus)
    return text_corpora


def _transcripts(
    recipe: TextRecipe, name: str, seed: int
) -> tuple[tuple[str, ...], list[Transcript], list[Transcript]]:
    """The labels of a corpus, its training dialogues for a recipe and seed, and its validation
    dialogues."""
    if name == "goemotions":
        return EMOTIONS, _sentences(goemotions.load()["train"]), []
    table = load_written(name) if name in WRITTEN else load_table(name)
    dialogues, held_out = table.splits["train"], table.splits["validation"]
    if name == "iemocap":
        dialogues, held_out = sessions.apart(recipe.left_out_session, seed, dialogues, held_out)
    if name not in WRITTEN:
        dialogues = disjoint(dialogues, _held_out(recipe, name))
        dialogues = tuple(dialogues[place] for place in kept(recipe, name, len(dialogues)))
    train, validation = (
        [transcript(dialogue, table, recipe.speaker_names) for dialogue in split]
        for split in (dialogues, held_out)
    )
    return table.labels, train, validation


def kept(recipe: TextRecipe, corpus: str, count: int) -> list[int]:
    """Which of a corpus' `count` training dialogues a recipe reads: all but the fold left out."""
    left_out = recipe.left_out - 1 if corpus in TABLES else -1
    parts = partition(count, recipe.parts)
    return [place for place, part in enumerate(parts) if part != left_out]


def folds(recipe: TextRecipe, name: str) -> list[int]:
    """The fold, from 0, of each training dialogue of a table: an encoder of `recipe` with this fold
    left out was not trained on the dialogue. A dialogue that shares words with what is held out is
    in no training; it counts to fold 0."""
    dialogues = load_table(name).splits["train"]
    used = {id(dialogue) for dialogue in disjoint(dialogues, _held_out(recipe, name))}
    parts = iter(partition(len(used), recipe.parts))
    return [next(parts) if id(dialogue) in used else 0 for dialogue in dialogues]


def partition(count: int, parts: int) -> list[int]:
    """The fold, from 0, of each of `count` dialogues. Consecutive dialogues were often recorded
    together, so they share a fold."""
    chunks = torch.arange(count).tensor_split(parts)
    return [number for number, chunk in enumerate(chunks) for _ in chunk]


def _held_out(recipe: TextRecipe, name: str) -> list[Dialogue]:
    """The dialogues whose scenes are left out of a corpus' training split."""
    dialogues = []
    if len(recipe.corpora) > 1 and name in SAME_SHOW:
        same_show = load_table(SAME_SHOW[name])
        dialogues += [*same_show.splits["validation"], *same_show.splits["test"]]
    for apart in recipe.apart:
        dialogues += [dialogue for split in load_table(apart).splits.values() for dialogue in split]
    return dialogues


def _recognised(recipe: TextRecipe, train: list[Transcript], seed: str) -> list[list[Transcript]]:
    """The training dialogues of each epoch with simulated recognition; empty without it."""
    noise = recipe.mishearing
    if noise is None:
        return []
    recogniser = SimulatedAsr(text for dialogue in train for text in dialogue.texts)
    versions = []
    for epoch in range(recipe.epochs):
        draw = random.Random(f"{seed} {epoch}")
        versions.append([_disturbed(dialogue, noise, recogniser, draw) for dialogue in train])
    return versions


def _disturbed(
    dialogue: Transcript, noise: AsrNoise, recogniser: SimulatedAsr, draw: random.Random
) -> Transcript:
    texts, speakers = with_asr_noise(dialogue.texts, dialogue.speakers, noise, recogniser, draw)
    return dataclasses.replace(dialogue, texts=texts, speakers=speakers)


def _silent(dialogues: list[Transcript]) -> list[Transcript]:
    return [dataclasses.replace(dialogue, sound=dialogue.sound[:, :0]) for dialogue in dialogues]


def _sentences(sentences: Sequence[Sentence]) -> list[Transcript]:
    return [
        Transcript([sentence.text], [0], _multi_label(sentence.labels), torch.zeros(1, 0))
        for sentence in sentences
    ]


def transcript(dialogue: Dialogue, table: Table, speaker_names: bool = False) -> Transcript:
    """The transcript of a table's dialogue; `speaker_names` as in recipes."""
    labels = torch.tensor([utterance.label for utterance in dialogue.utterances])
    return Transcript(
        utterance_texts(dialogue, speaker_names),
        speakers_by_appearance([utterance.speaker for utterance in dialogue.utterances]),
        one_hot(labels, len(table.labels)),
        sounds(dialogue),
    )


def utterance_texts(dialogue: Dialogue, speaker_names: bool) -> list[str]:
    """The words of a dialogue's utterances; each begins with its speaker's name where
    `speaker_names` says so."""
    return [
        f"{utterance.speaker}: {utterance.text}" if speaker_names else utterance.text
        for utterance in dialogue.utterances
    ]


def standardised_sounds(recipe: TextRecipe, name: str, seed: int) -> list[Tensor]:
    """The prosody of all dialogues of a table, in the order of its splits, as an encoder of this
    recipe and seed reads it; see `TokenDialogue.sound`."""
    _, train, _ = _transcripts(recipe, name, seed)
    scaled = _scaling(torch.cat([dialogue.sound for dialogue in train]))
    splits = load_table(name).splits.values()
    return [scaled(sounds(dialogue)) for dialogues in splits for dialogue in dialogues]


def _standardised(corpus: TextCorpus) -> TextCorpus:
    """The corpus with prosody standardised on its training split, see `_scaling`."""
    scaled = _scaling(torch.cat([dialogue.sound for dialogue in corpus.train]))

    def standardised(dialogues: list[TokenDialogue]) -> list[TokenDialogue]:
        return [
            dataclasses.replace(dialogue, sound=scaled(dialogue.sound)) for dialogue in dialogues
        ]

    return dataclasses.replace(
        corpus,
        train=standardised(corpus.train),
        validation=standardised(corpus.validation),
        recognised=[*map(standardised, corpus.recognised)],
    )


def _scaling(sound: Tensor) -> Callable[[Tensor], Tensor]:
    """A function that standardises prosody by that of all training utterances, [n, sounds], and
    clips it at 4 deviations. It gives rows of length 0 where no training utterance has prosody."""
    with_prosody = sound[sound.any(1)]
    if not len(with_prosody):
        return lambda values: values[:, :0]
    mean = with_prosody.mean(0)
    deviation = with_prosody.std(0, correction=0).clamp(min=1e-4)

    def scaled(values: Tensor) -> Tensor:
        return ((values - mean) / deviation).clamp(-4, 4) * values.any(1)[:, None]

    return scaled


def sounds(dialogue: Dialogue) -> Tensor:
    """The prosody of a dialogue's utterances, and its difference from the speaker's mean so far,
    float32 [U, 16]; zero where it was not measured."""
    relative, rows = SpeakerRelative(), []
    for utterance in dialogue.utterances:
        if utterance.prosody is None:
            rows.append(np.zeros(2 * len(PROSODY), np.float32))
        else:
            rows.append(relative(np.asarray(utterance.prosody, np.float32), utterance.speaker))
    return torch.from_numpy(np.stack(rows))


def _multi_label(labels: tuple[int, ...]) -> Tensor:
    """The target of a sentence with several labels: equal probabilities."""
    return functional.one_hot(torch.tensor(labels), len(EMOTIONS)).float().mean(0)[None]
