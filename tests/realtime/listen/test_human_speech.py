"""Real human speech through the real command: every sentence is heard, and in the right words."""

import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from spoken import (
    Placed,
    Sentence,
    held_out_sentences,
    join,
    loud_frames,
    needs_ravdess,
    runs,
    whole,
    word_error_rate,
    write_wav,
)
from whisper_models import whisper_model

from gscon_live.realtime.events import schema

#: Seconds between the recordings, which are quiet at both ends themselves.
GAP = 1.2
#: Amplitude of the noise under everything: digital silence, the hardest for the detector.
BACKGROUND = 0.0
#: A recording with a longer pause in it may well be two utterances; it is left out (seconds).
LONGEST_PAUSE = 0.35


class Replayed(NamedTuple):
    """Where the sentences lie, the final events, and all events."""

    placed: list[Placed]
    finals: list[schema.UtteranceEvent]
    every: list[schema.AnyEvent]


def unbroken(sentence: Sentence) -> bool:
    """Whether it is said in one go."""
    return len(runs(loud_frames(sentence.samples), LONGEST_PAUSE)) == 1


@pytest.fixture(scope="module")
def said() -> list[Sentence]:
    """Recordings of four actors in all eight emotions."""
    return [sentence for sentence in held_out_sentences(range(1, 9), each=1) if unbroken(sentence)]


@pytest.fixture(scope="module")
def replayed(said: list[Sentence], tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """One replay of all of them, one after another."""
    folder = tmp_path_factory.mktemp("human")
    rng = np.random.default_rng(7)
    sound, placed = join(
        [whole(sentence.samples) for sentence in said], [GAP] * (len(said) + 1), BACKGROUND, rng
    )
    write_wav(folder / "joined.wav", sound)
    line = f"--captions off --transcriber {whisper_model('tiny.en')} --events out.jsonl"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "gscon_live.realtime.replay",
            "joined.wav",
            *line.split(),
            "--quiet",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    every = [schema.decode(line) for line in (folder / "out.jsonl").read_bytes().splitlines()]
    finals = [event for event in every if isinstance(event, schema.UtteranceEvent)]
    return Replayed(placed, finals, every)


pytestmark = needs_ravdess


def _over(place: Placed, finals: list[schema.UtteranceEvent]) -> list[schema.UtteranceEvent]:
    return [
        event
        for event in finals
        if event.utterance.start < place.end and event.utterance.end > place.start
    ]


def test_the_recordings_are_many_and_balanced(said: list[Sentence]) -> None:
    assert len(said) >= 48
    assert {sentence.actor for sentence in said} == {21, 22, 23, 24}
    assert len({sentence.words for sentence in said}) == 2


def test_every_sentence_is_one_utterance(
    replayed: Replayed,
) -> None:
    placed, finals, _ = replayed
    assert [len(_over(place, finals)) for place in placed] == [1] * len(placed)
    assert len(finals) == len(placed)


def test_the_words_are_right(
    said: list[Sentence],
    replayed: Replayed,
) -> None:
    placed, finals, _ = replayed
    heard = [" ".join(event.utterance.text for event in _over(place, finals)) for place in placed]
    rate = word_error_rate(
        (sentence.words, text) for sentence, text in zip(said, heard, strict=True)
    )
    assert rate <= 0.1
    assert {sentence.words for sentence in said} <= set(heard)
    assert all(event.utterance.text_source == "asr" for event in finals if event.utterance.text)


def test_what_is_there_is_said_and_what_is_missing_has_a_reason(replayed: Replayed) -> None:
    for event in replayed.finals:
        text, audio, visual = (
            event.modalities.text,
            event.modalities.audio,
            event.modalities.visual,
        )
        assert text.present == bool(event.utterance.text)
        assert text.present or text.reason
        assert audio.present
        assert not visual.present
        assert visual.reason
    ended = replayed.every[-1]
    assert isinstance(ended, schema.SessionEnded)
    assert ended.complete
    assert ended.utterances == len(replayed.finals)
