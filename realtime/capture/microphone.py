"""A microphone as a source: PortAudio's callback fills a bounded queue, and `read` empties it."""

import queue
import time as system_time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gscon_live.common.errors import InputError
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.capture.devices import MicrophoneInfo, find_microphone, portaudio
from gscon_live.realtime.capture.mixdown import Mixdown
from gscon_live.realtime.capture.mono_resampler import MonoResampler
from gscon_live.realtime.capture.only_zeros import ZEROS_SECONDS, OnlyZeros
from gscon_live.realtime.capture.sample_clock import SampleClock
from gscon_live.realtime.pipeline.messages import AudioChunk, Dropped, Mark, Message
from gscon_live.realtime.pipeline.settings import Microphone
from gscon_live.realtime.pipeline.stage import Source

#: Length of the queue in seconds.
QUEUE_SECONDS = 30.0
#: Seconds without a block after which the device counts as gone, before the first block and later.
#: Sound servers take up to 2 s to start.
_FIRST_TIMEOUT, _TIMEOUT = 4.0, 2.0
#: Seconds between two attempts to reopen the device.
_RETRY = 1.0
#: Seconds between two marks while the device is gone.
_MARK_INTERVAL = 0.5

Samples = npt.NDArray[np.float32]


class _Block(NamedTuple):
    time: float  # capture of the first sample, in seconds of the session
    samples: Samples  # [n, channels]
    lost: int  # samples before this block for which the queue was full
    overflow: bool  # the device lost samples before this block


