"""Words as a recogniser writes them: without punctuation, and with errors.

Errors are simulated: a word is replaced by one that sounds like it, left out, or has one put after
it. Real recognisers err more where speech is fast, soft or rare, and so where it is emotional;
figures on simulated errors say how much wrong words cost, not how often they are wrong.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from random import Random
from typing import Annotated

import jellyfish
import msgspec

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]

#: Of the errors, the shares of words replaced and left out; the rest has one put after it.
REPLACED, LEFT_OUT = 0.65, 0.2

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


class Mishearing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How dialogues are disturbed in training.

    The share `errors` of them has recognition errors, each word with a probability between `least`
    and `most`, and no punctuation and case; of the others, the share `plain` has none of these
    either. The share `merged` of all does not tell its speakers apart.
    """

    plain: Probability = 0.5
    errors: Probability = 0.5
    least: Probability = 0.1
    most: Probability = 0.3
    merged: Probability = 0.2


def plain(text: str) -> str:
    """A text in lower case without punctuation; as it is where nothing would be left."""
    return " ".join(words(text)) or text


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return _WORD.findall(text.lower().replace("’", "'"))


class Recogniser:
    """Makes the errors of a recogniser that knows the words of some texts.

    Args:
        texts: what its words are taken from.
        vocabulary: it knows so many of the most frequent ones.
        alike: a word is taken for one of so many that sound most like it.
    """

    def __init__(self, texts: Iterable[str], vocabulary: int = 5000, alike: int = 5) -> None:
        counted = Counter(word for text in texts for word in words(text))
        self._frequent = [word for word, _ in counted.most_common(vocabulary)]
        self._alike = alike
        self._sounds: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for word in self._frequent:
            sound = jellyfish.metaphone(word)
            self._sounds[sound[:1]].append((sound, word))
        self._known: dict[str, list[str]] = {}

    def mishear(self, text: str, rate: float, draw: Random) -> str:
        """A text without punctuation, each word wrong with the probability `rate`; as it is where
        it has no words. At least one word is left."""
        written: list[str] = []
        spoken = words(text)
        for word in spoken:
            if draw.random() >= rate:
                written.append(word)
                continue
            kind = draw.random()
            if kind < REPLACED:
                written.append(draw.choice(self.sounding_like(word)))
            elif kind >= REPLACED + LEFT_OUT:
                written += [word, draw.choice(self._frequent[:200])]
        return " ".join(written or spoken[:1]) or text

    def sounding_like(self, word: str) -> list[str]:
        """The words that it may take a word for, by Metaphone (Philips 1990) and then by spelling;
        never empty."""
        if word not in self._known:
            sound = jellyfish.metaphone(word)
            near = sorted(
                (jellyfish.levenshtein_distance(sound, other), len(other), spelled)
                for other, spelled in self._sounds.get(sound[:1], ())
                if spelled != word
            )[: 4 * self._alike]
            by_spelling = sorted(
                (distance, jellyfish.levenshtein_distance(word, spelled), spelled)
                for distance, _, spelled in near
            )
            found = [spelled for _, _, spelled in by_spelling[: self._alike]]
            self._known[word] = found or self._frequent[: self._alike]
        return self._known[word]


def disturbed(
    texts: list[str], speakers: list[int], how: Mishearing, recogniser: Recogniser, draw: Random
) -> tuple[list[str], list[int]]:
    """The texts and speakers of a dialogue as they might be recognised."""
    if draw.random() < how.errors:
        rate = draw.uniform(how.least, how.most)
        texts = [recogniser.mishear(text, rate, draw) for text in texts]
    elif draw.random() < how.plain:
        texts = [plain(text) for text in texts]
    if draw.random() < how.merged:
        speakers = [0] * len(speakers)
    return texts, speakers
