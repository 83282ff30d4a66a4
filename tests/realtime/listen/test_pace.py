"""Answers come within a time: what cannot be read until then is left out, and said so."""

from collections.abc import Sequence

import numpy as np
import pytest
from test_transcriber import Counting, Turns, Voices, only, raw, segment

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.listen.transcriber import Transcriber
from gscon_live.realtime.listen.whisper import AGAIN, Outdated, Recognised, Windows
from gscon_live.realtime.listen.whisper_decoder import Word
from gscon_live.realtime.pipeline import messages


class Slow(Counting):
    """A recogniser that takes `cost` seconds for each second of sound, on a clock of its own."""

    def __init__(self, cost: float) -> None:
        super().__init__()
        self.cost = cost
        self.now = 0.0

    def __call__(
        self, samples: np.ndarray, key: int, speaking: bool, outdated: Outdated, again: Windows
    ) -> Recognised:
        self.given.append(samples.tobytes())
        self.again = again
        seconds = len(samples) / SAMPLE_RATE
        self.now += self.cost * seconds
        words = f"words of {seconds:.0f} s"
        return Recognised(words, stable="words", words=(Word("words", 0.1, 0.3, 0.9),))


def transcriber(slow: Slow, within: float | None) -> Transcriber:
    def clock() -> float:
        return slow.now

    return Transcriber(
        slow,
        Counting(),  # type: ignore[arg-type]
        Voices(),
        Turns(),
        clock=clock,
        media_clock=clock,
        answer_within=within,
    )


def overloaded(slow: Slow, within: float | None, count: int = 60) -> list[tuple[float, str, str]]:
    """Utterances of 3 s, one after the other: the delay of each answer, its words, and why some are
    left out. They are heard at their time, and wait for the stage while it works."""
    stage, answers = transcriber(slow, within), []
    for key in range(count):
        end = 3.5 * (key + 1)
        heard = segment(key=key, start=end - 3, end=end, at=end + 0.5, audio=raw(seconds=3.0))
        slow.now = max(slow.now, heard.at)
        utterance = only(list(stage.process(heard)))
        answers.append((slow.now - end, utterance.text, utterance.left_out))
    return answers


def test_without_a_limit_the_delay_grows_on_a_slow_machine() -> None:
    assert overloaded(Slow(cost=2.0), within=None)[-1][0] > 100


@pytest.mark.parametrize("cost", [0.3, 1.3, 2.0, 4.0])
def test_an_answer_comes_within_the_time_and_has_the_words_that_there_is_time_for(
    cost: float,
) -> None:
    answers = overloaded(Slow(cost), within=5.0)
    # Nothing is known of the first reading before it is over, and now and then it is tried again.
    late = [delay for delay, _, _ in answers if delay > 5.0]
    assert len(late) <= len(answers) / 6
    assert max(delay for delay, _, _ in answers) <= 5.0 + 3 * cost
    for _, text, left_out in answers:
        assert bool(text) != bool(left_out)
        if left_out:
            assert left_out == (
                "words left out: they would have come later than 5 s (recognition.answer_within)"
            )
    assert any(text for _, text, _ in answers)
    if cost < 1:
        assert not any(left_out for _, _, left_out in answers)


@pytest.mark.parametrize(("cost", "again"), [(0.05, AGAIN), (0.2, AGAIN[:1]), (0.6, ())])
def test_sound_is_read_again_only_where_there_is_time(cost: float, again: Windows) -> None:
    slow = Slow(cost)
    assert not any(left_out for _, _, left_out in overloaded(slow, within=5.0, count=3))
    assert slow.again == again


class Doubting(Counting):
    """A recogniser that is never sure of words that it read once."""

    def __call__(
        self, samples: np.ndarray, key: int, speaking: bool, outdated: Outdated, again: Windows
    ) -> Recognised:
        self.given.append(again)
        return Recognised("read again" if again else "read once", hasty=not again)


def test_a_replay_reads_again_only_what_is_final() -> None:
    """A session needs the answer soon after a pause. In a replay nobody waits for it."""
    doubting = Doubting()
    stage = Transcriber(doubting, Counting(), Voices(), Turns())  # type: ignore[arg-type]
    assert only(list(stage.process(segment(final=False)))).text == "read once"
    assert only(list(stage.process(segment()))).text == "read again"
    assert doubting.given == [(), AGAIN]


def test_words_that_were_read_while_they_were_spoken_are_used() -> None:
    slow = Slow(cost=0.01)
    stage = transcriber(slow, within=2.0)
    slow.now = 3.0
    so_far = segment(final=False, start=1.0, end=3.0, at=3.0, audio=raw(seconds=2.0))
    spoken = only(list(stage.process(so_far)))
    assert (spoken.text, spoken.stable, spoken.left_out) == ("words of 2 s", "words", "")
    slow.now = 10.0
    final = segment(start=1.0, end=4.0, at=4.5, audio=raw(seconds=3.0))
    answer = only(list(stage.process(final)))
    assert (answer.text, answer.text_source, answer.missing) == ("words of 2 s", "asr", {})
    assert answer.stable == ""
    assert answer.left_out == (
        "words after 3.0 s left out: they would have come later than 2 s "
        "(recognition.answer_within)"
    )


def test_without_any_words_the_answer_has_voice_alone_and_the_reason() -> None:
    slow = Slow(cost=0.01)
    stage = transcriber(slow, within=2.0)
    slow.now = 10.0
    answer = only(list(stage.process(segment())))
    assert answer.text_features is None
    assert answer.audio_features is not None
    assert answer.missing == {"text": answer.left_out}
    assert answer.text_source == "none"


def test_words_so_far_are_read_only_where_it_takes_little() -> None:
    slow = Slow(cost=1.0)
    stage = transcriber(slow, within=None)

    def speak(key: int, end: float) -> messages.Utterance:
        so_far = segment(final=False, key=key, end=end, at=end, audio=raw(seconds=end))
        return only(list(stage.process(so_far)))

    assert speak(1, 2.0).text == "words of 2 s"
    # The last words stay while the next are not read.
    assert speak(1, 2.5).text == "words of 2 s"
    other = speak(2, 2.0)
    assert other.missing == {"text": "the words are read when the utterance ends"}
    assert other.left_out == ""
    # It is tried again: the machine may have been busy with something else.
    slow.cost = 0.01
    assert any(speak(key, 2.0).text for key in range(3, 40))


def test_words_so_far_that_come_too_late_are_not_read() -> None:
    slow = Slow(cost=0.01)
    stage = transcriber(slow, within=None)
    so_far = segment(final=False, end=3.0, at=3.0)
    at_a_pause = segment(final=False, end=3.0, at=3.16)
    for now, stale in ((3.1, False), (9.0, True)):
        slow.now = now
        waiting: Sequence[messages.AnyMessage] = []
        assert stage.stale(so_far, waiting) == stale
        assert not stage.stale(at_a_pause, waiting)


def test_words_have_media_times_within_their_utterance() -> None:
    stage = transcriber(Slow(cost=0.0), within=None)
    # 2 s of sound: 0.9 s before the end of the utterance at 3.1 s there is the sound's middle.
    heard = segment(start=1.3, end=3.0, at=3.5, audio=raw(seconds=2.0))
    utterance = only(list(stage.process(heard)))
    assert utterance.words == [messages.TimedWord("words", 1.3, 1.4, 0.9)]
