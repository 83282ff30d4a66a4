"""Two and three people at one microphone are told apart, and an hour does not multiply them."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from spoken import Samples, join, needs_librispeech, phrases_of, readers
from test_segmentation_speech import LONGEST_PAUSE, utterances

from gscon_live.model.encoders.speaker.speaker_clustering import SpeakerClustering
from gscon_live.model.encoders.voice.voice_statistics import VoiceStatistics
from gscon_live.realtime.pipeline.settings import Settings

#: Around the bounds of speech, so many seconds are not judged (NIST's Rich Transcription).
COLLAR = 0.25
STEP = 0.01
MOST = Settings().speakers.max_speakers

STATISTICS = VoiceStatistics()


def heard(samples: Samples) -> np.ndarray:
    return STATISTICS.of(samples)


def diarization_error(
    truth: Sequence[tuple[float, float, str]], said: Sequence[tuple[float, float, str]]
) -> float:
    """Missed, falsely found and confused speech over all speech, by trying every way to match names
    to people; frame by frame."""
    end = max(stop for _, stop, _ in [*truth, *said]) + 1
    times = np.arange(0, end, STEP) + STEP / 2
    people = sorted({name for _, _, name in truth})
    names = sorted({name for _, _, name in said})
    right, found = (np.full(len(times), -1) for _ in range(2))
    judged = np.ones(len(times), bool)
    for rows, track, known in ((truth, right, people), (said, found, names)):
        for start, stop, name in rows:
            track[(times >= start) & (times < stop)] = known.index(name)
    for start, stop, _ in truth:
        for bound in (start, stop):
            judged &= np.abs(times - bound) > COLLAR
    right, found = right[judged], found[judged]
    best = np.inf
    padded = [*range(len(people)), *[-2] * max(0, len(names) - len(people))]
    for chosen in set(itertools.permutations(padded, len(names))):
        mapped = np.array([*chosen, -1])[found]
        best = min(best, np.mean(mapped != right) * len(right) / np.sum(right >= 0))
    return float(best)


@needs_librispeech
@pytest.mark.parametrize("count", [2, 3])
def test_people_who_take_turns_are_told_apart(count: int) -> None:
    rng = np.random.default_rng(5)
    every, errors = readers(), []
    for _ in range(5):
        who = [str(name) for name in rng.choice(every, count, replace=False)]
        parts = [(clip, name) for name in who for clip in phrases_of(name, 10, LONGEST_PAUSE)]
        rng.shuffle(parts)  # type: ignore[arg-type]
        clips = [clip for clip, _ in parts]
        joined, placed = join(clips, rng.uniform(0.8, 1.5, len(clips) + 1), 0.0003, rng)
        speakers, said = SpeakerClustering(MOST), []
        for phrase in utterances(joined):
            name = speakers.final(heard(np.frombuffer(phrase.audio or b"", "<f4")))
            said.append((phrase.start, phrase.end, name))
        truth = [(at.start, at.end, name) for at, (_, name) in zip(placed, parts, strict=True)]
        errors.append(diarization_error(truth, said))
    assert np.mean(errors) <= 0.15


@needs_librispeech
def test_an_hour_of_two_people_does_not_multiply_them() -> None:
    rng = np.random.default_rng(6)
    clips = [clip for name in readers()[:2] for clip in phrases_of(name, 10, LONGEST_PAUSE)]
    speakers, counts = SpeakerClustering(64), []
    said = [
        heard(clip.samples + rng.normal(0, 0.001 * (1 + version), len(clip.samples)).astype("<f4"))
        for clip in clips
        for version in range(4)
    ]
    seconds, names = 0.0, set[str]()
    while seconds < 3600:
        place = int(rng.integers(len(said)))
        names.add(speakers.final(said[place]))
        seconds += clips[place // 4].end - clips[place // 4].start + 1
        counts.append(len(names))
    assert counts[-1] <= 4
    assert counts[-1] == counts[len(counts) // 2]
