"""How soon the end of an utterance is known, and how many are cut in two.

    python -m realtime.bench.ends ../shared/data/speech/librispeech_10x10.zip

It joins read clips, with their own pauses, silence between them and faint noise under all, and cuts
them with the session's settings. A clip is cut in two where more than one utterance lies over it.
The delay is the time from the end of the voice until the end is known. Fixed silences are compared
with the rule of `model.speech.finished`, both as it ships and with weights that were fitted without
the reader on which they are tried. Clips that are longer than `max_utterance` are left out.

It also lets two readers take turns. A turn is merged where one utterance lies over it and the next
person's. The last rule cuts utterances where the voice changes, too, as sessions do.
"""

import io
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.model.encoders.speaker.voice_change import VoiceChange
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech import finished
from gscon_live.model.speech.endpoint_detector import (
    EndpointDetector,
    Part,
    Segmentation,
    Speech,
    VoiceChanges,
)
from gscon_live.model.speech.voice_activity import WINDOW, WINDOW_SECONDS, VoiceActivity
from gscon_live.realtime.pipeline.settings import Settings

EXAMPLES = """
python -m realtime.bench.ends librispeech_10x10.zip
python -m realtime.bench.ends librispeech_10x10.zip segmentation.max_hangover=0.9 --json
"""
#: Silence between two clips, in seconds; the longest hangover that is tried is shorter.
GAPS = (1.5, 2.5)
#: Amplitude of the noise under all.
NOISE = 1e-4
#: The fixed hangovers, in seconds.
FIXED = (0.5, 0.7, 0.9, 1.0, 1.1)
#: Silence between the turns of two readers, in seconds; turns are clips up to so many seconds.
TURN_GAPS, LONGEST_TURN = (0.3, 1.2), 8.0
#: Utterances lie over a clip where they share so many seconds with it.
SHARED = 0.25
#: Shorter pauses tell nothing: no setting ends an utterance there.
SHORTEST_PAUSE = 0.3

Samples = NDArray[np.float32]


class Clip(NamedTuple):
    """A reader's name, and the sound."""

    reader: str
    samples: Samples


class Joined(NamedTuple):
    """All clips of a reader, or of two who take turns, in one sound, and the samples at which each
    begins and ends."""

    reader: str
    samples: Samples
    places: list[tuple[int, int]]


class Rule(NamedTuple):
    """How utterances end."""

    settings: Segmentation
    weights: finished.Weights = finished.FITTED
    changes: VoiceChanges | None = None


class Heard(NamedTuple):
    """For each clip: whether it was cut in two, and the delay of its end in seconds."""

    cut: list[bool]
    delays: list[float]


class Known(NamedTuple):
    """A pause of a reader, and whether it was the end."""

    reader: str
    pause: finished.Pause
    end: bool


def clips(archive: Path, longest: float) -> list[Clip]:
    """The FLAC files of an archive, a folder for each reader, up to `longest` seconds."""
    if not archive.is_file():
        raise InputError(f"{archive}: no such file; give a ZIP of FLAC files, a folder per reader")
    try:
        with zipfile.ZipFile(archive) as zipped:
            names = sorted(name for name in zipped.namelist() if name.endswith(".flac"))
            every = [Clip(name.split("/")[0], _decoded(zipped.read(name))) for name in names]
    except (zipfile.BadZipFile, av.error.FFmpegError) as error:
        raise InputError(f"{archive}: cannot be read ({error}); give a ZIP of FLAC files") from None
    return [clip for clip in every if len(clip.samples) < longest * SAMPLE_RATE]


def _decoded(raw: bytes) -> Samples:
    with av.open(io.BytesIO(raw)) as media:
        frames = [frame.to_ndarray().ravel() for frame in media.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32) / np.float32(2**15)


