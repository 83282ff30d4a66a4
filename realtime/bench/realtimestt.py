"""How soon the final words come, beside RealtimeSTT.

    python -m realtime.bench.realtimestt base ../shared/data/speech/librispeech_10x10.zip

Read clips of all readers in turn, with silence between them, are played in real time, first to
RealtimeSTT, then to a live session, with the same weights and type of numbers. All else is as each
ships. The delay of a clip is the time from the end of its voice until its last final text. Silence
that somebody waits for is part of it.

RealtimeSTT (https://github.com/KoljaB/RealtimeSTT) is no dependency of this project. It may be in
another environment, whose Python `--python` names.
"""

import json
import os
import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from gscon_live.common import cli
from gscon_live.common.errors import Failure, InputError
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.bench import ends, realtimestt_reader, whisper_model
from gscon_live.realtime.bench.measure import RecordedSession, plan_for
from gscon_live.realtime.bench.transcription import difference, plain, words_of
from gscon_live.realtime.pipeline.settings import Settings

EXAMPLES = """
python -m realtime.bench.realtimestt base librispeech_10x10.zip --python other/bin/python
python -m realtime.bench.realtimestt tiny.en librispeech_10x10.zip --clips 10 --json
"""
REMEDY = 'pip install "RealtimeSTT[faster-whisper,silero-vad]"'
#: Clips up to so many seconds are read.
LONGEST = 8.0


class Answer(NamedTuple):
    """A final text: the end of its utterance and when it came, in seconds of the recording."""

    end: float
    at: float
    text: str


def alternating(archive: Path, count: int) -> ends.Joined:
    """So many clips, one of each reader in turn, joined with silence.

    Raises:
        InputError: the archive cannot be read, or has fewer.
    """
    readers = ends.by_reader(ends.clips(archive, LONGEST)).values()
    every = [clip for turn in zip_longest(*readers) for clip in turn if clip is not None]
    if len(every) < count:
        raise InputError(
            f"{archive}: {len(every)} clips of up to {LONGEST:g} s; give --clips {len(every)}"
        )
    return ends.join("all", [ends.trimmed(clip) for clip in every[:count]], ends.GAPS)


def session_answers(recording: Path, settings: Settings) -> list[Answer]:
    """The answers of a live session."""
    session = RecordedSession(plan_for(recording, settings, captions="off", live=True)).run()
    return [
        Answer(event.utterance.end, at - session.started, event.utterance.text or "")
        for at, event in session.utterances()
    ]


