"""Acoustic statistics of the corpora, cut by the live pipeline's detector, in the order of a
conversation."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.model.encoders.voice.relative_voice import RelativeVoice
from gscon_live.model.encoders.voice.voice_statistics import VoiceStatistics
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.model.speech.utterances import longest_utterance
from gscon_live.model.speech.voice_activity import VoiceActivity
from gscon_live.train.corpora import corpus_file, librispeech
from gscon_live.train.corpora.voice_corpora import VOICE_CORPORA
from gscon_live.train.data.feature_banks import cached, fingerprint
from gscon_live.train.progress import Report

#: How clips are cut: as in a live session.
CUT = Segmentation()
#: The neutral readers' name among the corpora.
READERS = "librispeech"
#: Utterances in a row that a speaker spends in one emotion, where moods are long.
MOOD = 10
#: Version of the cached statistics.
_VERSION = 2

Statistics = NDArray[np.float64]


@dataclass(frozen=True)
class Voices:
    """Utterances of a corpus: statistics [n, dim], speakers [n], their genders [n] ("women", "men";
    empty where the corpus does not tell), emotions [n]."""

    statistics: Statistics
    speakers: NDArray[np.str_]
    genders: NDArray[np.str_]
    emotions: NDArray[np.int64]


def voices(name: str, report: Report) -> Voices:
    """The longest utterance of each clip of a corpus, or of `READERS`, who are neutral; computed or
    from the user's cache. Clips without speech are left out. Raises `InputError` where the corpus
    is missing."""
    if name == READERS:
        file, count = librispeech.FILE, librispeech.COUNT
    else:
        file, count = VOICE_CORPORA[name].file, VOICE_CORPORA[name].count

    def make() -> dict[str, NDArray[np.generic]]:
        detector, statistics = VoiceActivity(), VoiceStatistics()
        rows, speakers, genders, emotions = [], [], [], []
        for number, (speaker, gender, emotion, sound) in enumerate(_clips(name)):
            utterance = longest_utterance(sound, detector, settings=CUT)
            if utterance is not None:
                rows.append(statistics.of(utterance))
                speakers.append(speaker)
                genders.append(gender)
                emotions.append(emotion)
            report(number + 1, count, f"voices of {name}")
        return {
            "statistics": np.stack(rows).astype(np.float64),
            "speakers": np.array(speakers),
            "genders": np.array(genders),
            "emotions": np.array(emotions),
        }

    cut = msgspec.json.encode(CUT).decode()
    parts = (_VERSION, name, VoiceStatistics.identity, fingerprint(corpus_file(file)), cut)
    key = "\n".join(map(str, parts))
    return Voices(**cached("voice-statistics", key, make))  # type: ignore[arg-type]


def in_conversation(
    model: RelativeVoice, spoken: Voices, order: Iterable[int]
) -> tuple[Statistics, NDArray[np.float64], NDArray[np.int64]]:
    """What the model reads where the utterances are spoken in an order: statistics relative to each
    speaker's baseline [n, dim], how much of it is the speaker's own [n], and how many utterances of
    the speaker came before [n]."""
    rows, baseline = model.standardised(spoken.statistics), model.baseline()
    relative, known = np.zeros_like(rows), np.zeros(len(rows))
    before, counts = np.zeros(len(rows), np.int64), dict[str, int]()
    for row in order:
        speaker = str(spoken.speakers[row])
        known[row] = baseline.known(speaker)
        relative[row] = baseline.relative(rows[row], speaker)
        baseline.add(rows[row], speaker)
        before[row] = counts.get(speaker, 0)
        counts[speaker] = before[row] + 1
    return relative, known, before


def drawn(spoken: Voices, random: np.random.Generator) -> NDArray[np.int64]:
    """A random order."""
    return random.permutation(len(spoken.emotions))


def in_moods(spoken: Voices, random: np.random.Generator, length: int = MOOD) -> NDArray[np.int64]:
    """A random order in which each speaker stays in an emotion for `length` utterances."""
    order: list[int] = []
    shuffled = drawn(spoken, random)
    for speaker in dict.fromkeys(spoken.speakers.tolist()):
        own = shuffled[spoken.speakers[shuffled] == speaker]
        stretches = [
            rows[first : first + length]
            for emotion in range(len(EMOTIONS))
            for rows in [own[spoken.emotions[own] == emotion]]
            for first in range(0, len(rows), length)
        ]
        for place in random.permutation(len(stretches)):
            order += stretches[place].tolist()
    return np.array(order)


def _clips(name: str) -> Iterable[tuple[str, str, int, NDArray[np.float32]]]:
    """Speaker, gender, emotion and sound of each clip."""
    if name == READERS:
        for speaker, sound in librispeech.load():
            yield f"{READERS}-{speaker}", "", EMOTIONS.index("neutral"), sound
    else:
        for clip, sound in VOICE_CORPORA[name].read():
            yield clip.speaker, clip.gender, clip.emotion, sound
