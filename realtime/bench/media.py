"""Recordings of any length for measurements: the sample repeated, or silence."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from gscon_live.model.labels import SAMPLE_RATE

SAMPLE = Path(__file__).parents[1] / "sample" / "conversation.mkv"


def repeated(path: Path, seconds: float, *, video: bool = True) -> Path:
    """Writes about `seconds` of the sample conversation, repeated, with its captions; of less than
    a whole one, its beginning.

    Packets are copied without encoding. `video` False leaves out the pictures.
    """
    with av.open(str(path), "w", format="matroska") as out:
        with av.open(str(SAMPLE)) as template:
            # A pause between copies, so that their packets do not overlap.
            length = Fraction(template.duration or 0, av.time_base) + 1
            copies: dict[int, Any] = {
                stream.index: out.add_stream_from_template(stream)
                for stream in template.streams
                if video or stream.type != "video"
            }
        count = max(1, round(seconds / float(length)))
        for number in range(count):
            last: dict[int, int] = {}
            with av.open(str(SAMPLE)) as source:
                for packet in source.demux():
                    if packet.pts is None or packet.stream.index not in copies:
                        continue
                    if seconds < length and packet.pts * packet.time_base >= seconds:
                        continue
                    shift = round(number * length / packet.time_base)
                    # Matroska has no decoding times; the first pictures have none.
                    first = round((number * length - Fraction(1, 2)) / packet.time_base)
                    known = last.get(packet.stream.index, first)
                    packet.pts += shift
                    packet.dts = known + 1 if packet.dts is None else packet.dts + shift
                    last[packet.stream.index] = packet.dts
                    packet.stream = copies[packet.stream.index]
                    out.mux(packet)
    return path


def silence(path: Path, seconds: float, noise: float = 1e-4) -> Path:
    """Writes the sound of a quiet room: faint noise, mono, 16 kHz."""
    generator = np.random.default_rng(0)
    with av.open(str(path), "w", format="wav") as out:
        stream = out.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        for second in range(int(seconds)):
            sound = generator.normal(0.0, noise * 32767, (1, SAMPLE_RATE)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, second * SAMPLE_RATE
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
