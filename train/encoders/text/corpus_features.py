"""Features of the conversation corpora: text by an encoder, audio by the tables' prosody."""

import hashlib
from dataclasses import replace
from itertools import islice

import torch
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gscon_live.common.files import replacing
from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.encoders.text.context_encoder import digest, tokeniser
from gscon_live.model.encoders.text.sentence_encoder import SentenceEncoder, identity
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table
from gscon_live.train.corpora.schema import Dialogue, Table, Utterance
from gscon_live.train.data import cache
from gscon_live.train.data.feature_banks import text_vectors
from gscon_live.train.encoders.text import text_cache, training
from gscon_live.train.encoders.text.recipe import TextRecipe, directory
from gscon_live.train.encoders.text.text_data import sounds, standardised_sounds, utterance_texts
from gscon_live.train.progress import Report

#: The tables' prosody, each value beside its difference from the speaker's mean so far.
_PROSODY = "table-prosody/1+speaker-relative"


def featured(corpus: str, words: str, seed: int, report: Report) -> FeaturedCorpus:
    """The features of a table's conversations.

    Args:
        corpus: a name of `train.corpora.iemocap_meld_emorynlp`.
        words: `frozen` for the sentence encoder as it is, or the recipe of a text encoder (a name
            or a path), which is trained first where it is not in the cache.
        seed: the seed of the text encoder; the encoder that it starts from always has seed 1.

    Raises:
        InputError: the corpus or the recipe is missing or wrong.
    """
    table = load_table(corpus)
    if words == "frozen":
        frozen = identity()
        texts = [utterance.text for utterance in _utterances(table)]
        vectors = text_vectors(frozen, SentenceEncoder, texts, report)
        return _corpus(table, frozen, torch.from_numpy(vectors))
    return _corpus(table, *_in_context(table, text_cache.recipe(words), seed, report))


def own_answers(
    corpus: str, words: str, seed: int, report: Report, voiceless: bool = False
) -> FeaturedCorpus:
    """A table's conversations with a text encoder's own answers as text features: the
    log-probabilities of its head for this corpus, float32 [U, classes]. The head reads prosody
    beside the words where the encoder's recipe says so. With `voiceless`, there are those without
    prosody behind them, [U, 2 classes]. Other arguments, and errors, as in `featured`."""
    table, recipe = load_table(corpus), text_cache.recipe(words)
    identity, vectors = _in_context(table, recipe, seed, report)
    voiced_head = text_cache.voiced_head(recipe, seed, corpus, report)
    if voiced_head is None:
        _, head = text_cache.with_head(recipe, seed, corpus, report)
        answers = [head(vectors)] * 2
    else:
        sound = torch.cat(standardised_sounds(recipe, corpus, seed))
        answers = [voiced_head(vectors, sound), voiced_head(vectors, torch.zeros_like(sound))]
    given = [answer.log_softmax(-1) for answer in answers[: 2 if voiceless else 1]]
    return _corpus(table, f"{identity}|own head", torch.cat(given, -1))


def beside(sentences: FeaturedCorpus, contexts: FeaturedCorpus) -> FeaturedCorpus:
    """The corpus with the text features of both, concatenated; a direct head reads those of
    `contexts`."""
    identity = f"{sentences.encoders['text']}|{contexts.encoders['text']}"
    splits = {
        split: tuple(
            dialogue.with_text(
                torch.cat([dialogue.features["text"], in_context.features["text"]], -1)
            )
            for dialogue, in_context in zip(rows, contexts.splits[split], strict=True)
        )
        for split, rows in sentences.splits.items()
    }
    encoders = {**sentences.encoders, "text": identity}
    return replace(sentences, encoders=encoders, splits=splits, direct=contexts.dims["text"])


def _in_context(table: Table, recipe: TextRecipe, seed: int, report: Report) -> tuple[str, Tensor]:
    """The identity of a recipe's encoder, and its vectors of all utterances; computed where they
    are not in the cache."""
    # The encoder reads words and speakers, so both are in the key.
    turns = "\n".join(f"{turn.speaker}\t{turn.text}" for turn in _utterances(table))
    end = hashlib.sha256(f"{text_cache.key(recipe, seed)}\n{turns}".encode()).hexdigest()[:20]
    path = text_cache.folder() / f"words-{table.name}-{recipe.name}-{seed}-{end}.safetensors"
    # Of several processes that need the same features, the first computes them, the others wait.
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            model = text_cache.encoder(recipe, seed, report)
            tokenise = tokeniser(recipe.context, directory(recipe), recipe.normalise)
            name, reader = f"{recipe.name}:{digest(model)}", training.Reader(model, recipe)
            full = reader.precision == "32-true"
            metadata = {"identity": name if full else f"{name}|{reader.precision}"}
            splits = {}
            for split, dialogues in table.splits.items():
                rows = []
                for place, dialogue in enumerate(dialogues):
                    ids = tokenise(utterance_texts(dialogue, recipe.speaker_names))
                    rows.append(reader.vectors(ids, _speakers(dialogue)))
                    report(place + 1, len(dialogues), f"words of {table.name}, {split}")
                splits[split] = torch.cat(rows)
            with replacing(path, alone=False) as unfinished:
                save_file(splits, unfinished, metadata=metadata)
    with cache.reading(path), safe_open(path, "pt") as stored:
        vectors = torch.cat([stored.get_tensor(split) for split in table.splits])
        return stored.metadata()["identity"], vectors


def _corpus(table: Table, identity: str, vectors: Tensor) -> FeaturedCorpus:
    """A table with the vectors of all utterances, see `_utterances`."""
    has_prosody = any(utterance.prosody is not None for utterance in _utterances(table))
    dialogues = [dialogue for rows in table.splits.values() for dialogue in rows]
    parts = iter(torch.split(vectors, [len(dialogue.utterances) for dialogue in dialogues]))
    return FeaturedCorpus(
        name=table.name,
        labels=table.labels,
        encoders={"text": identity} | ({"audio": _PROSODY} if has_prosody else {}),
        splits={
            name: tuple(
                _featured(dialogue, words, has_prosody)
                for dialogue, words in zip(rows, islice(parts, len(rows)), strict=True)
            )
            for name, rows in table.splits.items()
        },
    )


def _featured(dialogue: Dialogue, words: Tensor, has_prosody: bool) -> FeaturedDialogue:
    features, presence = {"text": words}, [torch.ones(len(words), dtype=torch.bool)]
    if has_prosody:
        features["audio"] = sounds(dialogue)
        presence.append(torch.tensor([turn.prosody is not None for turn in dialogue.utterances]))
    return FeaturedDialogue(
        name=dialogue.name,
        features=features,
        present=torch.stack(presence, -1),
        speakers=torch.tensor(_speakers(dialogue)),
        labels=torch.tensor([turn.label for turn in dialogue.utterances]),
    )


def _speakers(dialogue: Dialogue) -> list[int]:
    return speakers_by_appearance([utterance.speaker for utterance in dialogue.utterances])


def _utterances(table: Table) -> list[Utterance]:
    dialogues = [dialogue for rows in table.splits.values() for dialogue in rows]
    return [utterance for dialogue in dialogues for utterance in dialogue.utterances]