class MicrophoneSource(Source):
    """Live sound. A device that goes is reported, and opened again when it is back.

    `state` is "open" or "gone"; `description` names the device. A `Dropped` reports lost sound:
    when the device goes (with count 0, as the length is not known yet), when it is back, after an
    overflow of the device, and when `read` was not called for 30 s. Another reports, once, that the
    device has given nothing but zeros in its first 5 s.

    Args:
        settings: the device, the length of a block, and the number of channels.
        t0: `time.monotonic()` at the session's start; times in messages count from there.
        split: whether each channel is a speaker's; else they are mixed to one.
        stream_factory: opens the input stream; takes (callback, device, rate, channels, blocksize).
            None opens the device by PortAudio.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: Microphone,
        t0: float,
        *,
        split: bool = False,
        stream_factory: Callable[..., Any] | None = None,
        clock: Callable[[], float] = system_time.monotonic,
    ) -> None:
        self.state = "gone"
        self.description = "microphone"
        self._settings = settings
        self._t0 = t0
        self._channels = settings.channels if split else None
        self._factory = stream_factory
        self._clock = clock
        self._queue: queue.Queue[_Block] = queue.Queue(int(QUEUE_SECONDS / settings.block) + 1)
        self._refused = 0
        self._stream: Any = None
        self._rate = SAMPLE_RATE
        self._latency = 0.0
        self._resamplers: list[MonoResampler] = []
        self._mixdown: Mixdown | None = None
        self._zeros = OnlyZeros()
        self._samples = SampleClock()
        self._last_block = 0.0
        self._timeout = _FIRST_TIMEOUT
        self._retry_at = 0.0
        self._last_mark = 0.0

    def open(self) -> None:
        """Starts capture. Raises `InputError`: no PortAudio, the device cannot be opened, or it has
        too few channels."""
        device: MicrophoneInfo | None = None
        if self._factory is None:
            device = find_microphone(self._settings.device)
            self.description = f"microphone {device.name}"
        self._start(device)

    def read(self, timeout: float) -> list[Message]:
        """The blocks in the queue, after at most `timeout` s; marks while the device is gone."""
        if self._stream is None:
            return self._wait_for_device(timeout)
        out: list[Message] = []
        try:
            block = self._queue.get(timeout=timeout)
            while True:
                out += self._take(block)
                block = self._queue.get_nowait()
        except queue.Empty:
            if out:
                return out
        now = self._clock()
        if now - self._last_block > self._timeout or not self._stream.active:
            return self._gone(now)
        return []

    def close(self) -> None:
        """Stops capture."""
        stream, self._stream = self._stream, None
        self.state = "gone"
        if stream is not None:
            try:
                stream.abort()
                stream.close()
            except Exception:  # the device is gone, and PortAudio has released it
                return

    def _start(self, device: MicrophoneInfo | None) -> None:
        channels = self._channels or 1
        self._rate = SAMPLE_RATE
        if device is None:
            open_stream = self._factory
        else:
            sounddevice = portaudio()
            if device.channels < channels:
                raise InputError(
                    f"{self.description}: it has {device.channels} channel"
                    f"{'s' * (device.channels != 1)}, and speakers.from=channels takes "
                    f"{channels} (microphone.channels); choose another with --microphone, or "
                    "speakers.from=voices"
                )
            self._rate, channels = _format(sounddevice, device, self._channels)
            open_stream = _open_stream
        assert open_stream is not None
        index = device.index if device else None
        self._mixdown = None
        self._resamplers = [MonoResampler(self._rate) for _ in range(self._channels or 1)]
        try:
            stream = open_stream(
                self._callback,
                index,
                self._rate,
                channels,
                round(self._settings.block * self._rate),
            )
            self._latency = float(stream.latency)
            stream.start()
        except Exception as error:
            raise InputError(
                f"{self.description}: cannot be opened ({' '.join(str(error).split())}); close "
                "other programs that use it, or choose another with --microphone"
            ) from error
        self._stream = stream
        self._last_block = self._clock()
        self._timeout = _FIRST_TIMEOUT
        self.state = "open"

    def _callback(self, data: Samples, frames: int, info: Any, status: Any) -> None:
        """Runs on PortAudio's thread: copies the block with its time, nothing more."""
        now = self._clock()
        age = float(info.currentTime - info.inputBufferAdcTime) if info is not None else -1.0
        # In the first second of a stream, sound servers report ages of half a second for blocks
        # that come in time. If an age is impossible, the arrival is the better measure.
        if not 0 < age <= frames / self._rate + self._latency:
            age = frames / self._rate
        samples = data.copy()
        overflow = bool(status and status.input_overflow)
        try:
            self._queue.put_nowait(_Block(now - age - self._t0, samples, self._refused, overflow))
            self._refused = 0
        except queue.Full:
            self._refused += frames

    def _take(self, block: _Block) -> list[Message]:
        out: list[Message] = []
        self._last_block, self._timeout = self._clock(), _TIMEOUT
        before = self._samples.end
        if block.lost:
            seconds = block.lost / self._rate
            self._samples.skip(seconds)
            reason = f"the sound was not read for {QUEUE_SECONDS:.0f} s"
            out.append(self._dropped(before, seconds, reason))
            before = self._samples.end
        length = len(block.samples) / self._rate
        time, missing = self._samples.stamp(block.time, length, block.overflow)
        if missing or block.overflow:
            reason = "the device lost sound (overflow)" if block.overflow else "sound is missing"
            out.append(self._dropped(before, missing, reason))
        out += self._only_zeros(block, max(time, 0.0))
        sound = self._resampled(block.samples)
        if sound.shape[1]:
            out.append(AudioChunk(max(time, 0.0), sound.tobytes(), len(sound)))
        return out

    def _resampled(self, samples: Samples) -> Samples:
        """A block [n, channels] as the sound of each speaker, or as one mix, [channels, n]."""
        if self._channels is None:
            if self._mixdown is None:
                self._mixdown = Mixdown(["NONE"] * samples.shape[1])
            rows = [self._mixdown(samples, self._rate)]
        else:
            rows = [np.ascontiguousarray(row) for row in samples.T]
        return np.stack([own(row) for own, row in zip(self._resamplers, rows, strict=True)])

    def _only_zeros(self, block: _Block, time: float) -> list[Message]:
        """Reports once that the device gives no sound: it is muted, or not allowed to be heard."""
        zeros = self._zeros.look(block.samples, time, len(block.samples) / self._rate)
        if zeros is None:
            return []
        since, seconds = zeros
        reason = (
            f"{self.description} has given only zeros for {ZEROS_SECONDS:g} s; unmute it, allow "
            "its use in the system's settings, or choose another with --microphone"
        )
        return [self._dropped(since, seconds, reason)]

    def _dropped(self, time: float | None, seconds: float, reason: str) -> Dropped:
        return Dropped(
            max(time or 0.0, 0.0), "audio", round(seconds * SAMPLE_RATE), seconds, reason
        )

    def _gone(self, now: float) -> list[Message]:
        self.close()
        self._retry_at = now + _RETRY
        self._last_mark = now
        reason = f"{self.description} gone; trying again every {_RETRY:g} s"
        return [self._dropped(self._samples.end or now - self._t0, 0.0, reason)]

    def _wait_for_device(self, timeout: float) -> list[Message]:
        now = self._clock()
        if now < self._retry_at:
            system_time.sleep(min(timeout, self._retry_at - now))
        elif self._reopen():
            now = self._clock()
            end = self._samples.end
            missing = 0.0 if end is None else max(0.0, now - self._t0 - end)
            self._samples = SampleClock()
            reason = f"{self.description} back after {missing:.1f} s"
            return [self._dropped(now - self._t0, missing, reason)]
        else:
            self._retry_at = self._clock() + _RETRY
        now = self._clock()
        if now - self._last_mark < _MARK_INTERVAL:
            return []
        self._last_mark = now
        return [Mark(now - self._t0, "microphone")]

    def _reopen(self) -> bool:
        try:
            if self._factory is None:
                # PortAudio lists the devices only at its start: a new one needs a restart.
                sounddevice = portaudio()
                sounddevice._terminate()
                sounddevice._initialize()
            self.open()
        except Exception:  # whatever the error is, the next attempt follows
            return False
        return True


def _format(sounddevice: Any, device: MicrophoneInfo, split: int | None) -> tuple[int, int]:
    """Rate in Hz and channels for a device: 16 kHz mono if possible, else its own. `split`: so many
    channels and no others."""
    own = round(device.rate) or 48_000
    most = split or min(2, device.channels)
    for rate in (SAMPLE_RATE, own):
        for channels in dict.fromkeys((split or 1, most)):
            try:
                sounddevice.check_input_settings(
                    device=device.index, channels=channels, dtype="float32", samplerate=rate
                )
                return rate, channels
            except sounddevice.PortAudioError:
                continue
    return own, most


def _open_stream(
    callback: Callable[..., None], device: int, rate: int, channels: int, blocksize: int
) -> Any:
    return portaudio().InputStream(
        device=device,
        samplerate=rate,
        channels=channels,
        blocksize=blocksize,
        dtype="float32",
        latency="low",
        callback=callback,
    )
