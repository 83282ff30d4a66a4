"""How well words are recognised that are spoken with emotion: word error rates by emotion.

    python -m realtime.bench.acted_words base ../shared/data/voice/ravdess_speech_16k.zip

The clips are those of RAVDESS (Livingstone & Russo 2018): 24 actors say two sentences with eight
emotions, softly angry or shouting, sad or weeping. They are cut and read as a session does it. The
word error rate is the number of words replaced, left out and put in, over the words of the
sentence.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.model.speech.utterances import utterances
from gscon_live.model.speech.voice_activity import VoiceActivity
from gscon_live.realtime.bench import whisper_model
from gscon_live.realtime.bench.ends import clips
from gscon_live.realtime.bench.transcription import difference, words_of
from gscon_live.realtime.listen.whisper import Whisper

EXAMPLES = """
python -m realtime.bench.acted_words tiny.en ravdess_speech_16k.zip --actors 4
python -m realtime.bench.acted_words ~/models/whisper-base ravdess_speech_16k.zip --json
"""
#: The emotions of RAVDESS, by their number in a file's name.
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgusted",
    "08": "surprised",
}
#: How strongly they are played, by their number.
INTENSITIES = {"01": "", "02": "strongly "}
#: The sentences, by their number.
SENTENCES = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
_NAME = re.compile(r"03-01-(0[1-8])-(0[12])-(0[12])-0[12]-(\d\d)\.flac")

Samples = NDArray[np.float32]
Reader = Callable[[Samples], str | None]


class Acted(NamedTuple):
    """A clip: how the sentence is said, its words, and the sound."""

    manner: str
    words: list[str]
    samples: Samples


class Score(NamedTuple):
    """Clips of a manner: how many there are, were cut in several and had no words; the wrong words,
    and all words that were said."""

    clips: int
    cut: int
    silent: int
    wrong: int
    words: int

    @property
    def rate(self) -> float:
        """The word error rate."""
        return self.wrong / max(1, self.words)


def acted(archive: Path, actors: int) -> list[Acted]:
    """The clips of the first actors. Raises `InputError` where there are none."""
    every = []
    for clip in clips(archive, float("inf")):
        parts = _NAME.fullmatch(clip.reader)
        if parts is not None and int(parts[4]) <= actors:
            manner = INTENSITIES[parts[2]] + EMOTIONS[parts[1]]
            every.append(Acted(manner, words_of(SENTENCES[parts[3]]), clip.samples))
    if not every:
        raise InputError(f"{archive}: no clips of RAVDESS; give ravdess_speech_16k.zip")
    return every


def measure(every: Iterable[Acted], segmentation: Segmentation, reader: Reader) -> dict[str, Score]:
    """The scores of the clips by manner, in the order of their appearance, and last of `all`."""
    detector = VoiceActivity()
    scores: dict[str, Score] = {}
    for clip in every:
        parts = utterances(clip.samples, segmentation, detector)
        heard = words_of(" ".join(reader(part) or "" for part in parts))
        own = Score(1, len(parts) > 1, not heard, difference(heard, clip.words), len(clip.words))
        before = scores.get(clip.manner, Score(0, 0, 0, 0, 0))
        scores[clip.manner] = Score(*map(sum, zip(before, own, strict=True)))
    return {**scores, "all": Score(*map(sum, zip(*scores.values(), strict=True)))}


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser(
        "python -m realtime.bench.acted_words",
        "Measures the recognition of words that are spoken with emotion.",
        EXAMPLES,
    )
    whisper_model.add_arguments(parser, archive="RAVDESS' speech as a ZIP of FLAC files")
    parser.add_argument("--actors", type=int, default=24, help="the number of actors (default: 24)")
    chosen = parser.parse_args(arguments)
    if chosen.actors < 1:
        raise InputError(f"--actors {chosen.actors}: expected a number above 0")
    directory, settings = whisper_model.chosen_model(
        chosen.model, ["transcription.language=en", *chosen.overrides]
    )
    whisper = Whisper(directory, settings.transcription)
    scores = measure(
        acted(chosen.archive, chosen.actors),
        settings.segmentation,
        lambda samples: whisper(samples).text,
    )
    if chosen.json:
        rows = {name: {**row._asdict(), "rate": row.rate} for name, row in scores.items()}
        print(msgspec.json.encode(rows).decode())
        return
    for name, row in scores.items():
        print(
            f"{name:20} {row.clips:5} clips, {row.cut} cut, {row.silent} without words   "
            f"word error rate {100 * row.rate:5.1f} %"
        )


if __name__ == "__main__":
    cli.program(main)
