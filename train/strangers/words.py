"""Words: plain sentences and conversations that no training has, and MELD's test, also as a
recogniser writes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import yaml
from numpy.typing import NDArray

from gscon_live.model.checkpoint import Checkpoint
from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.encoders.text.text_encoder import TextEncoder
from gscon_live.model.features import UtteranceFeatures
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.recogniser import EmotionRecogniser
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table
from gscon_live.train.corpora.schema import Table
from gscon_live.train.data.asr_noise import SimulatedAsr, plain
from gscon_live.train.data.feature_banks import cached
from gscon_live.train.progress import Report
from gscon_live.train.scoring.stranger_scores import StrangerScores, at_prior, stranger_scores
from gscon_live.train.strangers.answers import answers

#: Sentences by the emotion that their words show; `facts` are neutral. No training may use them.
SENTENCES = Path(__file__).with_name("sentences.yaml")
#: Probabilities of a wrong word.
WRONG = (0.12, 0.3)

#: Version of the cached features.
_VERSION = 1

Texts = Sequence[Sequence[str]]

#: The emotion of each label of IEMOCAP.
_IEMOCAP = {
    "happy": "joy",
    "excited": "joy",
    "sad": "sadness",
    "neutral": "neutral",
    "angry": "anger",
    "frustrated": "anger",
}


@dataclass(frozen=True)
class WordSet:
    """Conversations by turn: texts, numbers of the speakers, and the labels of all utterances in
    order. `own_emotions`: only the emotions among the labels can be the answer."""

    texts: Texts
    speakers: list[list[int]]
    labels: NDArray[np.int64]
    own_emotions: bool = False


def sentences() -> dict[str, list[str]]:
    """The plain sentences: seven emotions, and `facts`."""
    read: dict[str, list[str]] = yaml.safe_load(SENTENCES.read_text(encoding="utf-8"))
    return read


def ending(mark: str) -> Callable[[str], str]:
    """A change of texts: the mark at the end in place of others."""
    return lambda text: (text.rstrip(" .!?…") or text) + mark


#: Changes that a recogniser may make by chance: none may change an answer.
MARKS: Mapping[str, Callable[[str], str]] = {
    "without marks and case": plain,
    "with a full stop": ending("."),
    "with an exclamation mark": ending("!"),
}


class Words:
    """Text features of conversations, and the answers to them.

    Args:
        checkpoint: the live model.
        report: takes (done, total, what).
    """

    def __init__(self, checkpoint: Checkpoint, report: Report) -> None:
        self.encoder = TextEncoder()
        self._recogniser = EmotionRecogniser(checkpoint)
        self._experts = checkpoint.card.architecture.experts
        self._report = report

    def vectors(self, texts: Texts, speakers: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """The text features of all utterances, in order, [n, dim]; computed or from the user's
        cache. The sentence's vector is zero where the model reads the encoders' predictions alone.
        """

        def make() -> dict[str, NDArray[np.generic]]:
            rows = []
            for number, (lines, numbers) in enumerate(zip(texts, speakers, strict=True)):
                heads = self.encoder.log_probabilities(lines, numbers)
                sentences = np.zeros((len(lines), self.encoder.sentence.dim), np.float32)
                if not self._experts:
                    encode = self.encoder.sentence.encode
                    sentences = np.stack([encode(line) for line in lines])
                rows.append(np.concatenate([sentences, heads], 1))
                self._report(number + 1, len(texts), "words")
            return {"vectors": np.concatenate(rows)}

        kind = "predictions" if self._experts else "vectors"
        key = f"{_VERSION} {kind}\n{self.encoder.identity}\n{texts}\n{speakers}"
        return np.asarray(cached("strangers", key, make)["vectors"], np.float32)

    def answers(
        self, vectors: NDArray[np.float32], speakers: Sequence[Sequence[int]]
    ) -> NDArray[np.float64]:
        """The live model's answers to words alone, [n, 7]."""
        conversations, first = [], 0
        for numbers in speakers:
            rows = vectors[first : first + len(numbers)]
            first += len(numbers)
            conversations.append(
                [
                    (UtteranceFeatures(text=row), f"S{number}")
                    for row, number in zip(rows, numbers, strict=True)
                ]
            )
        return answers(self._recogniser, conversations)