def join(name: str, every: Sequence[Clip], gaps: tuple[float, float]) -> Joined:
    """Clips one after the other, with a gap before each that lies between these."""
    rng = np.random.default_rng(0)
    pieces, places, at = list[Samples](), list[tuple[int, int]](), 0
    for clip in every:
        gap = np.zeros(round(rng.uniform(*gaps) * SAMPLE_RATE), np.float32)
        places.append((at + len(gap), at + len(gap) + len(clip.samples)))
        pieces += [gap, clip.samples]
        at = places[-1][1]
    pieces.append(np.zeros(round(GAPS[1] * SAMPLE_RATE), np.float32))
    sound = np.concatenate(pieces)
    sound = sound[: len(sound) // WINDOW * WINDOW]
    return Joined(name, (sound + rng.normal(0, NOISE, len(sound))).astype(np.float32), places)


def by_reader(every: Sequence[Clip]) -> dict[str, list[Clip]]:
    """The clips of each reader."""
    names = sorted({clip.reader for clip in every})
    return {name: [clip for clip in every if clip.reader == name] for name in names}


def trimmed(clip: Clip) -> Clip:
    """A clip without the silence before and after the voice."""
    sound = clip.samples[: len(clip.samples) // WINDOW * WINDOW]
    voiced = np.flatnonzero(VoiceActivity()(sound) >= Segmentation().threshold)
    return Clip(clip.reader, sound[voiced[0] * WINDOW : (voiced[-1] + 1) * WINDOW])


def conversations(every: Sequence[Clip]) -> list[Joined]:
    """Every two readers who follow one another in the list take turns."""
    short = [trimmed(clip) for clip in every if len(clip.samples) <= LONGEST_TURN * SAMPLE_RATE]
    readers = list(by_reader(short).items())
    talks = []
    for (first, theirs), (second, others) in pairwise(readers):
        turns = [clip for both in zip(theirs, others, strict=False) for clip in both]
        talks.append(join(f"{first} and {second}", turns, TURN_GAPS))
    return talks


def merged(talk: Joined, rule: Rule) -> list[bool]:
    """For each turn but the last: whether an utterance lies over it and the next."""
    utterances = parts(talk.samples, rule)
    over = [
        {
            part.speech.start
            for part in utterances
            if min(part.end, end) - max(part.speech.start, start) > SHARED * SAMPLE_RATE
        }
        for start, end in talk.places
    ]
    return [bool(here & there) for here, there in pairwise(over)]


def parts(sound: Samples, rule: Rule) -> list[Part]:
    """The utterances of a sound."""

    def is_finished(speech: Speech) -> float:
        return rule.weights.probability(speech.pause())

    endpoints = EndpointDetector(
        rule.settings, VoiceActivity(), is_finished=is_finished, changes=rule.changes
    )
    return [
        part
        for start in range(0, len(sound), WINDOW)
        for part in endpoints.step(sound[start : start + WINDOW], start)
        if isinstance(part, Part) and part.final
    ]


def heard(joined: Joined, rule: Rule) -> Heard:
    """What becomes of a reader's clips."""
    utterances = parts(joined.samples, rule)
    cut, delays = [], []
    for start, end in joined.places:
        over = [part for part in utterances if part.speech.start < end and part.end > start]
        cut.append(len(over) > 1)
        if over:
            delays.append((over[-1].at - over[-1].end) / SAMPLE_RATE)
    return Heard(cut, delays)


def pauses(joined: Joined, settings: Segmentation) -> list[Known]:
    """All pauses of a reader's clips that could be taken for the end, and the ends."""
    patient = msgspec.structs.replace(settings, hangover=GAPS[0] - 0.1, max_hangover=0.0)
    known = []
    for part in parts(joined.samples, Rule(patient)):
        levels = np.array(part.speech.levels)
        silent = np.isnan(levels)
        edges = np.flatnonzero(np.diff(silent.astype(np.int8), append=0))
        begins = [int(edge) + 1 for edge in edges if not silent[edge]]
        for begin in begins:
            length = int(np.argmin(np.append(silent[begin:], False)))
            if length * WINDOW_SECONDS < SHORTEST_PAUSE:
                continue
            voiced = levels[:begin][~silent[:begin]]
            pause = finished.pause(voiced, begin * WINDOW_SECONDS)
            known.append(Known(joined.reader, pause, begin + length == len(levels)))
    return known


def fit(known: Sequence[Known], penalty: float = 1.0) -> finished.Weights:
    """The weights by logistic regression: ends and other pauses count alike in sum. The penalty on
    the squared weights is for standardised values."""
    values = np.array([(np.log(row.pause.seconds), row.pause.fall) for row in known])
    ends = np.array([row.end for row in known])
    mean, spread = values.mean(0), values.std(0)
    rows = np.column_stack([(values - mean) / spread, np.ones(len(values))])
    share = np.where(ends, 0.5 / ends.mean(), 0.5 / (1 - ends.mean()))
    weights = np.zeros(3)
    for _ in range(20):  # Newton's method; the problem is convex
        likely = 1 / (1 + np.exp(-rows @ weights))
        ridge = penalty * np.array([1, 1, 0])
        slope = rows.T @ (share * (likely - ends)) + ridge * weights
        bend = (rows.T * (share * likely * (1 - likely))) @ rows + np.diag(ridge)
        weights = weights - np.linalg.solve(bend, slope)
    length, fall = weights[:2] / spread
    bias = weights[2] - float(mean @ (weights[:2] / spread))
    return finished.Weights(float(length), float(fall), float(bias))


def _row(name: str, every: Sequence[Heard], merges: Sequence[bool]) -> dict[str, Any]:
    cut = [flag for case in every for flag in case.cut]
    delays = [delay for case in every for delay in case.delays]
    return {
        "rule": name,
        "clips": len(cut),
        "cut_in_two": round(float(np.mean(cut)), 3),
        "delay_mean_s": round(float(np.mean(delays)), 3),
        "delay_p95_s": round(float(np.percentile(delays, 95)), 3),
        "turns_merged": round(float(np.mean(merges)), 3),
    }


def measure(archive: Path, settings: Segmentation) -> dict[str, Any]:
    """The table of rules, and the weights fitted on all readers."""
    every = clips(archive, settings.max_utterance)
    joined = [join(name, own, GAPS) for name, own in by_reader(every).items()]
    if len(joined) < 2:
        raise InputError(f"{archive}: clips of one reader; give those of two readers or more")
    talks = conversations(every)
    known = [row for reader in joined for row in pauses(reader, settings)]

    def row(name: str, rules: Sequence[Rule]) -> dict[str, Any]:
        """A rule for each reader; that of the first is taken for the turns."""
        cases = [heard(reader, rule) for reader, rule in zip(joined, rules, strict=True)]
        return _row(name, cases, [flag for talk in talks for flag in merged(talk, rules[0])])

    rows = []
    for silence in FIXED:
        fixed = msgspec.structs.replace(settings, hangover=silence, max_hangover=0.0)
        rows.append(row(f"fixed {silence:g} s", [Rule(fixed)] * len(joined)))
    adaptive = f"{settings.hangover:g} to {settings.max_hangover:g} s"
    left_out = [
        Rule(settings, fit([pause for pause in known if pause.reader != reader.reader]))
        for reader in joined
    ]
    rows.append(row(f"{adaptive}, reader left out", left_out))
    rows.append(row(f"{adaptive}, as it ships", [Rule(settings)] * len(joined)))
    changes = VoiceChange(AudioEncoder().statistics)
    shipped = [Rule(settings, changes=changes)] * len(joined)
    rows.append(row("... and where the voice changes", shipped))
    return {
        "rules": rows,
        "turns": sum(len(talk.places) - 1 for talk in talks),
        "pauses": len(known),
        "ends": sum(pause.end for pause in known),
        "weights": {name: round(value, 3) for name, value in fit(known)._asdict().items()},
        "seed": 0,
    }


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser("python -m realtime.bench.ends", "Measures ends of utterances.", EXAMPLES)
    parser.add_argument("archive", type=Path, help="ZIP of FLAC files, a folder for each reader")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    chosen = parser.parse_args(arguments)
    settings = loader.load("live", Settings, chosen.overrides)
    figures = measure(chosen.archive, settings.segmentation)
    if chosen.json:
        print(msgspec.json.encode(figures).decode())
        return
    for row in figures["rules"]:
        print(
            f"{row['rule']:32} cut in two {100 * row['cut_in_two']:5.1f} %   "
            f"delay {row['delay_mean_s']:.2f} s, 95th percentile {row['delay_p95_s']:.2f} s   "
            f"turns merged {100 * row['turns_merged']:5.1f} %"
        )
    print(
        f"{figures['rules'][0]['clips']} clips, {figures['turns']} changes of turn; "
        f"{figures['pauses']} pauses, {figures['ends']} of them ends; "
        f"weights of all readers: {figures['weights']}"
    )


if __name__ == "__main__":
    cli.program(main)
