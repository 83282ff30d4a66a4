"""Sound as telephones and calls pass it on: through a codec and back."""

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

#: Samples that a codec without frames of its own is given at a time.
_FRAME = 1024


@dataclass(frozen=True)
class Codec:
    """A codec by FFmpeg's name: the container that holds it, its samples a second, and its bits a
    second where it has a choice."""

    name: str
    container: str
    rate: int
    bits: int | None = None


#: What telephones speak: up to 4 kHz.
TELEPHONE = (
    Codec("pcm_mulaw", "wav", 8000),
    Codec("libopencore_amrnb", "amr", 8000, 12200),
    Codec("libopencore_amrnb", "amr", 8000, 5900),
)
#: What calls over the Internet, headsets and recorders speak.
CALLS = (
    Codec("libopus", "ogg", 48000, 8000),
    Codec("libopus", "ogg", 48000, 12000),
    Codec("libopus", "ogg", 48000, 24000),
    Codec("g722", "wav", 16000),
    Codec("libmp3lame", "mp3", 16000, 32000),
)


def through(sound: NDArray[np.float32], codec: Codec) -> NDArray[np.float32]:
    """A sound, mono float32 [n] at 16 kHz of 25 ms or more, as it comes out of a codec, [n] too:
    what the codec's own delay pushes out of the end is cut off.

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
    heard, whole = np.zeros_like(sound), samples(coded.getvalue())
    heard[: len(whole)] = whole[: len(sound)]
    return heard


def _frames(sound: NDArray[np.float32], stream: AudioStream) -> Iterator[av.AudioFrame]:
    """A sound at the rate, in the format and in the pieces that a codec takes."""
    whole = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), "fltp", "mono")
    whole.sample_rate = SAMPLE_RATE
    context = stream.codec_context
    context.open()
    resampler = av.AudioResampler(context.format, "mono", stream.rate)
    fifo = AudioFifo()
    for made in [*resampler.resample(whole), *resampler.resample(None)]:
        made.pts = None
        fifo.write(made)
    size = context.frame_size or _FRAME
    passed = 0
    while (frame := fifo.read(size) or fifo.read(size, partial=True)) is not None:
        frame.pts = passed
        passed += frame.samples
        yield frame