def head(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The text encoder's own probabilities in text features [n, dim]."""
    return np.exp(vectors[:, -len(EMOTIONS) :].astype(np.float64))


def word_strangers(
    checkpoint: Checkpoint, report: Report
) -> tuple[dict[str, dict[str, StrangerScores]], dict[str, float]]:
    """Scores of the text head and of the answers to words alone, and figures: the shares of answers
    that marks and case change in captions, and of answers that are the head's. Raises `InputError`
    where MELD is missing.

    Recognised words are read without marks and case (`realtime.listen.transcriber`), so these
    change nothing there.
    """
    words = Words(checkpoint, report)
    sections, figures = {}, dict[str, float]()
    model_prior = np.asarray(checkpoint.card.prior, np.float64)
    for name, spoken in _sets().items():
        rows = {}
        written = None
        for change, changed in _changes(spoken.texts).items():
            vectors = words.vectors(changed, spoken.speakers)
            heads, answered = head(vectors), words.answers(vectors, spoken.speakers)
            flat = at_prior(answered, model_prior, np.full(len(EMOTIONS), 1 / len(EMOTIONS)))
            for row, predictions in (
                (f"head, {change}", heads),
                (f"answer, {change}", answered),
                (f"answer, {change}, at a flat prior", flat),
            ):
                rows[row] = stranger_scores(predictions, spoken.labels, spoken.own_emotions)
            if written is None:
                written = answered
                same = answered.argmax(1) == heads.argmax(1)
                figures[f"{name}: answer is the head's"] = float(same.mean())
            elif change in MARKS:
                moved = answered.argmax(1) != written.argmax(1)
                figures[f"{name}, captions: answers changed {change}"] = float(moved.mean())
        sections[f"words: {name}"] = rows
    return sections, figures


def _sets() -> dict[str, WordSet]:
    """The sets of dialogues by name."""
    by_kind = sentences()
    plain_ones = {kind: texts for kind, texts in by_kind.items() if kind in EMOTIONS}
    labels = [EMOTIONS.index(kind) for kind, texts in plain_ones.items() for _ in texts]
    texts = [[text] for texts in plain_ones.values() for text in texts]
    facts = [[text] for text in by_kind["facts"]]
    neutral = np.full(len(facts), EMOTIONS.index("neutral"))
    return {
        "plain sentences": WordSet(texts, [[0]] * len(texts), np.array(labels)),
        "facts": WordSet(facts, [[0]] * len(facts), neutral),
        "MELD test": _conversations(load_table("meld")),
        "IEMOCAP": _conversations(load_table("iemocap"), _IEMOCAP),
    }


def _conversations(table: Table, emotions: Mapping[str, str] | None = None) -> WordSet:
    """The test dialogues of a table, whose labels mean these emotions; None: they are ours."""
    dialogues = table.utterances("test")
    meaning = [EMOTIONS.index(emotions[label] if emotions else label) for label in table.labels]
    return WordSet(
        [[turn.text for turn in turns] for turns in dialogues],
        [speakers_by_appearance([turn.speaker for turn in turns]) for turns in dialogues],
        np.array([meaning[turn.label] for turns in dialogues for turn in turns]),
        own_emotions=emotions is not None,
    )


def _changes(texts: Texts) -> dict[str, Texts]:
    """The texts as they are written, and as a recogniser might write them."""
    changes: dict[str, Texts] = {"as written": texts}
    for name, change in MARKS.items():
        changes[name] = [[change(text) for text in lines] for lines in texts]
    vocabulary = (turn.text for turns in load_table("meld").utterances("train") for turn in turns)
    recogniser = SimulatedAsr(vocabulary)
    for rate in WRONG:
        draw = Random(f"strangers {rate}")
        changes[f"{rate:.0%} of words wrong"] = [
            [recogniser.recognise(text, rate, draw) for text in lines] for lines in texts
        ]
    return changes
