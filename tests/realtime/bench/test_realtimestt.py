"""The delay of the final words beside RealtimeSTT: what belongs to which clip, and what is refused.

RealtimeSTT itself is not among the test packages.
"""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoken import LIBRISPEECH, needs_librispeech
from whisper_models import whisper_model

from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.realtime.bench import realtimestt
from gscon_live.realtime.bench.realtimestt import Answer, alternating, of_clips, session_answers
from gscon_live.realtime.pipeline.settings import Settings

RATE = 16_000


@given(
    st.lists(st.tuples(st.floats(0.5, 5.0), st.floats(0.5, 8.0)), min_size=1, max_size=8),
    st.lists(st.floats(0.0, 100.0), max_size=20),
)
def test_an_answer_belongs_to_the_clip_that_began_last(
    lengths: list[tuple[float, float]], ends: list[float]
) -> None:
    places, at = [], 0
    for gap, length in lengths:
        start = at + round(gap * RATE)
        at = start + round(length * RATE)
        places.append((start, at))
    answers = [Answer(end, end + 1, "yes") for end in ends]
    clips = of_clips(answers, places)
    assert sum(map(len, clips)) == sum(end * RATE > places[0][0] for end in ends)
    for own, (start, _), following in zip(clips, places, [*places[1:], None], strict=True):
        for answer in own:
            assert start < answer.end * RATE
            assert following is None or answer.end * RATE <= following[0]


@needs_librispeech
def test_a_session_answers_every_clip_of_readers_in_turn(tmp_path: Path) -> None:
    joined = alternating(LIBRISPEECH, 3)
    recording = tmp_path / "clips.wav"
    realtimestt._write(recording, joined)
    model = f"transcription.transcriber={whisper_model('tiny.en')}"
    answers = session_answers(recording, loader.load("live", Settings, [model]))
    for own, (_, end) in zip(of_clips(answers, joined.places), joined.places, strict=True):
        assert " ".join(answer.text for answer in own).strip()
        assert all(answer.at > answer.end for answer in own)
        assert own[-1].end == pytest.approx(end / RATE, abs=0.25)


@needs_librispeech
def test_more_clips_than_there_are_and_no_clips_are_refused() -> None:
    with pytest.raises(InputError, match="clips of up to 8 s; give --clips"):
        alternating(LIBRISPEECH, 10_000)
    with pytest.raises(InputError, match="--clips 0: expected a number above 0"):
        realtimestt.main(["tiny.en", str(LIBRISPEECH), "--clips", "0"])


def test_a_python_without_realtimestt_and_no_python_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it has no RealtimeSTT; pip install"):
        realtimestt.realtimestt_answers(tmp_path / "a.wav", "model", "int8", sys.executable)
    with pytest.raises(InputError, match="No such file or directory; give a Python"):
        realtimestt.realtimestt_answers(tmp_path / "a.wav", "model", "int8", "/nowhere/python")
