"""What a recording sounds and looks like from moment to moment: a row a second, and a row a face.

The stages of a replay send each other sound and faces; `Details` listens to them. What a second
sounds like is computed here, from that sound.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gscon_live.model.encoders.voice.voice_statistics import VOICED, pitch_of
from gscon_live.model.labels import EMOTIONS, SAMPLE_RATE
from gscon_live.model.speech.voice_activity import WINDOW, VoiceActivity
from gscon_live.realtime.archive.columns import FRAMES, SECONDS
from gscon_live.realtime.archive.store import FRAMES_TABLE, SECONDS_TABLE
from gscon_live.realtime.events.schema import AnyEvent, UtteranceEvent
from gscon_live.realtime.pipeline import messages

#: Probability of voice from which a window counts as voice, for the pitch.
_VOICE = 0.5
#: Quieter sound has this level, in dB below full scale.
_SILENCE = -100.0


class Details:
    """Listens to the replay of a recording, and writes `seconds.csv` and `frames.csv`.

    Args:
        folder: where they are written.
        source: the recording's name.
    """

    def __init__(self, folder: Path, source: str) -> None:
        self._folder = folder
        self._source = source
        self._sounds: dict[int, tuple[float, float, float | None]] = {}
        self._faces: dict[int, list[messages.Faces]] = {}
        self._size = (0, 0)
        self._sound = _Sound(self._sounds)
        self._file = (folder / FRAMES_TABLE).open("w", encoding="utf-8", newline="")
        self._frames = csv.writer(self._file)
        self._frames.writerow(FRAMES)

    def take(self, message: object) -> None:
        """Takes any message of the pipeline, in order."""
        match message:
            case messages.AudioChunk(time=time, samples=samples, channels=channels):
                sound = np.frombuffer(samples, np.float32).reshape(channels, -1)
                self._sound.add(time, np.ascontiguousarray(sound.sum(axis=0)))
            case messages.VideoFrame(width=width, height=height):
                self._size = width, height
            case messages.Faces():
                self._faces.setdefault(int(max(message.time, 0.0)), []).append(message)
                self._write_frame(message)

    def write(self, events: Sequence[AnyEvent]) -> None:
        """Completes the files.

        Args:
            events: those of the same replay, which say who speaks.
        """
        self.close()
        self._sound.end()
        utterances = [event for event in events if isinstance(event, UtteranceEvent)]
        last = max([-1, *self._sounds, *self._faces])
        with (self._folder / SECONDS_TABLE).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(SECONDS)
            for second in range(last + 1):
                table.writerow(
                    [
                        *(self._source, second),
                        *_sound_cells(self._sounds.get(second)),
                        *_utterance_cells(utterances, second),
                        *_face_cells(self._faces.get(second, [])),
                    ]
                )

    def close(self) -> None:
        """Closes the file that is being written."""
        self._file.close()

    def _write_frame(self, faces: messages.Faces) -> None:
        frame: list[Any] = [self._source, round(faces.time, 3), *self._size, len(faces.faces)]
        if not faces.faces:
            self._frames.writerow([*frame, *[""] * (len(FRAMES) - len(frame))])
        for face in faces.faces:
            expression = _expression_cells(_expression(face))
            self._frames.writerow(
                [*frame, face.track, *face.box, round(face.mouth, 3), *expression]
            )


class _Sound:
    """Cuts sound into seconds: the share of voice, the level in dB, the median pitch in Hz."""

    def __init__(self, seconds: dict[int, tuple[float, float, float | None]]) -> None:
        self._seconds = seconds
        self._activity = VoiceActivity()
        self._rest: NDArray[np.float32] = np.zeros(0, np.float32)
        self._next = 0  # the sample after those of `_rest`

    def add(self, time: float, samples: NDArray[np.float32]) -> None:
        begin = round(time * SAMPLE_RATE)
        if begin < 0:  # sound from before the start
            samples, begin = samples[-begin:], 0
        if begin > self._next:
            # Sound was lost: it counts as silence, and the detector forgets what was before.
            missing = begin - self._next
            self._cut(np.zeros(missing, np.float32))
            self._activity.reset()
        self._cut(samples)

    def end(self) -> None:
        if len(self._rest):
            self._measure(self._rest)
            self._rest = self._rest[:0]

    def _cut(self, samples: NDArray[np.float32]) -> None:
        self._next += len(samples)
        self._rest = np.concatenate([self._rest, samples])
        while len(self._rest) >= SAMPLE_RATE:
            self._measure(self._rest[:SAMPLE_RATE])
            self._rest = self._rest[SAMPLE_RATE:]

    def _measure(self, samples: NDArray[np.float32]) -> None:
        # Windows do not go on over the end of a second: what is left of it is padded.
        padded = np.pad(samples, (0, -len(samples) % WINDOW))
        voice = self._activity(padded)
        power = float(np.mean(np.square(samples, dtype=np.float64)))
        level = max(10 * np.log10(power), _SILENCE) if power > 0 else _SILENCE
        self._seconds[len(self._seconds)] = (
            round(float((voice >= _VOICE).mean()), 3),
            round(float(level), 1),
            _median_pitch(samples) if (voice >= _VOICE).any() else None,
        )


def _median_pitch(samples: NDArray[np.float32]) -> float | None:
    if len(samples) < WINDOW:
        return None
    pitch, periodicity = pitch_of(torch.from_numpy(samples.copy()))
    voiced = pitch[periodicity > VOICED]
    return round(float(voiced.median()), 1) if len(voiced) else None


def _sound_cells(sound: tuple[float, float, float | None] | None) -> list[Any]:
    if sound is None:
        return ["", "", ""]
    return ["" if value is None else value for value in sound]


def _utterance_cells(utterances: Sequence[UtteranceEvent], second: int) -> list[Any]:
    """The utterance that takes most of the second: its number, speaker, label."""
    longest, chosen = 0.0, None
    for event in utterances:
        overlap = min(event.utterance.end, second + 1) - max(event.utterance.start, second)
        if overlap > longest:
            longest, chosen = overlap, event
    if chosen is None:
        return ["", "", ""]
    return [chosen.utterance.id, chosen.utterance.speaker, chosen.emotion.label]


def _face_cells(pictures: Sequence[messages.Faces]) -> list[Any]:
    """Pictures, the mean number of faces, and of the face that is in most of them: its track, mean
    box, mean movement of the mouth, and mean expression."""
    count = sum(len(picture.faces) for picture in pictures)
    if not count:
        return [len(pictures), 0.0 if pictures else "", *[""] * (6 + len(EMOTIONS))]
    tracks = Counter(face.track for picture in pictures for face in picture.faces)
    track = min(tracks, key=lambda number: (-tracks[number], number))
    own = [face for picture in pictures for face in picture.faces if face.track == track]
    shares = [share for share in map(_expression, own) if share is not None]
    expression = np.mean(shares, axis=0).tolist() if shares else None
    return [
        *(len(pictures), round(count / len(pictures), 2), track),
        *(round(float(value), 1) for value in np.mean([face.box for face in own], axis=0)),
        round(float(np.mean([face.mouth for face in own])), 3),
        *_expression_cells(expression),
    ]


def _expression_cells(shares: Sequence[float] | None) -> list[Any]:
    return [""] * len(EMOTIONS) if shares is None else [round(float(s), 4) for s in shares]


def _expression(face: messages.Face) -> list[float] | None:
    """What the face encoder alone says of a face: seven probabilities; None where others of many
    faces were encoded. Its features end with their logarithms."""
    if not face.features:
        return None
    log = np.frombuffer(face.features, np.float32)[-len(EMOTIONS) :].astype(np.float64)
    shares: list[float] = (np.exp(log) / np.exp(log).sum()).tolist()
    return shares
