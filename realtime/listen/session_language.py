"""The language of a session: one for all, heard in the first seconds of speech."""

import math
from collections.abc import Mapping
from typing import NamedTuple

#: Seconds of speech after which the language is held.
HOLD = 10.0
#: Seconds of speech that tell as much as one whole observation; less tells proportionally less.
OBSERVATION = 3.0
#: The least probability of a language that counts, so that no single sound can exclude one.
_LEAST = 1e-3


class Evidence(NamedTuple):
    """What a sound tells of its language: the probability of each, and its seconds."""

    probabilities: Mapping[str, float]
    seconds: float


class Language(NamedTuple):
    """A language by its ISO 639-1 code, and its probability."""

    code: str
    probability: float


class SessionLanguage:
    """The language of a session, held after `HOLD` seconds of speech with words.

    Utterances are independent observations: the logarithms of their probabilities are added, those
    of short ones by less.

    Args:
        language: the language where it is known from the start.
    """

    def __init__(self, language: str | None) -> None:
        self._given = None if language is None else Language(language, 1.0)
        self.reset()

    def reset(self) -> None:
        """Forgets all sounds."""
        self._held = self._given
        self._logs: dict[str, float] = {}
        self._seconds = 0.0

    @property
    def known(self) -> bool:
        """Whether the language is held, so that no evidence is needed any more."""
        return self._held is not None

    def provisional(self, evidence: Evidence | None) -> Language:
        """The language with this evidence, which is not remembered. None: nothing is new."""
        if self._held is not None:
            return self._held
        return _likeliest(self._with(evidence))

    def final(self, evidence: Evidence) -> None:
        """Remembers the evidence of a final utterance."""
        if self._held is not None:
            return
        self._logs = self._with(evidence)
        self._seconds += evidence.seconds
        if self._seconds >= HOLD:
            self._held = _likeliest(self._logs)

    def _with(self, evidence: Evidence | None) -> dict[str, float]:
        if evidence is None:
            return self._logs
        weight = min(1.0, evidence.seconds / OBSERVATION)
        return {
            code: self._logs.get(code, 0.0) + weight * math.log(max(_LEAST, probability))
            for code, probability in evidence.probabilities.items()
        }


def _likeliest(logs: Mapping[str, float]) -> Language:
    """The likeliest language; English where nothing was heard."""
    if not logs:
        return Language("en", 0.0)
    code = max(logs, key=lambda name: logs[name])
    total = sum(math.exp(value - logs[code]) for value in logs.values())
    return Language(code, round(1 / total, 4))
