"""Text features of dialogues: of the transcripts, and of simulated recognition."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.common.errors import InputError
from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.encoders.text.text_encoder import TextEncoder, TrainedParts
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table
from gscon_live.train.corpora.schema import Utterance
from gscon_live.train.data.asr_noise import AsrNoise, SimulatedAsr, with_asr_noise
from gscon_live.train.data.feature_banks import VARIANTS, cached, text_vectors
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.text_data import folds
from gscon_live.train.progress import Report

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Words:
    """The words of a dialogue: texts, and speakers in order of appearance."""

    texts: list[str]
    speakers: list[int]

    @classmethod
    def of(cls, turns: Sequence[Utterance]) -> "Words":
        """The words of the transcript."""
        names = [turn.speaker for turn in turns]
        return cls([turn.text for turn in turns], speakers_by_appearance(names))


class MeldTextFeatures:
    """The text features of MELD by the text encoder that ships.

    Args:
        recipe: the recipe of the encoder. Training dialogues are read out-of-fold, by encoders of
            the same recipe trained without them; these are trained first where not in the cache.
        report: takes (done, total, what).

    Raises:
        InputError: the recipe's encoders read names of speakers, which no session knows; or what
            they learn from was trained on all folds.
    """

    def __init__(self, recipe: TextRecipe, report: Report) -> None:
        if recipe.speaker_names:
            raise InputError(
                f"recipe {recipe.name!r}: speaker_names, but a session knows no names; take a "
                "recipe without it"
            )
        # Else it is refused after the encoder that ships has read what is held out.
        text_cache.check(msgspec.structs.replace(recipe, left_out=1))
        self._recipe, self._report = recipe, report
        self._out_of_fold: list[TextEncoder] = []
        self.encoder = TextEncoder()
        train = load_table("meld").utterances("train")
        self._recogniser = SimulatedAsr(turn.text for turns in train for turn in turns)
        self._folds = folds(recipe, "meld")

    def versions(self, dialogues: Sequence[Sequence[Utterance]], split: str) -> Vectors:
        """The vectors of all utterances of a split's first dialogues in `VARIANTS` versions: of the
        transcripts, and of simulated recognition; float32 [n, VARIANTS, dim]."""
        versions = [self._vectors([*map(Words.of, dialogues)], split, "as they are written")]
        noise = self._recipe.mishearing or AsrNoise()
        for version in range(1, VARIANTS):
            draw = Random(f"{split} {version}")
            recognised = [
                Words(*with_asr_noise(words.texts, words.speakers, noise, self._recogniser, draw))
                for words in map(Words.of, dialogues)
            ]
            versions.append(self._vectors(recognised, split, f"disturbed, version {version}"))
        return np.stack(versions, 1)

    def recognised(
        self, dialogues: Sequence[Sequence[Utterance]], split: str, rate: float
    ) -> Vectors:
        """The vectors [n, dim] at the word error probability `rate`."""
        draw = Random(f"{split} at {rate}")
        recognised = [
            dataclasses.replace(
                words, texts=[self._recogniser.recognise(text, rate, draw) for text in words.texts]
            )
            for words in map(Words.of, dialogues)
        ]
        return self._vectors(recognised, split, f"{rate:.0%} of them wrong")

    def _vectors(self, dialogues: list[Words], split: str, version: str) -> Vectors:
        texts = [text for words in dialogues for text in words.texts]
        sentence = self.encoder.sentence
        sentences = text_vectors(sentence.identity, lambda: sentence, texts, self._report)
        encoders = self._encoders(split)
        turns = "\n".join(f"{words.speakers} {words.texts}" for words in dialogues)
        parts = self._folds if split == "train" else [0] * len(dialogues)
        key = "\n".join([*(encoder.identity for encoder in encoders), str(parts), turns])

        def make() -> dict[str, NDArray[np.generic]]:
            rows = []
            for place, words in enumerate(dialogues):
                encoder = encoders[parts[place]]
                rows.append(encoder.log_probabilities(words.texts, words.speakers))
                self._report(place + 1, len(dialogues), f"words of {split}, {version}")
            return {"said": np.concatenate(rows)}

        return np.concatenate([sentences, cached("words", key, make)["said"]], 1, dtype=np.float32)

    def _encoders(self, split: str) -> list[TextEncoder]:
        """The encoders of a split: for training dialogues, an out-of-fold one for each part.
        Raises `InputError` where these would read other words than the encoder that ships."""
        if split != "train":
            return [self.encoder]
        recipe = self._recipe
        if self.encoder.normalise != recipe.normalise:
            raise InputError(
                f"recipe {recipe.name!r}: normalise is {str(recipe.normalise).lower()}, but not so "
                "in the included text encoder; install one of this recipe with "
                f"`gscon-live fit {recipe.name} ship=true`"
            )
        if not self._out_of_fold:
            for part in range(1, self._recipe.parts + 1):
                without = msgspec.structs.replace(self._recipe, left_out=part)
                model, head = text_cache.with_head(without, 1, "meld", self._report)
                learned = TrainedParts(model, head, self._recipe.normalise)
                self._out_of_fold.append(TextEncoder(learned=learned))
        return self._out_of_fold
