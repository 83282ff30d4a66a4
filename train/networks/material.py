"""The features that networks are trained on."""

import dataclasses
from pathlib import Path

from gscon_live.common.errors import InputError
from gscon_live.model.networks.network import network_class
from gscon_live.train.corpora import feature_pickles, sessions
from gscon_live.train.corpora.dataset import FeaturedCorpus, restricted
from gscon_live.train.encoders.text import corpus_features
from gscon_live.train.networks.recipe import ConversationRecipe, text_seed
from gscon_live.train.progress import Report


def material(recipe: ConversationRecipe, seed: int, report: Report) -> FeaturedCorpus:
    """The features for the training of a seed.

    Raises:
        InputError: the corpus is missing, or `check` refuses it.
    """
    if recipe.features is not None:
        corpus = feature_pickles.load(Path(recipe.features), recipe.corpus)
    else:
        encoder_seed = text_seed(recipe, seed)
        if network_class(recipe.model).READS_EXPERTS:
            corpus = corpus_features.own_answers(recipe.corpus, recipe.text, encoder_seed, report)
        elif recipe.text == "frozen":
            corpus = corpus_features.featured(recipe.corpus, recipe.general, 1, report)
        elif recipe.direct == "own":
            corpus = corpus_features.own_answers(
                recipe.corpus, recipe.text, encoder_seed, report, voiceless=True
            )
        else:
            corpus = corpus_features.featured(recipe.corpus, recipe.text, encoder_seed, report)
        if recipe.direct:
            general = corpus_features.featured(recipe.corpus, recipe.general, 1, report)
            corpus = corpus_features.beside(general, corpus)
    if recipe.modalities is not None:
        corpus = restricted(corpus, recipe.modalities)
    if recipe.left_out_session:
        train, validation = sessions.apart(
            recipe.left_out_session,
            text_seed(recipe, seed),
            corpus.splits["train"],
            corpus.splits["validation"],
        )
        splits = {**corpus.splits, "train": train, "validation": validation}
        corpus = dataclasses.replace(corpus, splits=splits)
    check(corpus)
    return corpus


def check(corpus: FeaturedCorpus) -> None:
    """Raises `InputError` for a corpus that cannot be trained on: an empty split, a dialogue
    without labels, unknown labels, or features that are not finite."""
    for split in ("train", "validation", "test"):
        dialogues = corpus.splits.get(split, ())
        if not dialogues:
            raise InputError(
                f"corpus {corpus.name}: its split {split!r} is empty; give a corpus with dialogues "
                "for it, and left_out_session=0 where their names do not begin with Ses01 to Ses04"
            )
        for dialogue in dialogues:
            where = f"corpus {corpus.name}, {split}, dialogue {dialogue.name!r}"
            if not (dialogue.labels >= 0).any():
                raise InputError(f"{where}: no utterance has a label; leave it out")
            if int(dialogue.labels.max()) >= len(corpus.labels):
                raise InputError(
                    f"{where}: label {int(dialogue.labels.max())}, of {len(corpus.labels)}; give "
                    "labels that count from 0"
                )
            for place, m in enumerate(corpus.modalities):
                wrong = ~dialogue.features[m].isfinite().all(1) & dialogue.present[:, place]
                if wrong.any():
                    raise InputError(
                        f"{where}, utterance {int(wrong.nonzero()[0])}: its {m} features are not "
                        "finite; mend them, or mark them as missing"
                    )
