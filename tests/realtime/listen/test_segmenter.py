"""Utterances are found where somebody speaks, with the same bounds however the sound arrives."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.endpoint_detector import TAIL, Segmentation
from gscon_live.model.speech.voice_activity import WINDOW, WINDOW_SECONDS
from gscon_live.realtime import sample
from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.listen.segmenter import Segmenter
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.settings import Recording
from gscon_live.realtime.session.models import Models

law = settings(deadline=None, derandomize=True, max_examples=80)
Samples = NDArray[np.float32]
ROUNDING = 0.0011


class Scripted:
    """A detector for sound whose first sample of each window is the probability of voice in it."""

    def reset(self) -> None:
        """It remembers nothing."""

    def __call__(self, samples: Samples) -> Samples:
        return np.abs(samples.reshape(-1, WINDOW)[:, 0])


def sound(probabilities: Sequence[float], more: int = 0) -> Samples:
    """Sound for the scripted detector: windows, and `more` samples of one that is cut off, voiced.

    Every sample differs from its neighbours, so that a shift by one is noticed.
    """
    count = len(probabilities) * WINDOW + more
    made = 0.001 * np.sin(np.arange(count, dtype=np.float64))
    made[::WINDOW] = [*probabilities, 0.9][: len(made[::WINDOW])]
    return made.astype(np.float32)


def speech(*parts: tuple[float, float]) -> list[float]:
    """Probabilities of a script: (seconds, probability), ..."""
    return [
        probability
        for seconds, probability in parts
        for _ in range(round(seconds / WINDOW_SECONDS))
    ]


def chunk(time: float, samples: Samples) -> messages.AudioChunk:
    return messages.AudioChunk(time, samples.astype("<f4").tobytes())


def cut(samples: Samples, sizes: Iterable[int], start: float = 0.0) -> list[messages.AudioChunk]:
    """The sound in chunks of these sizes; what is left over comes as one."""
    chunks, at = [], 0
    for size in sizes:
        if at >= len(samples):
            break
        chunks.append(chunk(start + at / SAMPLE_RATE, samples[at : at + size]))
        at += size
    return [*chunks, chunk(start + at / SAMPLE_RATE, samples[at:])]


def run(segmenter: Segmenter, given: Iterable[object], flush: bool = True) -> list[object]:
    made = [answer for message in given for answer in segmenter.process(message)]
    return made + list(segmenter.flush()) if flush else made


def segments(made: Iterable[object], final: bool = True) -> list[messages.Segment]:
    return [
        message
        for message in made
        if isinstance(message, messages.Segment) and message.final is final
    ]


def heard(probabilities: Sequence[float], options: Segmentation | None = None) -> list[object]:
    """What the segmenter makes of a script in chunks of 20 ms."""
    samples = sound(probabilities)
    chunks = cut(samples, [320] * (len(samples) // 320))
    return run(Segmenter(options or Segmentation(), Scripted()), chunks)  # type: ignore[arg-type]


# --- laws, with a scripted detector

#: Runs of windows with one probability each: long enough that utterances, pauses, hangovers occur.
scripts = st.lists(
    st.tuples(st.integers(1, 30), st.sampled_from([0.0, 0.1, 0.4, 0.5, 0.9, 1.0])), max_size=14
).map(lambda runs: [probability for count, probability in runs for _ in range(count)])

options = st.builds(
    Segmentation,
    pause=st.sampled_from([0.05, 0.16, 0.3]),
    hangover=st.sampled_from([0.03, 0.2, 0.5]),
    max_hangover=st.sampled_from([0.0, 0.8]),
    pre_roll=st.sampled_from([0.0, 0.1, 0.4]),
    min_utterance=st.sampled_from([0.0, 0.2, 0.5]),
    max_utterance=st.sampled_from([1.0, 2.5, 15.0]),
    provisional_every=st.sampled_from([0.0, 0.3, 2.0]),
)
more = st.integers(0, WINDOW - 1)


@law
@given(scripts, more, options, st.lists(st.integers(1, 3000), max_size=40))
def test_how_the_sound_is_cut_into_chunks_changes_nothing(
    script: list[float], more: int, options: Segmentation, sizes: list[int]
) -> None:
    samples = sound(script, more)

    def answers(chunks: list[messages.AudioChunk]) -> list[object]:
        made = run(Segmenter(options, Scripted()), chunks)  # type: ignore[arg-type]
        return [message for message in made if not isinstance(message, messages.Mark)]

    whole = answers([chunk(0.0, samples)])
    assert answers(cut(samples, sizes)) == whole
    assert answers(cut(samples, [320] * (len(samples) // 320))) == whole


def test_a_long_recording_may_come_as_one_chunk() -> None:
    script = speech((0.5, 0.0), (1.0, 0.9), (1.5, 0.0), (2.0, 0.9), (40.0, 0.0), (1.0, 0.9))
    whole = run(Segmenter(Segmentation(), Scripted()), [chunk(0.0, sound(script))])  # type: ignore[arg-type]
    assert len(segments(whole)) == 3
    assert segments(whole) == segments(heard(script))


@law
@given(scripts, more, options)
def test_segments_are_in_order_apart_and_within_the_sound(
    script: list[float], more: int, options: Segmentation
) -> None:
    samples = sound(script, more)
    made = run(
        Segmenter(options, Scripted()),  # type: ignore[arg-type]
        cut(samples, [320] * (len(samples) // 320)),
    )
    final = segments(made)
    for segment in final:
        assert 0 <= segment.start <= segment.end <= len(samples) / SAMPLE_RATE + ROUNDING
        assert segment.end - segment.start <= options.max_utterance + WINDOW_SECONDS + ROUNDING
        assert segment.end - segment.start >= options.min_utterance - WINDOW_SECONDS - ROUNDING
        assert segment.at >= segment.end
    for before, after in pairwise(final):
        assert before.end <= after.start
        assert before.key < after.key
    # No sound is in two utterances.
    said = [np.frombuffer(segment.audio or b"", np.float32) for segment in final]
    assert sum(map(len, said)) <= len(samples)


@law
@given(scripts, options)
def test_every_utterance_is_announced_once_and_ends_once(
    script: list[float], options: Segmentation
) -> None:
    open_key: int | None = None
    started: dict[int, float] = {}
    for message in heard(script, options):
        if isinstance(message, messages.SpeechStarted):
            assert open_key is None
            assert message.key not in started
            open_key, started[message.key] = message.key, message.start
        elif isinstance(message, messages.Segment):
            assert message.key == open_key
            assert message.start == started[message.key]
            open_key = None if message.final else open_key
    assert open_key is None


@law
@given(scripts, options)
def test_nothing_starts_before_a_watermark_that_was_given_out(
    script: list[float], options: Segmentation
) -> None:
    mark = 0.0
    for message in heard(script, options):
        if isinstance(message, messages.Mark):
            assert message.time >= mark
            assert message.source == "segment"
            mark = message.time
        elif isinstance(message, messages.SpeechStarted | messages.Segment):
            assert message.start >= mark


@law
@given(scripts, options)
def test_work_ahead_at_a_pause_is_the_final_segment_if_speech_does_not_go_on(
    script: list[float], options: Segmentation
) -> None:
    assume(options.pause < options.hangover)
    made = heard([*script, *speech((0.9, 0.0))], options)
    ahead: messages.Segment | None = None
    for message in made:
        if not isinstance(message, messages.Segment):
            continue
        if (
            message.final
            and ahead is not None
            and (message.key, message.end) == (ahead.key, ahead.end)
        ):
            assert (message.start, message.audio) == (ahead.start, ahead.audio)
        # A segment in the middle of speech ends where it was made, one at a pause before that.
        ahead = None if message.final or message.at == message.end else message


def test_a_pause_is_worked_on_ahead_before_the_end_is_sure() -> None:
    options = Segmentation(max_hangover=0.0)
    made = heard(speech((0.5, 0.0), (1.0, 0.9), (1.0, 0.0)), options)
    (ahead,), (final,) = segments(made, final=False), segments(made)
    assert (ahead.key, ahead.start, ahead.end, ahead.audio) == (
        final.key,
        final.start,
        final.end,
        final.audio,
    )
    assert ahead.at - ahead.end == pytest.approx(options.pause, abs=WINDOW_SECONDS)
    assert final.at - final.end == pytest.approx(options.hangover, abs=WINDOW_SECONDS)


@pytest.mark.parametrize("parts_per_million", [-20_000, 20_000])
def test_work_ahead_holds_while_the_timeline_follows_a_clock(parts_per_million: int) -> None:
    samples = sound(speech((0.5, 0.0), (3.0, 0.9), (1.0, 0.0)))
    chunks = [
        messages.AudioChunk(chunk.time * (1 + parts_per_million * 1e-6), chunk.samples)
        for chunk in cut(samples, [320] * (len(samples) // 320))
    ]
    made = run(Segmenter(Segmentation(provisional_every=0), Scripted()), chunks)  # type: ignore[arg-type]
    (ahead,), (final,) = segments(made, final=False), segments(made)
    assert (ahead.start, ahead.end, ahead.audio) == (final.start, final.end, final.audio)
    assert not [message for message in made if isinstance(message, messages.Dropped)]


def test_speech_that_goes_on_after_a_pause_is_one_utterance() -> None:
    made = heard(speech((0.5, 0.0), (1.0, 0.9), (0.3, 0.0), (1.0, 0.9), (1.0, 0.0)))
    assert [segment.end for segment in segments(made, final=False)] == pytest.approx(
        [1.5, 2.8], abs=0.05
    )
    (final,) = segments(made)
    assert (final.start, final.end) == pytest.approx((0.5, 2.8), abs=0.05)


@law
@given(st.integers(1, 40), st.floats(0.0, 1.2))
def test_shorter_utterances_than_the_least_never_appear(windows: int, least: float) -> None:
    made = heard(
        [*speech((0.5, 0.0)), *[0.9] * windows, *speech((1.0, 0.0))],
        Segmentation(min_utterance=least),
    )
    length = windows * WINDOW_SECONDS
    assume(abs(length - least) > 1e-6)
    assert len(segments(made)) == (length > least)
    assert any(isinstance(message, messages.SpeechStarted) for message in made) == (length > least)


def test_the_threshold_starts_speech_and_a_lower_one_keeps_it() -> None:
    (final,) = segments(heard(speech((0.5, 0.4), (0.5, 0.6), (0.5, 0.4), (1.0, 0.3))))
    assert (final.start, final.end) == pytest.approx((0.5, 1.5), abs=0.06)


def test_its_sound_has_a_pre_roll_and_a_tail_around_the_voiced_part() -> None:
    script = speech((0.5, 0.0), (1.0, 0.9), (1.0, 0.0))
    samples = sound(script)
    (final,) = segments(heard(script))
    first, last = (
        round(time * SAMPLE_RATE)
        for time in (final.start - Segmentation().pre_roll, final.end + TAIL)
    )
    assert final.audio == samples[first:last].tobytes()


def test_a_long_utterance_is_cut_where_the_voice_is_weakest() -> None:
    script = speech((6.0, 0.9), (0.032, 0.6), (2.0, 0.9), (1.0, 0.0))
    made = heard(script, Segmentation(max_utterance=8.0, provisional_every=0))
    first, second = segments(made)
    weakest = script.index(0.6)
    assert first.end == second.start == pytest.approx((weakest + 1) * WINDOW_SECONDS, abs=1e-3)
    assert first.audio
    assert second.audio
    assert sound(script).tobytes().startswith(first.audio + second.audio)


def test_provisional_segments_come_while_speech_goes_on() -> None:
    made = heard(speech((10.0, 0.9), (1.0, 0.0)))
    times = [segment.at for segment in segments(made, final=False)]
    assert times == pytest.approx([2, 4, 6, 8, 10.16], abs=0.15)
    silent = heard(speech((10.0, 0.9), (1.0, 0.0)), Segmentation(provisional_every=0))
    assert len(segments(silent, final=False)) == 1


class Numbed(Scripted):
    """A detector that hears nothing any more after so many windows without a reset."""

    def __init__(self, windows: int) -> None:
        self._windows = windows
        self._since = 0

    def reset(self) -> None:
        self._since = 0

    def __call__(self, samples: Samples) -> Samples:
        self._since += 1
        return super().__call__(samples) * np.float32(self._since <= self._windows)


def test_speech_after_a_long_silence_is_heard_by_a_detector_that_goes_numb_in_silence() -> None:
    numb_after = round(5.0 / WINDOW_SECONDS)
    samples = sound(speech((60.0, 0.0), (2.0, 0.9), (1.0, 0.0)))
    segmenter = Segmenter(Segmentation(), Numbed(numb_after))  # type: ignore[arg-type]
    (segment,) = segments(run(segmenter, [chunk(0.0, samples)]))
    assert segment.start == pytest.approx(60.0, abs=WINDOW_SECONDS)
    assert segment.end == pytest.approx(62.0, abs=2 * WINDOW_SECONDS)


def test_an_hour_of_silence_gives_nothing_and_takes_no_memory() -> None:
    segmenter = Segmenter(Segmentation(), Scripted())  # type: ignore[arg-type]
    silence = np.zeros(SAMPLE_RATE, np.float32)
    sizes = set()
    for second in range(3600):
        (mark,) = segmenter.process(chunk(float(second), silence))
        assert isinstance(mark, messages.Mark)
        if second > 60:
            sizes.add(
                sum(
                    value.nbytes if isinstance(value, np.ndarray) else 0
                    for holder in (segmenter, segmenter._history)
                    for value in vars(holder).values()
                )
            )
    assert mark.time == pytest.approx(3600, abs=0.2)
    # Between two seconds a part of a window waits, never more.
    assert max(sizes) - min(sizes) <= WINDOW * 4
    assert not list(segmenter.flush())


@law
@given(st.floats(0.3, 100_000))
def test_lost_sound_ends_the_utterance_where_it_broke_off(lost: float) -> None:
    segmenter = Segmenter(Segmentation(), Scripted())  # type: ignore[arg-type]
    samples = sound(speech((0.5, 0.0), (1.0, 0.9)))
    before = len(samples) / SAMPLE_RATE
    made = run(segmenter, cut(samples, [320] * 60), flush=False)
    assert not segments(made)
    made = run(segmenter, cut(samples, [320] * 60, start=before + lost))
    first, second = segments(made)
    assert (first.start, first.end) == pytest.approx((0.5, before), abs=0.04)
    assert second.start == pytest.approx(before + lost + 0.5, abs=0.04)
    (gap,) = (message for message in made if isinstance(message, messages.Dropped))
    assert (gap.what, gap.time, gap.seconds) == (
        "audio",
        pytest.approx(before, abs=0.002),
        pytest.approx(lost, abs=0.002),
    )
    # What came after the break is not in what came before it.
    assert first.audio
    assert samples.tobytes().endswith(first.audio)


def test_a_clock_that_is_set_back_is_reported_and_speech_goes_on() -> None:
    segmenter = Segmenter(Segmentation(provisional_every=0), Scripted())  # type: ignore[arg-type]
    samples = sound(speech((0.5, 0.0), (1.0, 0.9), (1.0, 0.0)))
    chunks = cut(samples, [320] * (len(samples) // 320))
    moved = [
        messages.AudioChunk(chunk.time - (3600 if number >= 50 else 0) + 4000, chunk.samples)
        for number, chunk in enumerate(chunks)
    ]
    made = run(segmenter, moved)
    (final,) = segments(made)
    assert (final.start, final.end) == pytest.approx((4000.5, 4001.5), abs=0.05)
    (gap,) = (message for message in made if isinstance(message, messages.Dropped))
    assert (gap.count, gap.seconds) == (0, 0.0)
    assert "jumped back" in gap.reason


def test_media_time_that_goes_on_without_sound_ends_the_utterance() -> None:
    segmenter = Segmenter(Segmentation(), Scripted())  # type: ignore[arg-type]
    samples = sound(speech((0.5, 0.0), (1.0, 0.9)))
    now = len(samples) / SAMPLE_RATE
    run(segmenter, cut(samples, [320] * 60), flush=False)
    early = list(segmenter.process(messages.Mark(now + 0.3, "microphone")))
    assert not segments(early)
    final, mark = segmenter.process(messages.Mark(now + 0.6, "microphone"))
    assert isinstance(final, messages.Segment)
    assert final.final
    assert final.end == pytest.approx(now, abs=0.04)
    assert final.at == pytest.approx(now + 0.6, abs=0.002)
    assert mark == messages.Mark(now + 0.6, "segment")
    assert not list(segmenter.flush())


def test_without_any_sound_marks_pass() -> None:
    segmenter = Segmenter(Segmentation(), Scripted())  # type: ignore[arg-type]
    made = run(segmenter, [messages.Mark(float(second), "recording") for second in range(1, 5)])
    assert made == [messages.Mark(float(second), "segment") for second in range(1, 5)]


def test_the_end_of_the_sound_ends_the_last_utterance() -> None:
    script = speech((0.5, 0.0), (1.0, 0.9))
    (final,) = segments(heard(script))
    assert final.end == pytest.approx(len(script) * WINDOW_SECONDS, abs=1e-3)


def test_what_was_dropped_before_passes_and_the_end_does_not() -> None:
    lost = messages.Dropped(1.0, "audio", 1, 0.5, "overflow")
    end = messages.End("microphone", 3.0)
    pictures = messages.Dropped(1.0, "frames", 1, 0.5, "the watcher reports it")
    given = [lost, pictures, end]
    assert run(Segmenter(Segmentation(), Scripted()), given) == [lost]  # type: ignore[arg-type]


def test_after_a_reset_everything_begins_anew() -> None:
    script = speech((0.5, 0.0), (1.0, 0.9), (0.1, 0.0))
    segmenter = Segmenter(Segmentation(), Scripted())  # type: ignore[arg-type]
    chunks = cut(sound(script), [320] * 90)
    run(segmenter, chunks, flush=False)
    assert segmenter.gauges()["speaking"] is True
    segmenter.reset()
    assert segmenter.gauges()["speaking"] is False
    again = run(segmenter, chunks)
    assert again == run(Segmenter(Segmentation(), Scripted()), chunks)  # type: ignore[arg-type]


# --- the real detector on real sound


@pytest.fixture(scope="module")
def conversation() -> tuple[Samples, list[messages.Cue]]:
    """The sample conversation's sound, and its captions, which lie exactly on the speech."""
    source = RecordingSource(sample.CONVERSATION, Recording(), want_video=False)
    source.open()
    given: list[object] = []
    while read := source.read():
        given += read
    source.close()
    raw = b"".join(message.samples for message in given if isinstance(message, messages.AudioChunk))
    cues = [message for message in given if isinstance(message, messages.Cue)]
    return np.frombuffer(raw, np.float32), cues


