"""Speech codecs of telephones and calls: sound is encoded and decoded again."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from gscon_live.common.errors import Failure
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.train.corpora.flac import samples

#: Frame size in samples for codecs without a fixed one.
_FRAME = 1024


@dataclass(frozen=True)
class Codec:
    """A codec by FFmpeg's name: its container, sample rate in Hz, and bit rate in bit/s where it
    has a choice."""

    name: str
    container: str
    rate: int
    bits: int | None = None


#: Codecs of telephones: up to 4 kHz.
TELEPHONE = (
    Codec("pcm_mulaw", "wav", 8000),
    Codec("libopencore_amrnb", "amr", 8000, 12200),
    Codec("libopencore_amrnb", "amr", 8000, 5900),
)
#: Codecs of Internet calls, headsets and recorders.
CALLS = (
    Codec("libopus", "ogg", 48000, 8000),
    Codec("libopus", "ogg", 48000, 12000),
    Codec("libopus", "ogg", 48000, 24000),
    Codec("g722", "wav", 16000),
    Codec("libmp3lame", "mp3", 16000, 32000),
)


def through(sound: NDArray[np.float32], codec: Codec) -> NDArray[np.float32]:
    """A sound, mono float32 [n] at 16 kHz of 25 ms or more, encoded and decoded by a codec, [n].
    The codec's delay is not removed; the end that it pushes out is cut off.

    Raises:
        Failure: this FFmpeg does not have the codec.
    """
    coded = io.BytesIO()
    try:
        with av.open(coded, "w", format=codec.container) as output:
            stream = output.add_stream(codec.name, rate=codec.rate, layout="mono")
            assert isinstance(stream, AudioStream)
            if codec.bits is not None:
                stream.bit_rate = codec.bits
            for frame in _frames(sound, stream):
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    except (av.codec.codec.UnknownCodecError, ValueError) as error:
        raise Failure(
            f"FFmpeg here cannot write {codec.name} in {codec.container} ({error}); install PyAV's "
            "own wheel, or train with coded=0"
        ) from error
    result, decoded = np.zeros_like(sound), samples(coded.getvalue())
    result[: len(decoded)] = decoded[: len(sound)]
    return result


def _frames(sound: NDArray[np.float32], stream: AudioStream) -> Iterator[av.AudioFrame]:
    """Frames of a sound in the sample rate, format and frame size of a codec."""
    source = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), "fltp", "mono")
    source.sample_rate = SAMPLE_RATE
    context = stream.codec_context
    context.open()
    resampler = av.AudioResampler(context.format, "mono", stream.rate)
    fifo = AudioFifo()
    for resampled in [*resampler.resample(source), *resampler.resample(None)]:
        resampled.pts = None
        fifo.write(resampled)
    size = context.frame_size or _FRAME
    position = 0
    while (frame := fifo.read(size) or fifo.read(size, partial=True)) is not None:
        frame.pts = position
        position += frame.samples
        yield frame
