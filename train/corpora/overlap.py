"""Which dialogues share their words: corpora of one television show tell the same scenes.

MELD and EmoryNLP both transcribe *Friends*. What is trained on the one must leave out the scenes of
the other's validation and test splits.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from gscon_live.train.corpora.schema import Dialogue

_APOSTROPHES = re.compile("['’‘`´\x92]")
_WORDS = re.compile(r"[^\W_]+")


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text without case, accents, punctuation and apostrophes."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return tuple(_WORDS.findall(_APOSTROPHES.sub("", plain)))


def overlapping(
    dialogues: Iterable[Dialogue], held_out: Sequence[Dialogue], words: int = 5, run: int = 6
) -> tuple[Dialogue, ...]:
    """The dialogues that share words with dialogues that are held out.

    They do if they have a whole utterance of at least `words` words in common, or `run` words in a
    row within one utterance: transcripts of the same scene may cut it into other utterances.
    Single scenes that have nothing but shorter utterances in common go unseen.
    """
    held = {found for one in held_out for found in _fingerprints(one, words, run)}
    return tuple(
        one for one in dialogues if any(found in held for found in _fingerprints(one, words, run))
    )


def disjoint(
    dialogues: Sequence[Dialogue], held_out: Sequence[Dialogue], words: int = 5, run: int = 6
) -> tuple[Dialogue, ...]:
    """The dialogues that share no words with those that are held out; see `overlapping`."""
    shared = {id(one) for one in overlapping(dialogues, held_out, words, run)}
    return tuple(one for one in dialogues if id(one) not in shared)


def _fingerprints(dialogue: Dialogue, words: int, run: int) -> Iterator[tuple[str, ...]]:
    for utterance in dialogue.utterances:
        spoken = words_of(utterance.text)
        if len(spoken) >= words:
            # Marked, so that a whole utterance is not taken for words within another.
            yield ("", *spoken)
        for start in range(len(spoken) - run + 1):
            yield spoken[start : start + run]