def realtimestt_answers(recording: Path, directory: str, numbers: str, python: str) -> list[Answer]:
    """The answers of RealtimeSTT.

    Raises:
        InputError: this Python has no RealtimeSTT.
        Failure: it ended with an error.
    """
    try:
        there = subprocess.run([python, "-c", "import RealtimeSTT"], capture_output=True)
    except OSError as error:
        raise InputError(f"--python {python}: {error.strerror}; give a Python") from None
    if there.returncode:
        raise InputError(f"--python {python}: it has no RealtimeSTT; {REMEDY}, or name another")
    done = subprocess.run(
        [python, realtimestt_reader.__file__, str(recording), directory, numbers],
        # The modules beside the script must not hide packages of the same name.
        env=os.environ | {"PYTHONSAFEPATH": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failure(f"RealtimeSTT ended with {done.returncode}: {last}")
    texts = [json.loads(line) for line in done.stdout.splitlines()]
    return [Answer(final["until"], final["at"], final["text"]) for final in texts]


def of_clips(answers: Sequence[Answer], places: Sequence[tuple[int, int]]) -> list[list[Answer]]:
    """The answers of each clip: those whose utterance ended after the clip began and before the
    next one did."""
    begins = [start / SAMPLE_RATE for start, _ in places]
    clips: list[list[Answer]] = [[] for _ in places]
    for answer in answers:
        clip = int(np.searchsorted(begins, answer.end)) - 1
        if clip >= 0:
            clips[clip].append(answer)
    return clips


def _figures(
    clips: Sequence[Sequence[Answer]],
    places: Sequence[tuple[int, int]],
    reference: Sequence[Sequence[str]],
) -> dict[str, float]:
    delays = [
        max(answer.at for answer in own) - end / SAMPLE_RATE
        for own, (_, end) in zip(clips, places, strict=True)
        if own
    ] or [float("nan")]
    words = [words_of(" ".join(answer.text for answer in own)) for own in clips]
    wrong = sum(difference(own, other) for own, other in zip(words, reference, strict=True))
    return {
        "delay_p50_s": round(float(np.percentile(delays, 50)), 3),
        "delay_p95_s": round(float(np.percentile(delays, 95)), 3),
        "word_difference": round(wrong / max(1, sum(map(len, reference))), 4),
        "clips_without_words": sum(not own for own in words),
        "clips_cut_in_two": sum(len(own) > 1 for own in clips),
    }


def measure(joined: ends.Joined, directory: str, settings: Settings, python: str) -> dict[str, Any]:
    """The figures of both. The reference of the words is faster-whisper in 32-bit floating point,
    which reads each clip by itself."""
    with tempfile.TemporaryDirectory(prefix="gscon-bench-") as folder:
        recording = Path(folder) / "clips.wav"
        _write(recording, joined)
        numbers = settings.transcription.compute_type
        theirs = realtimestt_answers(recording, directory, numbers, python)
        own = session_answers(recording, settings)
    read = plain(directory, settings.transcription, "float32")
    reference = [words_of(read(joined.samples[start:end])) for start, end in joined.places]
    figures = {
        name: _figures(of_clips(answers, joined.places), joined.places, reference)
        for name, answers in (("gscon-live", own), ("RealtimeSTT", theirs))
    }
    return {
        "clips": len(joined.places),
        "seconds": round(len(joined.samples) / SAMPLE_RATE, 1),
        "words": sum(map(len, reference)),
        "readers": figures,
        "delay_ratio": round(
            figures["RealtimeSTT"]["delay_p50_s"] / figures["gscon-live"]["delay_p50_s"], 2
        ),
        "seed": 0,
    }


def _write(path: Path, joined: ends.Joined) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((joined.samples.clip(-1, 1) * 32767).astype("<i2").tobytes())


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser(
        "python -m realtime.bench.realtimestt",
        "Measures how soon the final words come, beside RealtimeSTT.",
        EXAMPLES,
    )
    whisper_model.add_arguments(parser, archive="ZIP of FLAC files, a folder for each reader")
    parser.add_argument("--clips", type=int, default=30, help="number of clips (default: 30)")
    parser.add_argument(
        "--python", default=sys.executable, help="a Python with RealtimeSTT (default: this one)"
    )
    chosen = parser.parse_args(arguments)
    if chosen.clips < 1:
        raise InputError(f"--clips {chosen.clips}: expected a number above 0")
    directory, settings = whisper_model.chosen_model(
        chosen.model, ["transcription.language=en", *chosen.overrides]
    )
    joined = alternating(chosen.archive, chosen.clips)
    figures = measure(joined, directory, settings, chosen.python)
    if chosen.json:
        print(msgspec.json.encode(figures).decode())
        return
    for name, row in figures["readers"].items():
        print(
            f"{name:12} end of the voice to the final words: median {row['delay_p50_s']:.2f} s, "
            f"95th percentile {row['delay_p95_s']:.2f} s   "
            f"word difference {100 * row['word_difference']:.1f} %   "
            f"cut in two {row['clips_cut_in_two']}   without words {row['clips_without_words']}"
        )
    print(
        f"{figures['clips']} clips, {figures['words']} words, {figures['seconds']} s; "
        f"RealtimeSTT's median delay is {figures['delay_ratio']} times that of gscon-live"
    )


if __name__ == "__main__":
    cli.program(main)