@pytest.mark.parametrize("decibels", [-12, 0])
def test_every_utterance_of_the_conversation_is_found(
    conversation: tuple[Samples, list[messages.Cue]], decibels: int
) -> None:
    samples, cues = conversation
    assert len(cues) == 10
    quieter = samples * np.float32(10 ** (decibels / 20))
    segmenter = Segmenter(Segmentation(), changes=Models().voice_change())
    final = segments(run(segmenter, cut(quieter, [320] * (len(samples) // 320))))
    inside = [
        [segment for segment in final if cue.start < segment.end and segment.start < cue.end]
        for cue in cues
    ]
    # Somebody who stops for breath in a caption makes two utterances of it: none is left out.
    assert all(inside)
    assert sum(map(len, inside)) == len(final)
    for cue, found in zip(cues, inside, strict=True):
        assert found[0].start == pytest.approx(cue.start, abs=0.25)
        assert found[-1].end == pytest.approx(cue.end, abs=0.25)


def test_streaming_real_sound_equals_hearing_it_at_once(
    conversation: tuple[Samples, list[messages.Cue]],
) -> None:
    samples = conversation[0][: 17 * SAMPLE_RATE]
    sizes = np.random.default_rng(2).integers(1, 4000, 400).tolist()
    assert segments(run(Segmenter(Segmentation()), cut(samples, sizes))) == segments(
        run(Segmenter(Segmentation()), [chunk(0.0, samples)])
    )


@pytest.mark.parametrize("decibels", [-80, -50, -30, -12])
@pytest.mark.parametrize("kind", ["noise", "hum"])
def test_noise_and_hum_are_no_speech(kind: str, decibels: int) -> None:
    count = 20 * SAMPLE_RATE
    turns = np.arange(count) * 2 * np.pi / SAMPLE_RATE
    made = (
        np.random.default_rng(1).standard_normal(count)
        if kind == "noise"
        else sum(np.sin(hertz * turns) for hertz in (50, 100, 150, 250))
    )
    made = np.clip(made / np.std(made) * 10 ** (decibels / 20), -1, 1).astype(np.float32)
    heard = run(Segmenter(Segmentation()), cut(made, [1600] * (count // 1600)))
    assert {type(message) for message in heard} == {messages.Mark}


def test_digital_silence_is_no_speech() -> None:
    made = run(Segmenter(Segmentation()), cut(np.zeros(20 * SAMPLE_RATE, np.float32), [1600] * 199))
    assert {type(message) for message in made} == {messages.Mark}
