"""The words that stay: those on which two successive readings of growing sound agree.

LocalAgreement-2 of Liu, Spanakis and Niehues, "Low-latency sequence-to-sequence speech recognition
and translation by partial hypothesis selection", Interspeech 2020.
"""

from collections.abc import Sequence


class Agreement:
    """Finds the stable prefix of the readings of an utterance.

    A word is stable from the second of two successive readings on that begin with the same words up
    to and including the word after it: the last word of a reading may have been cut off. Stable
    words stay, whatever later readings say.
    """

    def __init__(self) -> None:
        self._stable: list[str] = []
        self._last: Sequence[str] = ()

    @property
    def stable(self) -> Sequence[str]:
        """The stable words."""
        return self._stable

    def read(self, words: Sequence[str]) -> None:
        """Takes the next reading. One that does not begin with the stable words makes nothing
        stable."""
        shared = common(self._last, words)
        self._last = tuple(words)
        if shared - 1 > len(self._stable) == common(self._stable, words):
            self._stable = list(words[: shared - 1])

    def doubt(self) -> None:
        """The next reading was unsure: it cannot agree with another."""
        self._last = ()

    def drop(self, count: int) -> None:
        """The first stable words are no part of later readings any more."""
        self._stable = self._stable[count:]
        self._last = self._last[count:]


def common(some: Sequence[str], others: Sequence[str]) -> int:
    """The number of words with which both begin."""
    count = 0
    for word, other in zip(some, others, strict=False):
        if word != other:
            break
        count += 1
    return count
