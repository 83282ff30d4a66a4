"""Joins blocks of quiet sound: while nobody speaks, each block wakes several processes."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from gscon_live.realtime.pipeline.messages import AudioChunk, Message, complete_at

#: Seconds of quiet sound that are joined at most.
LONGEST = 0.16
#: A block is loud if the power of a channel is so many times that of its quietest block. Speech
#: near a microphone is 100 times as strong as the noise.
LOUDER = 10.0
#: How fast the power of the quietest one rises a second, to follow the noise of a place.
RISE = 1.25
#: The least power that counts, that of -100 dB of full scale.
_LEAST = 1e-10
#: Seconds by which a block may begin off the end of the one before it: devices' clocks drift.
_APART = 0.001


class QuietBlocks:
    """Joins quiet blocks of sound once there was no loud one for a time.

    A loud block comes at once, together with the quiet ones before it, so that no speech waits.
    The sound stays the same, and the order of the messages, too.

    Args:
        after: seconds without a loud block; longer than the silence that ends an utterance.
    """

    def __init__(self, after: float) -> None:
        self._after = after
        self._quietest = np.zeros(0)  # by channel
        self._quiet = 0.0  # seconds without a loud block
        self._waiting: list[AudioChunk] = []

    def take(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Gives what is to be sent now. Where no messages came, nothing waits any longer."""
        came = False
        for message in messages:
            came = True
            if not isinstance(message, AudioChunk):
                yield from self._joined()
                yield message
                continue
            if self._waiting and not _follows(self._waiting[-1], message):
                yield from self._joined()
            self._waiting.append(message)
            self._listen(message)
            if self._quiet < self._after or self._seconds() > LONGEST - _APART:
                yield from self._joined()
        if not came:
            yield from self._joined()

    def _listen(self, chunk: AudioChunk) -> None:
        """Follows the noise, and how long there was no loud block."""
        samples = _channels(chunk)
        if not samples.size:
            return
        power = np.maximum(_LEAST, np.square(samples).mean(axis=1))
        seconds = complete_at(chunk) - chunk.time
        if len(self._quietest) != len(power):
            self._quietest = power
        self._quietest = np.minimum(power, self._quietest * RISE**seconds)
        loud = (power > LOUDER * self._quietest).any()
        self._quiet = 0.0 if loud else self._quiet + seconds

    def _seconds(self) -> float:
        return complete_at(self._waiting[-1]) - self._waiting[0].time

    def _joined(self) -> Iterator[AudioChunk]:
        waiting, self._waiting = self._waiting, []
        if len(waiting) <= 1:
            yield from waiting
            return
        joined = np.concatenate([_channels(chunk) for chunk in waiting], axis=1)
        yield AudioChunk(waiting[0].time, joined.tobytes(), waiting[0].channels)


def _channels(chunk: AudioChunk) -> NDArray[np.float32]:
    """The samples of a block, [channels, n]."""
    return np.frombuffer(chunk.samples, np.float32).reshape(chunk.channels, -1)


def _follows(before: AudioChunk, chunk: AudioChunk) -> bool:
    """Whether a block goes on where another ends, with as many channels."""
    apart = abs(chunk.time - complete_at(before))
    return before.channels == chunk.channels and apart <= _APART
