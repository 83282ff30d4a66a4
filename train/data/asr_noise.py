"""Simulated speech recognition: words without punctuation, and with errors.

A word is substituted by one that sounds like it, deleted, or followed by an insertion. Real
recognisers make more errors on fast, soft or rare speech, and so on emotional speech. Scores on
simulated errors measure the cost of wrong words, not how often they occur.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from random import Random

import jellyfish
import msgspec

from gscon_live.model.encoders.text.normalisation import normalised
from gscon_live.train.bounds import UpTo1

#: Shares of substitutions and deletions among the errors; the rest are insertions.
REPLACED, LEFT_OUT = 0.65, 0.2
#: Ends of a sentence that those who write captions choose as they like.
ENDS = ("", ".", "!")


class AsrNoise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Simulated recognition of training dialogues.

    Dialogues with recognition errors have neither punctuation nor case.
    """

    #: Of the dialogues without recognition errors, the share without punctuation and case.
    plain: UpTo1 = 0.5
    #: Share of the dialogues with recognition errors.
    errors: UpTo1 = 0.5
    #: Their smallest word error probability.
    least: UpTo1 = 0.1
    #: Their largest word error probability.
    most: UpTo1 = 0.3
    #: Share of all dialogues in which the speakers are merged into one.
    merged: UpTo1 = 0.2
    #: In dialogues with punctuation, the probability that an utterance ends with a random mark, or
    #: none.
    marks: UpTo1 = 0.0


def plain(text: str) -> str:
    """A text in lower case without punctuation; unchanged where it has no words."""
    return normalised(text) or text


def marked(text: str, draw: Random) -> str:
    """A text with another end: no mark, a full stop or an exclamation mark. A question keeps its
    mark, which changes what is said."""
    stem = text.rstrip(" .!")
    if not stem or stem.endswith("?"):
        return text
    return stem + draw.choice(ENDS)


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return normalised(text).split()


class SimulatedAsr:
    """A simulated speech recogniser with the vocabulary of some texts.

    Args:
        texts: the texts of its vocabulary.
        vocabulary: number of the most frequent words that it knows.
        similar: number of most similar words among which a substitution is drawn.
    """

    def __init__(self, texts: Iterable[str], vocabulary: int = 5000, similar: int = 5) -> None:
        counts = Counter(word for text in texts for word in words(text))
        self._frequent = [word for word, _ in counts.most_common(vocabulary)]
        self._similar = similar
        self._sounds: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for word in self._frequent:
            sound = jellyfish.metaphone(word)
            self._sounds[sound[:1]].append((sound, word))
        self._known: dict[str, list[str]] = {}

    def recognise(self, text: str, rate: float, draw: Random) -> str:
        """A text without punctuation, each word wrong with the probability `rate`; at least one
        word remains. A text without words stays unchanged."""
        recognised: list[str] = []
        spoken = words(text)
        for word in spoken:
            if draw.random() >= rate:
                recognised.append(word)
                continue
            kind = draw.random()
            if kind < REPLACED:
                recognised.append(draw.choice(self.sounding_like(word)))
            elif kind >= REPLACED + LEFT_OUT:
                recognised += [word, draw.choice(self._frequent[:200])]
        return " ".join(recognised or spoken[:1]) or text

    def sounding_like(self, word: str) -> list[str]:
        """The candidates to substitute a word, by Metaphone (Philips 1990) and then by spelling;
        never empty."""
        if word not in self._known:
            sound = jellyfish.metaphone(word)
            near = sorted(
                (jellyfish.levenshtein_distance(sound, known_sound), len(known_sound), spelled)
                for known_sound, spelled in self._sounds.get(sound[:1], ())
                if spelled != word
            )[: 4 * self._similar]
            by_spelling = sorted(
                (distance, jellyfish.levenshtein_distance(word, spelled), spelled)
                for distance, _, spelled in near
            )
            candidates = [spelled for _, _, spelled in by_spelling[: self._similar]]
            self._known[word] = candidates or self._frequent[: self._similar]
        return self._known[word]


def with_asr_noise(
    texts: list[str], speakers: list[int], noise: AsrNoise, recogniser: SimulatedAsr, draw: Random
) -> tuple[list[str], list[int]]:
    """The texts and speakers of a dialogue after simulated recognition."""
    if draw.random() < noise.errors:
        rate = draw.uniform(noise.least, noise.most)
        texts = [recogniser.recognise(text, rate, draw) for text in texts]
    elif draw.random() < noise.plain:
        texts = [plain(text) for text in texts]
    elif noise.marks:
        texts = [marked(text, draw) if draw.random() < noise.marks else text for text in texts]
    if draw.random() < noise.merged:
        speakers = [0] * len(speakers)
    return texts, speakers
