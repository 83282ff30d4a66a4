"""A live session on a machine that is too slow for the words: its answers are in time."""

from pathlib import Path

import pytest
import sessions
from whisper_models import whisper_model

#: Seconds on top of the limit, for what is not reading, on a busy machine.
ROOM = 2.5


def played(recording: Path, *overrides: str) -> sessions.Play:
    """A live session in which reading takes far longer than speaking."""
    plan = sessions.plan_for(
        recording,
        f"transcription.transcriber={whisper_model('tiny.en')}",
        *overrides,
        captions="off",
        live=True,
        speed=1.0,
    )
    play = sessions.Play(plan, services=sessions.built_by(transcribe="stubs:labouring"))
    assert play.go()
    return play


@pytest.mark.alone
@pytest.mark.fault
def test_a_machine_that_is_too_slow_for_the_words(four_utterances: Path) -> None:
    """Words that take too long: answers come within the time without them, and say so."""
    answers = sessions.utterances(played(four_utterances, "recognition.answer_within=3").events)
    assert len(answers) >= 3
    delays = [event.latency.end_of_speech_to_event for event in answers if event.latency]
    assert len(delays) == len(answers)
    # What a reading takes is not known before the first.
    assert max(delays[1:]) <= 3 + ROOM
    without = [event.modalities for event in answers if event.modalities.text.left_out]
    assert len(without) >= 2
    for modalities in without:
        assert modalities.audio.present
        assert "recognition.answer_within" in (modalities.text.left_out or "")
        if not modalities.text.present:
            assert modalities.text.reason == modalities.text.left_out


@pytest.mark.alone
def test_without_a_limit_all_words_come_and_answers_late(four_utterances: Path) -> None:
    answers = sessions.utterances(played(four_utterances, "recognition.answer_within=null").events)
    assert all(event.utterance.text for event in answers)
    assert not any(event.modalities.text.left_out for event in answers)
    assert max(event.latency.end_of_speech_to_event for event in answers if event.latency) > 3
