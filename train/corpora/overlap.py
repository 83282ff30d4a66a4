"""Overlap between corpora: dialogues that share their words.

MELD and EmoryNLP both transcribe *Friends*. A training on one of them must leave out the scenes of
the other's validation and test splits.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from gscon_live.train.corpora.schema import Dialogue

#: Of each such corpus, the other one with its scenes.
SAME_SHOW = {"meld": "emorynlp", "emorynlp": "meld"}

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

    Two dialogues overlap if they share a complete utterance of at least `words` words, or `run`
    consecutive words within an utterance: transcripts of a scene may cut it into other utterances.
    Scenes that share only shorter utterances are not detected.
    """
    known = {
        fingerprint for dialogue in held_out for fingerprint in _fingerprints(dialogue, words, run)
    }
    return tuple(
        dialogue
        for dialogue in dialogues
        if any(fingerprint in known for fingerprint in _fingerprints(dialogue, words, run))
    )


def disjoint(
    dialogues: Sequence[Dialogue], held_out: Sequence[Dialogue], words: int = 5, run: int = 6
) -> tuple[Dialogue, ...]:
    """The dialogues that share no words with those that are held out; see `overlapping`."""
    shared = {id(dialogue) for dialogue in overlapping(dialogues, held_out, words, run)}
    return tuple(dialogue for dialogue in dialogues if id(dialogue) not in shared)


def _fingerprints(dialogue: Dialogue, words: int, run: int) -> Iterator[tuple[str, ...]]:
    for utterance in dialogue.utterances:
        spoken = words_of(utterance.text)
        if len(spoken) >= words:
            # Marked, so that a complete utterance does not match words within another.
            yield ("", *spoken)
        for start in range(len(spoken) - run + 1):
            yield spoken[start : start + run]
