"""From tables of conversations to features: words by an encoder, voices by their prosody."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from configs.files import replacing
from model.context_text import ContextTextModel, digest, tokeniser
from model.conversations import speakers_by_appearance
from model.text import TextEncoder
from train import encoders, text
from train.corpora import tables
from train.corpora.table import Dialogue, Table, Utterance
from train.featured import FeaturedCorpus, FeaturedDialogue
from train.features import Report, text_vectors
from train.lessons import sounds
from train.text import TextRecipe

#: The tables' prosody, each value beside its difference from the speaker's mean so far.
_PROSODY = "table-prosody/1+speaker-relative"


def featured(corpus: str, words: str, seed: int, report: Report) -> FeaturedCorpus:
    """The features of a table's conversations.

    Args:
        corpus: a name of `train.corpora.tables`.
        words: `frozen` for the sentence encoder as it is, or the recipe of a text encoder (a name
            or a path), which is trained first where it has not been.
        seed: that of the text encoder's training; the one that it starts from always has seed 1.

    Raises:
        InputError: the corpus or the recipe is not there or wrong.
    """
    table = tables.load(corpus)
    if words == "frozen":
        frozen = TextEncoder()
        every = text_vectors(frozen, [one.text for one in _utterances(table)], report)
        return _corpus(table, frozen.identity, torch.from_numpy(every))
    made = encoders.recipe(words)

    def encoder() -> ContextTextModel:
        return encoders.encoder(made, seed, report)

    path = _cached(table, f"{made.name}-{seed}", encoders.key(made, seed))
    return _corpus(table, *_in_context(table, made, path, encoder, report))


def featured_by(
    model: ContextTextModel, made: TextRecipe, corpus: str, report: Report
) -> FeaturedCorpus:
    """The features of a table's conversations by a text encoder at hand, begun from this recipe."""
    table = tables.load(corpus)
    path = _cached(table, made.name, digest(model))
    return _corpus(table, *_in_context(table, made, path, lambda: model, report))


def beside(sentences: FeaturedCorpus, contexts: FeaturedCorpus) -> FeaturedCorpus:
    """A corpus whose vectors of words are those of the first one, followed by the second one's."""
    identity = f"{sentences.encoders['text']}|{contexts.encoders['text']}"
    splits = {
        split: tuple(
            one.with_text(torch.cat([one.features["text"], other.features["text"]], -1))
            for one, other in zip(rows, contexts.splits[split], strict=True)
        )
        for split, rows in sentences.splits.items()
    }
    encoders = {**sentences.encoders, "text": identity}
    return replace(sentences, encoders=encoders, splits=splits)


def token_ids(corpus: str, made: TextRecipe) -> dict[str, list[list[list[int]]]]:
    """The token ids of every utterance, by split and dialogue, as `featured` orders them."""
    tokenise = tokeniser(made.context)
    return {
        split: [tokenise([one.text for one in dialogue.utterances]) for dialogue in dialogues]
        for split, dialogues in tables.load(corpus).splits.items()
    }


def _cached(table: Table, name: str, key: str) -> Path:
    """Where a table's vectors are kept, by all that they depend on."""
    said = "\n".join(f"{u.speaker}\t{u.text}" for u in _utterances(table))
    end = hashlib.sha256(f"{key}\n{said}".encode()).hexdigest()[:20]
    return encoders.cache() / f"words-{table.name}-{name}-{end}.safetensors"


def _in_context(
    table: Table,
    made: TextRecipe,
    path: Path,
    encoder: Callable[[], ContextTextModel],
    report: Report,
) -> tuple[str, Tensor]:
    """The encoder's identity, and its vectors of all utterances; from the cache where there."""
    # Of several trainings that need the same features, the first makes them and the others wait.
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            model, tokenise = encoder(), tokeniser(made.context)
            found = {}
            for split, dialogues in table.splits.items():
                rows = []
                for place, dialogue in enumerate(dialogues):
                    ids = tokenise([one.text for one in dialogue.utterances])
                    rows.append(text.vectors(model, ids, _speakers(dialogue)))
                    report(place + 1, len(dialogues), f"words of {table.name}, {split}")
                found[split] = torch.cat(rows)
            identity = {"identity": f"{made.name}:{digest(model)}"}
            with replacing(path, alone=False) as unfinished:
                save_file(found, unfinished, metadata=identity)
    with safe_open(path, "pt") as stored:
        every = torch.cat([stored.get_tensor(split) for split in table.splits])
        return stored.metadata()["identity"], every


def _corpus(table: Table, identity: str, every: Tensor) -> FeaturedCorpus:
    """A table with the vectors of all utterances, see `_utterances`."""
    heard = any(one.prosody is not None for one in _utterances(table))
    dialogues = [one for rows in table.splits.values() for one in rows]
    parts = iter(torch.split(every, [len(one.utterances) for one in dialogues]))
    return FeaturedCorpus(
        name=table.name,
        labels=table.labels,
        encoders={"text": identity} | ({"audio": _PROSODY} if heard else {}),
        splits={
            name: tuple(
                _featured(dialogue, vectors, heard)
                for dialogue, vectors in zip(rows, islice(parts, len(rows)), strict=True)
            )
            for name, rows in table.splits.items()
        },
    )


def _featured(dialogue: Dialogue, words: Tensor, heard: bool) -> FeaturedDialogue:
    features, there = {"text": words}, [torch.ones(len(words), dtype=torch.bool)]
    if heard:
        features["audio"] = sounds(dialogue)
        there.append(torch.tensor([one.prosody is not None for one in dialogue.utterances]))
    return FeaturedDialogue(
        name=dialogue.name,
        features=features,
        present=torch.stack(there, -1),
        speakers=torch.tensor(_speakers(dialogue)),
        labels=torch.tensor([one.label for one in dialogue.utterances]),
    )


def _speakers(dialogue: Dialogue) -> list[int]:
    return speakers_by_appearance([one.speaker for one in dialogue.utterances])


def _utterances(table: Table) -> list[Utterance]:
    return [one for rows in table.splits.values() for d in rows for one in d.utterances]
