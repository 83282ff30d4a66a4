"""What a transcriber needs: encoders of words and voice, names of speakers, speech recognition."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gscon_live.realtime.listen.whisper import Outdated, Recognised, Windows

Samples = NDArray[np.float32]


class TextFeatures(Protocol):
    """A text encoder: words to a vector, in the context of the conversation. `languages` has the
    ISO 639-1 codes of those that it reads."""

    languages: Sequence[str]

    def has_words(self, text: str) -> bool: ...
    def provisional(self, text: str, speaker: str) -> NDArray[np.float32]: ...
    def final(self, text: str, speaker: str) -> NDArray[np.float32]: ...
    def reset(self) -> None: ...


class AudioFeatures(Protocol):
    """An audio encoder: mono 16 kHz sound to statistics, and these to a vector that begins with
    them, relative to the speaker's usual voice."""

    def statistics(self, samples: Samples) -> NDArray[np.float32]: ...
    def provisional(self, statistics: NDArray[np.float32], speaker: str) -> NDArray[np.float32]: ...
    def final(self, statistics: NDArray[np.float32], speaker: str) -> NDArray[np.float32]: ...
    def reset(self) -> None: ...


class SpeakerNames(Protocol):
    """Names speakers by the acoustic statistics of their utterances, with which a vector begins."""

    def provisional(self, audio: NDArray[np.float32]) -> str: ...
    def final(self, audio: NDArray[np.float32]) -> str: ...
    def reset(self) -> None: ...


class KnownNames(Protocol):
    """Gives speakers the names of voices that are enrolled; others keep their own."""

    def provisional(self, speaker: str, audio: NDArray[np.float32]) -> str: ...
    def final(self, speaker: str, audio: NDArray[np.float32]) -> str: ...
    def reset(self) -> None: ...


class Recogniser(Protocol):
    """Speech recognition: the mono 16 kHz sound of an utterance so far to words. `key` identifies
    the utterance; `speaking` says that it goes on, so that the words are needed soon. Raises
    `NotNeeded` where they are `outdated`. `again` are the windows in which doubtful words may be
    read again."""

    def __call__(
        self, samples: Samples, key: int, speaking: bool, outdated: Outdated, again: Windows
    ) -> Recognised: ...
    def final(self, recognised: Recognised) -> None: ...
    def reset(self) -> None: ...
