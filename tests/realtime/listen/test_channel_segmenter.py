"""Each channel is cut by itself: those who speak at once have an utterance each."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.model.speech.voice_activity import WINDOW, WINDOW_SECONDS
from gscon_live.realtime import sample
from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.listen.channel_segmenter import ChannelSegmenter
from gscon_live.realtime.listen.segmenter import Segmenter
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.settings import Recording

Samples = NDArray[np.float32]
LONG = Segmentation(max_hangover=0.5)


class Loud:
    """A detector to which every loud window is voice."""

    def reset(self) -> None:
        """It remembers nothing."""

    def __call__(self, samples: Samples) -> Samples:
        return (np.abs(samples).max(keepdims=True) > 0.01).astype(np.float32)


def channel(
    seconds: float, *spoken: tuple[float, float], level: float = 0.1, seed: int = 0
) -> Samples:
    """Noise of a level where somebody speaks, from a start to an end in seconds, else silence."""
    random = np.random.default_rng([seed, round(1000 * sum(map(sum, spoken)))])
    made = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    for start, end in spoken:
        first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        made[first:last] = random.normal(0, level, last - first)
    return made


def cut(sound: Samples, size: int = 4000) -> list[messages.AudioChunk]:
    return [
        messages.AudioChunk(at / SAMPLE_RATE, sound[:, at : at + size].tobytes(), len(sound))
        for at in range(0, sound.shape[1], size)
    ]


def heard(
    sound: Samples, size: int = 4000, settings: Segmentation = LONG, in_order: bool = True
) -> list[messages.Message]:
    names = [f"S{number + 1}" for number in range(len(sound))]
    detectors = [Loud() for _ in names]
    stage = ChannelSegmenter(settings, names, detectors, in_order)  # type: ignore[arg-type]
    made = [answer for chunk in cut(sound, size) for answer in stage.process(chunk)]
    return [*made, *stage.flush()]


def utterances(made: Sequence[messages.Message]) -> list[messages.Segment]:
    return [m for m in made if isinstance(m, messages.Segment) and m.final]


def bounds(made: Sequence[messages.Message]) -> list[tuple[str | None, float, float]]:
    return [(one.speaker, one.start, one.end) for one in utterances(made)]


def test_those_who_speak_at_once_have_an_utterance_each() -> None:
    sound = np.stack([channel(5, (1.024, 3.008)), channel(5, (2.016, 4.0))])
    first, second = utterances(heard(sound))
    assert (first.speaker, second.speaker) == ("S1", "S2")
    assert [first.start, first.end] == pytest.approx([1.024, 3.008], abs=0.033)
    assert [second.start, second.end] == pytest.approx([2.016, 4.0], abs=0.033)
    # Each has the sound of its own channel, and tells how long both spoke.
    for own, segment in zip(sound, (first, second), strict=True):
        assert segment.audio is not None
        samples = np.frombuffer(segment.audio, np.float32)
        begin = round((segment.start - 0.2) * SAMPLE_RATE)
        assert np.array_equal(samples, own[begin : begin + len(samples)])
        assert segment.overlap == pytest.approx(0.992, abs=0.065)


def test_those_who_take_turns_do_not_overlap() -> None:
    made = heard(np.stack([channel(6, (1, 2), (4, 5)), channel(6, (2.5, 3.5))]))
    assert [one.speaker for one in utterances(made)] == ["S1", "S2", "S1"]
    assert [one.overlap for one in utterances(made)] == [0.0, 0.0, 0.0]


def test_keys_are_unique_although_both_begin_together() -> None:
    made = heard(np.stack([channel(3, (1, 2)), channel(3, (1, 2), seed=1)]))
    started = [m.key for m in made if isinstance(m, messages.SpeechStarted)]
    assert len(set(started)) == len(started) == 2
    assert sorted(started) == sorted(one.key for one in utterances(made))


def random_sound(seed: int, channels: int = 3, seconds: float = 25.0) -> Samples:
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(channels):
        at, spoken = 0.0, []
        while (begin := at + random.uniform(0.1, 2.0)) < seconds - 0.1:
            at = min(seconds, begin + random.choice([0.1, 0.5, 2.0, 9.0]))
            # In whole windows: of part of one, a channel is softer than the others.
            spoken.append(
                tuple(round(one / WINDOW_SECONDS) * WINDOW_SECONDS for one in (begin, at))
            )
        rows.append(channel(seconds, *spoken))
    return np.stack(rows)


@pytest.mark.parametrize("seed", range(3))
def test_utterances_come_in_order_of_their_ends_and_marks_before_their_starts(seed: int) -> None:
    settings = Segmentation(max_utterance=6.0)
    made = heard(random_sound(seed), settings=settings)
    ends = [one.end for one in utterances(made)]
    assert len(ends) > 6
    assert ends == sorted(ends)
    reached = 0.0
    for message in made:
        if isinstance(message, messages.Mark):
            assert message.time > reached
            reached = message.time
        elif isinstance(message, messages.SpeechStarted | messages.Segment):
            assert message.start >= reached
    # A live session gives the same, as soon as it is known.
    live = heard(random_sound(seed), settings=settings, in_order=False)
    assert {one.key: one for one in utterances(live)} == {one.key: one for one in utterances(made)}
    assert all(one.at - one.end < 3 for one in utterances(live))


@pytest.mark.parametrize("size", [320, 512, 4096, 16_000])
def test_how_the_sound_arrives_changes_nothing(size: int) -> None:
    sound = random_sound(7)
    made = [m for m in heard(sound, size) if not isinstance(m, messages.Mark)]
    assert made == [m for m in heard(sound) if not isinstance(m, messages.Mark)]


def test_each_channel_is_cut_as_it_would_be_alone() -> None:
    sound = random_sound(3)
    made = utterances(heard(sound))
    for number, own in enumerate(sound):
        alone = Segmenter(LONG, Loud())  # type: ignore[arg-type]
        expected = [m for chunk in cut(own[None]) for m in alone.process(chunk)]
        expected += list(alone.flush())
        assert [(one.start, one.end, one.audio) for one in utterances(expected)] == [
            (one.start, one.end, one.audio) for one in made if one.speaker == f"S{number + 1}"
        ]


@pytest.mark.parametrize("softer", [20.0, 30.0])
def test_what_leaks_into_another_channel_is_no_utterance(softer: float) -> None:
    own = channel(8, (1, 4), level=0.3)
    answer = channel(8, (5, 7), level=0.3)
    factor = 10 ** (-softer / 20)
    late = np.roll(own, 160)  # 10 ms: 3.4 m of air
    sound = np.stack([own + factor * answer, answer + factor * late])
    assert [speaker for speaker, *_ in bounds(heard(sound))] == ["S1", "S2"]
    assert all(one.overlap == 0 for one in utterances(heard(sound)))


def test_who_speaks_more_softly_at_the_same_time_is_heard() -> None:
    sound = np.stack([channel(5, (1, 4), level=0.3), channel(5, (2, 3), level=0.12)])
    made = utterances(heard(sound))
    assert sorted(one.speaker for one in made if one.speaker) == ["S1", "S2"]
    assert all(one.overlap == pytest.approx(1.0, abs=0.1) for one in made)


def test_copies_of_a_channel_are_one_speaker() -> None:
    own = channel(4, (1, 3))
    assert [speaker for speaker, *_ in bounds(heard(np.stack([own, own])))] == ["S1"]
    assert [speaker for speaker, *_ in bounds(heard(np.stack([own / 2, own])))] == ["S2"]


def test_silent_channels_say_nothing() -> None:
    sound = np.stack([np.zeros(4 * SAMPLE_RATE, np.float32)] * 7 + [channel(4, (1, 3))])
    assert [speaker for speaker, *_ in bounds(heard(sound))] == ["S8"]
    assert not utterances(heard(sound[:7]))


def test_lost_sound_ends_all_utterances_and_is_reported_once() -> None:
    sound = np.stack([channel(4, (1, 4)), channel(4, (2, 4))])
    stage = ChannelSegmenter(LONG, ["A", "B"], [Loud(), Loud()])  # type: ignore[list-item]
    made = [m for chunk in cut(sound) for m in stage.process(chunk)]
    for chunk in cut(sound):
        late = messages.AudioChunk(chunk.time + 10, chunk.samples, 2)
        made += stage.process(late)
    made += stage.flush()
    (lost,) = [m for m in made if isinstance(m, messages.Dropped)]
    assert lost.seconds == pytest.approx(6, abs=0.04)
    assert [speaker for speaker, *_ in bounds(made)] == ["A", "B", "A", "B"]
    assert all(one.end - one.start < 3.1 for one in utterances(made))


def test_a_clock_that_goes_back_does_not_mix_up_who_spoke_when() -> None:
    sound = np.stack([channel(6, (1, 2), (4, 5.5)), channel(6, (4.5, 5))])
    stage = ChannelSegmenter(LONG, ["A", "B"], [Loud(), Loud()])  # type: ignore[list-item]
    made: list[messages.Message] = []
    for chunk in cut(sound):
        time = chunk.time if chunk.time < 3 else chunk.time - 2
        made += stage.process(messages.AudioChunk(time, chunk.samples, 2))
    made += stage.flush()
    assert [speaker for speaker, *_ in bounds(made)] == ["A", "B", "A"]
    assert [one.overlap for one in utterances(made)] == pytest.approx([0, 0.5, 0.5], abs=0.065)
    assert len([m for m in made if isinstance(m, messages.Dropped)]) == 1


def test_time_that_passes_without_sound_ends_utterances() -> None:
    stage = ChannelSegmenter(LONG, ["A", "B"], [Loud(), Loud()])  # type: ignore[list-item]
    sound = np.stack([channel(2, (1, 2)), channel(2, (1.5, 2))])
    made = [m for chunk in cut(sound) for m in stage.process(chunk)]
    assert not utterances(made)
    made = list(stage.process(messages.Mark(5.0, "microphone")))
    assert [speaker for speaker, *_ in bounds(made)] == ["A", "B"]
    assert [m.time for m in made if isinstance(m, messages.Mark)] == [5.0]


def test_a_session_after_another_begins_anew() -> None:
    sound = random_sound(1, channels=2)
    stage = ChannelSegmenter(LONG, ["S1", "S2"], [Loud(), Loud()])  # type: ignore[list-item]
    first = [m for chunk in cut(sound) for m in stage.process(chunk)]
    stage.reset()
    assert [m for chunk in cut(sound) for m in stage.process(chunk)] == first


def spoken() -> Samples:
    """The sound of the sample conversation."""
    source = RecordingSource(sample.CONVERSATION, Recording(), captions="off", want_video=False)
    source.open()
    parts = []
    while given := source.read():
        parts += [m.samples for m in given if isinstance(m, messages.AudioChunk)]
    source.close()
    return np.frombuffer(b"".join(parts), np.float32)


def test_two_who_speak_all_the_time_are_heard_as_if_alone() -> None:
    """Real speech, with the real detector: half of a conversation against the other half."""
    sound = spoken()
    half = len(sound) // 2 // WINDOW * WINDOW
    both = np.stack([sound[:half], sound[half : 2 * half]])
    settings = Segmentation()
    stage = ChannelSegmenter(settings, ["S1", "S2"])
    made = [m for chunk in cut(both) for m in stage.process(chunk)]
    made += stage.flush()
    found = utterances(made)
    for number, own in enumerate(both):
        alone = Segmenter(settings)
        expected = [m for chunk in cut(own[None]) for m in alone.process(chunk)]
        expected += list(alone.flush())
        mine = [one for one in found if one.speaker == f"S{number + 1}"]
        assert len(mine) == pytest.approx(len(utterances(expected)), abs=1)
        matched = [
            one
            for one in utterances(expected)
            if any(abs(one.start - other.start) < 4 * WINDOW_SECONDS for other in mine)
        ]
        assert len(matched) >= 0.85 * len(utterances(expected))
    assert sum(one.overlap or 0 for one in found) > 2
