"""Checkpoints of trainings on conversations: calibration, scores and card."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from gscon_live.model import checkpoint
from gscon_live.model.checkpoint import Card
from gscon_live.model.networks.network import Network
from gscon_live.train.corpora.dataset import FeaturedCorpus
from gscon_live.train.corpora.sessions import left_out
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.engine.trainer import State
from gscon_live.train.networks.recipe import ConversationRecipe, text_seed
from gscon_live.train.runs.provenance import provenance
from gscon_live.train.scoring.measure import calibrate, measure

_DATA = {
    "iemocap": "IEMOCAP: acted conversations of two in English, six emotions.",
    "meld": "MELD: conversations of the series Friends, seven emotions.",
    "emorynlp": "EmoryNLP: conversations of the series Friends, seven emotions of its own.",
}
_SPLIT = {
    "iemocap": "Test is Session 5, whose two speakers are in no other split; validation are 12 "
    "dialogues of Sessions 1 to 4, those of COSMIC, so that its speakers are seen in training.",
    "meld": "The corpus' own train, dev and test; dialogues are disjoint, speakers are not.",
    "emorynlp": "The corpus' own train, dev and test; scenes are disjoint, speakers are not.",
}
_NOTES = [
    "Turns, speakers and words are the corpus' own: scores say nothing of speech that must first "
    "be cut into turns and recognised.",
    "A set is named after the modalities that are there; the others are missing throughout.",
]


def save(
    network: Network,
    state: State,
    recipe: ConversationRecipe,
    corpus: FeaturedCorpus,
    seed: int,
    stem: Path,
) -> None:
    """Calibrates a trained network on validation, scores it, and writes weights and card.

    Args:
        network: the network, with the weights of the kept epoch.
        state: the last state of its training.
        recipe: the recipe of its training.
        corpus: the corpus of its training.
        seed: the seed of its training.
        stem: the path of the files without suffix.
    """
    calibration = calibrate(network, corpus.splits["validation"])
    measured = measure(network, corpus, ("as_trained",))
    scores: dict[str, Any] = {
        split: {
            subset: msgspec.to_builtins(measurement.scores)
            for subset, measurement in measured[split]["as_trained"].items()
        }
        for split in ("validation", "test")
    }
    best = state.history[state.best_epoch - 1]
    last = recipe.keep == "last"
    epoch_note = _last(state) if last else _best(state, best)
    card = Card(
        name=str(recipe.name),
        version=datetime.now(UTC).strftime("%Y.%m.%d"),
        emotions=list(corpus.labels),
        encoders=corpus.encoders,
        architecture=network.architecture,
        temperature=calibration.overall,
        by_presence=calibration.by_presence,
        shifts=calibration.shifts,
        prior=calibration.prior,
        temperatures=calibration.unimodal,
        data=f"{_DATA.get(corpus.name, f'The corpus {corpus.name}.')} {_features(recipe)}"
        f"{_labels(recipe)}",
        split=f"{_split(recipe, corpus.name, seed)} "
        f"{'Temperatures' if last else 'Epoch and temperatures'} are chosen on validation; test "
        "chooses nothing.",
        seeds=[seed],
        scores={**scores["test"], "validation": scores["validation"]},
        notes=[
            *_NOTES,
            f"{epoch_note}: weighted F1 {best['validation_weighted_f1']:.4f}.",
        ],
        recipe=msgspec.to_builtins(recipe),
        **provenance(),
    )
    checkpoint.save(stem, network, card)


def _split(recipe: ConversationRecipe, corpus: str, seed: int) -> str:
    """The sentence on what is test and validation."""
    session = left_out(recipe.left_out_session, text_seed(recipe, seed))
    if session:
        return (
            f"Test is Session 5, validation Session {session}, whose speakers are in no other "
            "split."
        )
    return _SPLIT.get(corpus, "As the corpus states it.")


def _last(state: State) -> str:
    return f"The last of {state.epoch} epochs was kept, whatever its score on validation"


def _best(state: State, epoch: Mapping[str, float]) -> str:
    """The sentence on the best epoch, with the criterion where it is not weighted F1 alone."""
    alone = any(name.startswith("validation_weighted_f1_") for name in epoch)
    by = ", by the mean of all modalities and of each alone" if alone else ""
    ran = f"Epoch {state.best_epoch} of the {state.epoch} that were run"
    return f"{ran} was the best on validation{by}"


def _labels(recipe: ConversationRecipe) -> str:
    """The sentence on soft labels; empty without."""
    if not recipe.distillation:
        return ""
    return (
        f" Of each training label, {recipe.distillation:.0%} is what networks say that were "
        "trained without its dialogue."
    )


def _features(recipe: ConversationRecipe) -> str:
    """The sentences on the origin of the features."""
    if recipe.features is not None:
        return f"The features are those of the file {Path(recipe.features).name}."
    text = "The words are the corpus' transcripts, prosody was measured on its recordings. "
    if recipe.text == "frozen":
        return f"{text}The words' encoder is {_general(recipe.general)}."
    text += f"The words' encoder is that of {_chain(recipe.text)}."
    if not recipe.direct:
        return text
    use = (
        "Half of each answer is its own"
        if recipe.direct == "own"
        else "Its vectors are the direct head's"
    )
    return f"{text} {use}; the network reads the vectors of {_general(recipe.general)}."


def _general(name: str) -> str:
    """The encoder that was not trained on the corpus."""
    if name == "frozen":
        return "a general sentence encoder, which reads utterance by utterance"
    return f"an encoder that knows other corpora, that of {_chain(name)}"


def _chain(name: str) -> str:
    """The recipe of an encoder, and those from which it starts."""
    recipes = [
        f"{recipe.name} (training splits of {', '.join(recipe.corpora)})"
        for recipe in text_cache.lineage(name)
    ]
    return f"the recipe {', begun from '.join(recipes)}"
