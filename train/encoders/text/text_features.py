"""Features of the words of dialogues, as they are written and as a recogniser writes them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.encoders.text.text_encoder import ConversationTextEncoder, Learned
from gscon_live.train.corpora import meld
from gscon_live.train.data.asr_noise import Mishearing, Recogniser, disturbed
from gscon_live.train.data.feature_banks import VARIANTS, cached, text_vectors
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.text_data import partition
from gscon_live.train.progress import Report

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Said:
    """What is said in a dialogue: texts, and speakers by appearance."""

    texts: list[str]
    speakers: list[int]

    @classmethod
    def of(cls, turns: Sequence[meld.Turn]) -> "Said":
        """As it is written."""
        names = [turn.speaker for turn in turns]
        return cls([turn.text for turn in turns], speakers_by_appearance(names))


class Reader:
    """MELD's words by the text encoder of the model that ships.

    Args:
        recipe: that of the encoder. Of training dialogues, its likes speak that were trained
            without them, which are trained first where they are not in the cache.
        report: takes (done, in all, what).
    """

    def __init__(self, recipe: TextRecipe, report: Report) -> None:
        self._recipe, self._report = recipe, report
        self._unlearned: list[ConversationTextEncoder] = []
        self.encoder = ConversationTextEncoder()
        train = meld.load("train")
        self._recogniser = Recogniser(turn.text for turns in train for turn in turns)
        self._parts = partition(len(train), recipe.parts)

    def versions(self, dialogues: Sequence[list[meld.Turn]], split: str) -> Vectors:
        """The vectors of all utterances of a split's first dialogues in `VARIANTS` versions: as
        they are written, and disturbed; float32 [n, VARIANTS, dim]."""
        versions = [self._vectors([*map(Said.of, dialogues)], split, "as they are written")]
        how = self._recipe.mishearing or Mishearing()
        for version in range(1, VARIANTS):
            draw = Random(f"{split} {version}")
            heard = [
                Said(*disturbed(said.texts, said.speakers, how, self._recogniser, draw))
                for said in map(Said.of, dialogues)
            ]
            versions.append(self._vectors(heard, split, f"disturbed, version {version}"))
        return np.stack(versions, 1)

    def misheard(self, dialogues: Sequence[list[meld.Turn]], split: str, rate: float) -> Vectors:
        """The vectors [n, dim] where each word is wrong with the probability `rate`."""
        draw = Random(f"{split} at {rate}")
        heard = [
            dataclasses.replace(
                said, texts=[self._recogniser.mishear(text, rate, draw) for text in said.texts]
            )
            for said in map(Said.of, dialogues)
        ]
        return self._vectors(heard, split, f"{rate:.0%} of them wrong")

    def _vectors(self, dialogues: list[Said], split: str, what: str) -> Vectors:
        texts = [text for said in dialogues for text in said.texts]
        sentence = self.encoder.sentence
        sentences = text_vectors(sentence.identity, lambda: sentence, texts, self._report)
        speaking = self._speaking(split)
        turns = "\n".join(f"{said.speakers} {said.texts}" for said in dialogues)
        key = "\n".join([*(encoder.identity for encoder in speaking), str(split == "train"), turns])

        def make() -> dict[str, NDArray[np.generic]]:
            rows = []
            for place, said in enumerate(dialogues):
                speaker = speaking[self._parts[place]] if split == "train" else speaking[0]
                rows.append(speaker.says(said.texts, said.speakers))
                self._report(place + 1, len(dialogues), f"words of {split}, {what}")
            return {"said": np.concatenate(rows)}

        return np.concatenate([sentences, cached("words", key, make)["said"]], 1, dtype=np.float32)

    def _speaking(self, split: str) -> list[ConversationTextEncoder]:
        """The encoders that speak: for training dialogues, one for each part of them."""
        if split != "train":
            return [self.encoder]
        if not self._unlearned:
            for part in range(1, self._recipe.parts + 1):
                without = msgspec.structs.replace(self._recipe, left_out=part)
                learned = Learned(*text_cache.with_head(without, 1, "meld", self._report))
                self._unlearned.append(ConversationTextEncoder(learned=learned))
        return self._unlearned
