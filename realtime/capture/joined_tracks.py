"""Several audio tracks of a recording as the channels of one sound."""

import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gscon_live.common.errors import InputError
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.capture.audio_track import AudioTrack
from gscon_live.realtime.capture.media import Track
from gscon_live.realtime.pipeline.messages import AudioChunk, Message

#: Seconds of sound of one track that are kept until the others have come as far.
FARTHEST = 600.0


class JoinedTracks:
    """Tracks that are decoded packet by packet, with the methods of an `AudioTrack`.

    Each track may have a rate, a start and an end of its own; where it has no sound, its channel is
    silent. Sound waits until the slowest track has come as far.

    Args:
        path: the file, for errors.
        tracks: the tracks by index of their streams; all have the same block.
    """

    what = "audio"

    def __init__(self, path: Path, tracks: Mapping[int, AudioTrack]) -> None:
        self._path = path
        self._tracks = tracks
        self._waiting: dict[int, deque[npt.NDArray[np.float32]]] = {i: deque() for i in tracks}
        self._sent = 0

    @property
    def filled(self) -> float:
        """The longest silence in seconds that was inserted into a track."""
        return max(track.filled for track in self._tracks.values())

    @property
    def position(self) -> float:
        """Media time of the end of the sound that was sent."""
        return self._sent / SAMPLE_RATE

    @property
    def mark(self) -> float:
        """The earliest time that can still follow."""
        return math.inf if self.ended and not any(self._waiting.values()) else self.position

    @property
    def ended(self) -> bool:
        """Whether no track has more."""
        return all(_over(track) for track in self._tracks.values())

    @property
    def clock(self) -> float:
        """Media time up to which all tracks are decoded, silence included."""
        clocks = [track.clock for track in self._tracks.values() if not _over(track)]
        return min(clocks, default=math.inf)

    @property
    def next_time(self) -> float:
        """The earliest time that is not decoded yet; infinite at the end."""
        return min(track.next_time for track in self._tracks.values())

    def feed(self, packet: Any) -> list[Message]:
        """Decodes a packet of any of the tracks."""
        track = self._tracks[packet.stream.index]
        out = self._take(packet.stream.index, track.feed(packet))
        return out + self.fill(track.clock)

    def fill(self, until: float) -> list[Message]:
        """Silence up to `until` in each track, or to its next sound if that comes before."""
        out: list[Message] = []
        for index, track in self._tracks.items():
            out += self._take(index, track.fill(until))
        return out + self._chunks()

    def flush(self) -> list[Message]:
        """The messages that are left; ends the tracks."""
        out: list[Message] = []
        for index, track in self._tracks.items():
            out += self._take(index, track.flush())
        return out + self._chunks()

    def _take(self, index: int, messages: list[Message]) -> list[Message]:
        """Keeps sound; returns the other messages."""
        waiting = self._waiting[index]
        for message in messages:
            if isinstance(message, AudioChunk):
                waiting.append(np.frombuffer(message.samples, np.float32))
        if waiting and len(waiting) * len(waiting[0]) > FARTHEST * SAMPLE_RATE:
            raise InputError(
                f"recording {self._path}: its audio tracks lie more than {FARTHEST / 60:g} minutes "
                "apart in the file; write it anew with ffmpeg -i FILE -map 0 -c copy NEW.mkv"
            )
        return [message for message in messages if not isinstance(message, AudioChunk)]

    def _chunks(self) -> list[Message]:
        """What all tracks have, as chunks with a channel for each."""
        out: list[Message] = []
        while any(self._waiting.values()) and all(
            self._waiting[index] or _over(track) for index, track in self._tracks.items()
        ):
            parts = [own.popleft() if own else np.zeros(0, np.float32) for own in
                     self._waiting.values()]  # fmt: skip
            count = max(map(len, parts))
            sound = np.stack([np.pad(part, (0, count - len(part))) for part in parts])
            out.append(AudioChunk(self._sent / SAMPLE_RATE, sound.tobytes(), len(parts)))
            self._sent += count
        return out


def _over(track: Track) -> bool:
    """Whether nothing follows; a track without packets never begins."""
    return track.ended or not math.isfinite(track.next_time)
