"""Records sound and pictures of a live session, if the user asks for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from gscon_live.common.errors import Failure, InputError
from gscon_live.common.files import private
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Stage

#: Time base of the pictures: a camera has no constant rate.
_MILLISECONDS = Fraction(1, 1000)
#: FFmpeg's names for so many channels in FLAC, which has no more.
_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
#: Options of the file: a cluster per second, written to the disk when it is complete.
_CLUSTERS = {"cluster_time_limit": "1000", "flush_packets": "1"}


class Recorder(Stage):
    """Stage: writes `session.mkv` (FLAC sound, H.264 pictures), which `replay` reads.

    However the session ends, the file is complete up to its last cluster. Lost sound is silence in
    the file, so that times stay right. Only its owner can read it.

    Args:
        folder: the folder of the file; created if missing, for its owner alone.
        has_audio, has_video: the media of the session.
        size: width and height of the recording's pictures in pixels; others are fitted into it.
        part: 1; 2 and more after restarts of this stage (`session-2.mkv`).
        channels: those of the sound.

    Raises:
        InputError: the folder cannot be written, or has a recording already; too many channels.
        Failure: the file cannot be written any more, as on a full disk; from all methods.
    """

    def __init__(
        self,
        folder: str | Path,
        has_audio: bool,
        has_video: bool,
        size: tuple[int, int],
        part: int = 1,
        channels: int = 1,
    ) -> None:
        check_channels(folder, channels)
        self._path = path = Path(folder) / ("session.mkv" if part == 1 else f"session-{part}.mkv")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists():
                raise InputError(f"--record {folder}: holds {path.name} already; give a new folder")
            # FFmpeg keeps the permissions of a file that is there.
            os.close(private(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            self._container: Any = av.open(str(path), "w", options=_CLUSTERS)
        except OSError as error:
            raise InputError(f"--record {folder}: cannot write there: {error.strerror}") from error
        self._audio: Any = None
        self._video: Any = None
        if has_audio:
            self._audio = self._container.add_stream(
                "flac", rate=SAMPLE_RATE, layout=_LAYOUTS[channels - 1]
            )
            self._audio.codec_context.format = "s16"
        if has_video:
            self._video = self._container.add_stream("libx264", rate=30)
            self._video.width, self._video.height = (side // 2 * 2 for side in size)
            self._video.pix_fmt = "yuv420p"
            self._video.codec_context.time_base = _MILLISECONDS
            self._video.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "26"}
        self.reset()

    def reset(self) -> None:
        """Sets the counts to zero."""
        self._position = 0
        self._last_picture = -1
        self._pictures = 0

    def gauges(self) -> Gauges:
        """Seconds of sound and number of pictures so far."""
        return {"seconds": self._position / SAMPLE_RATE, "pictures": float(self._pictures)}

    def process(self, message: Incoming) -> Iterator[messages.Message]:
        """Writes `AudioChunk` and `VideoFrame`; gives nothing."""
        with self._written():
            match message:
                case messages.AudioChunk(time=time, samples=raw, channels=channels) if (
                    self._audio is not None
                ):
                    samples = np.frombuffer(raw, np.float32).reshape(channels, -1)
                    missing = round(time * SAMPLE_RATE) - self._position
                    # Times of blocks vary a little: only the first one counts exactly.
                    if missing > (SAMPLE_RATE // 10 if self._position else 0):
                        self._write_sound(np.zeros((channels, missing), np.float32))
                    self._write_sound(samples)
                case messages.VideoFrame() if self._video is not None:
                    self._write_picture(message)
        yield from ()

    def flush(self) -> Iterator[messages.Message]:
        """Completes the file."""
        self.close()
        yield from ()

    def close(self) -> None:
        """Completes the file; may be called twice."""
        container, self._container = self._container, None
        if container is None:
            return
        with self._written():
            try:
                for stream in (self._audio, self._video):
                    if stream is not None:
                        container.mux(stream.encode(None))
            finally:
                container.close()

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Says in one line that the file cannot be written."""
        try:
            yield
        except OSError as error:
            container, self._container = self._container, None
            if container is not None:
                with suppress(OSError):
                    container.close()
            raise Failure(
                f"{self._path}: {error.strerror}; check the space left. The recording can be read "
                "as far as it goes"
            ) from error

    def _write_sound(self, samples: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        for start in range(0, samples.shape[1], SAMPLE_RATE):
            block = samples[:, start : start + SAMPLE_RATE]
            pcm = np.clip(np.rint(block.T * 32767), -32768, 32767).astype(np.int16)
            layout = _LAYOUTS[len(block) - 1]
            frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout=layout)
            frame.sample_rate = SAMPLE_RATE
            frame.time_base = Fraction(1, SAMPLE_RATE)
            frame.pts = self._position
            self._position += block.shape[1]
            self._container.mux(self._audio.encode(frame))

    def _write_picture(self, message: messages.VideoFrame) -> None:
        stamp = round(message.time * 1000)
        if stamp <= self._last_picture:
            return
        self._last_picture = stamp
        self._pictures += 1
        pixels = np.frombuffer(message.pixels, np.uint8).reshape(message.height, message.width, 3)
        fitted = _fitted(pixels, self._video.width, self._video.height)
        frame = av.VideoFrame.from_ndarray(fitted, format="bgr24").reformat(format="yuv420p")
        frame.time_base = _MILLISECONDS
        frame.pts = stamp
        self._container.mux(self._video.encode(frame))


def check_channels(folder: str | Path, channels: int) -> None:
    """Raises `InputError` for more channels than a recording keeps."""
    if channels > len(_LAYOUTS):
        raise InputError(
            f"--record {folder}: keeps {len(_LAYOUTS)} channels, not {channels}; lower "
            "microphone.channels"
        )


def _fitted(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A picture uint8 [h, w, 3] in another size: as large as fits, undistorted, black around it. A
    stretched face shows another expression."""
    if pixels.shape[:2] == (height, width):
        return pixels
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    inner = (
        max(1, min(width, round(pixels.shape[1] * scale))),
        max(1, min(height, round(pixels.shape[0] * scale))),
    )
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    fitted = np.zeros((height, width, 3), np.uint8)
    fitted[top : top + inner[1], left : left + inner[0]] = cv2.resize(
        pixels, inner, interpolation=interpolation
    )
    return fitted
