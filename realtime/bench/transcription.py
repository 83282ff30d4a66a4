"""How fast and how well words are recognised, beside plain faster-whisper.

    python -m realtime.bench.transcription base ../shared/data/speech/librispeech_10x10.zip

The clips are cut as a session cuts them. Each utterance is read three times with the same weights,
on one thread: by this project, by faster-whisper with the same beam and numbers, which reads 30 s
always, and by faster-whisper in 32-bit floating point, which is the reference. The word difference
is the number of words replaced, left out and put in, over the words of the reference.
"""

import re
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.utterances import utterances
from gscon_live.model.speech.voice_activity import VoiceActivity
from gscon_live.realtime.bench import whisper_model
from gscon_live.realtime.bench.ends import clips
from gscon_live.realtime.listen.whisper import Whisper
from gscon_live.realtime.pipeline.settings import Transcription

EXAMPLES = """
python -m realtime.bench.transcription base librispeech_10x10.zip
python -m realtime.bench.transcription ~/models/whisper-base librispeech_10x10.zip --clips 20 --json
"""
#: Utterances up to so many seconds are short.
SHORT = 6.0

Samples = NDArray[np.float32]
Reader = Callable[[Samples], str]


class Read(NamedTuple):
    """An utterance: its length in seconds, the words, and the seconds that reading it took."""

    length: float
    words: list[str]
    seconds: float


def measure(directory: str, every: Sequence[Samples], settings: Transcription) -> dict[str, Any]:
    """The figures of each reader of the utterances."""
    whisper = Whisper(directory, settings)
    readers: dict[str, Reader] = {
        "reference": plain(directory, settings, "float32"),
        "faster-whisper": plain(directory, settings, settings.compute_type),
        "gscon-live": lambda samples: whisper(samples).text or "",
    }
    # One after the other for each utterance: what else the machine does disturbs all alike.
    reads: dict[str, list[Read]] = {name: [] for name in readers}
    for samples in every:
        for name, reader in readers.items():
            began = time.perf_counter()
            text = reader(samples)
            seconds = time.perf_counter() - began
            reads[name].append(Read(len(samples) / SAMPLE_RATE, words_of(text), seconds))
    reference = reads["reference"]
    figures = {name: _figures(own, reference) for name, own in reads.items()}
    return {
        "utterances": len(every),
        "seconds": round(sum(read.length for read in reference), 1),
        "words": sum(len(read.words) for read in reference),
        "readers": figures,
        "times_as_fast": round(
            figures["faster-whisper"]["seconds_per_second"]
            / figures["gscon-live"]["seconds_per_second"],
            2,
        ),
    }


def plain(directory: str, settings: Transcription, compute_type: str) -> Reader:
    """faster-whisper as it is, with the settings' language and beam."""
    from faster_whisper import WhisperModel

    model = WhisperModel(
        directory, device="cpu", compute_type=compute_type, cpu_threads=1, local_files_only=True
    )

    def read(samples: Samples) -> str:
        segments, _ = model.transcribe(
            samples,
            language=settings.language,
            beam_size=settings.beam_size,
            condition_on_previous_text=False,
        )
        return " ".join(segment.text for segment in segments)

    return read


def words_of(text: str) -> list[str]:
    """The words without case and marks."""
    return re.findall(r"[\w']+", text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def difference(words: Sequence[str], reference: Sequence[str]) -> int:
    """Words replaced, left out and put in, at least (Levenshtein 1966)."""
    row = list(range(len(reference) + 1))
    for count, word in enumerate(words, 1):
        before, row[0] = row[0], count
        for place, expected in enumerate(reference, 1):
            replaced = before + (word != expected)
            before, row[place] = row[place], min(replaced, row[place] + 1, row[place - 1] + 1)
    return row[-1]


def _figures(reads: Sequence[Read], reference: Sequence[Read]) -> dict[str, float]:
    wrong = sum(
        difference(read.words, other.words) for read, other in zip(reads, reference, strict=True)
    )
    short = [read.seconds for read in reads if read.length <= SHORT] or [float("nan")]
    return {
        "word_difference": round(wrong / max(1, sum(len(read.words) for read in reference)), 4),
        "seconds_per_second": round(
            sum(read.seconds for read in reads) / sum(read.length for read in reads), 4
        ),
        "short_p50_s": round(float(np.percentile(short, 50)), 3),
        "short_p95_s": round(float(np.percentile(short, 95)), 3),
    }


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser(
        "python -m realtime.bench.transcription",
        "Measures the recognition of words beside plain faster-whisper.",
        EXAMPLES,
    )
    whisper_model.add_arguments(parser, archive="ZIP of FLAC files, a folder for each reader")
    parser.add_argument("--clips", type=int, help="the number of clips (default: all)")
    chosen = parser.parse_args(arguments)
    if chosen.clips is not None and chosen.clips < 1:
        raise InputError(f"--clips {chosen.clips}: expected a number above 0")
    directory, settings = whisper_model.chosen_model(
        chosen.model, ["transcription.language=en", *chosen.overrides]
    )
    detector = VoiceActivity()
    every = [
        part
        for clip in islice(clips(chosen.archive, float("inf")), chosen.clips)
        for part in utterances(clip.samples, settings.segmentation, detector)
    ]
    figures = measure(directory, every, settings.transcription)
    if chosen.json:
        print(msgspec.json.encode(figures).decode())
        return
    for name, row in figures["readers"].items():
        print(
            f"{name:16} word difference {100 * row['word_difference']:5.2f} %   "
            f"{row['seconds_per_second']:.3f} s a second   up to {SHORT:g} s: median "
            f"{row['short_p50_s']:.2f} s, 95th percentile {row['short_p95_s']:.2f} s"
        )
    print(
        f"{figures['utterances']} utterances, {figures['words']} words, {figures['seconds']} s; "
        f"gscon-live is {figures['times_as_fast']} times as fast as faster-whisper"
    )


if __name__ == "__main__":
    cli.program(main)
