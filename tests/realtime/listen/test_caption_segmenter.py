"""Captions cut the sound into utterances: one each, with their bounds, words and sound."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.realtime.listen.caption_segmenter import LONGEST, CaptionSegmenter
from gscon_live.realtime.pipeline import messages

law = settings(deadline=None, derandomize=True, max_examples=80)
BLOCK = 1600


def sound(start: float, seconds: float) -> list[messages.AudioChunk]:
    """Sound whose samples tell their position, in chunks of 0.1 s."""
    first, count = round(start * SAMPLE_RATE), round(seconds * SAMPLE_RATE)
    return [
        messages.AudioChunk(at / SAMPLE_RATE, np.arange(at, at + BLOCK, dtype="<f4").tobytes())
        for at in range(first, first + count, BLOCK)
    ]


def run(
    given: Iterable[object], options: Segmentation | None = None, has_audio: bool = True
) -> list[object]:
    segmenter = CaptionSegmenter(options or Segmentation(), has_audio)
    made = [answer for message in given for answer in segmenter.process(message)]  # type: ignore[arg-type]
    return made + list(segmenter.flush())


def with_cues(cues: list[messages.Cue], chunks: list[messages.AudioChunk]) -> list[object]:
    """Each chunk after the captions that begin in it, as a recording gives them."""
    given: list[object] = []
    waiting = sorted(cues, key=lambda cue: cue.start)
    for chunk in chunks:
        while waiting and waiting[0].start < chunk.time + BLOCK / SAMPLE_RATE:
            given.append(waiting.pop(0))
        given.append(chunk)
    return given + waiting


def segments(made: Iterable[object], final: bool = True) -> list[messages.Segment]:
    return [
        message
        for message in made
        if isinstance(message, messages.Segment) and message.final is final
    ]


def positions(segment: messages.Segment) -> tuple[int, int]:
    """The first and last sample of a segment's sound, which is without a gap."""
    assert segment.audio is not None
    samples = np.frombuffer(segment.audio, np.float32)
    assert np.all(np.diff(samples) == 1)
    return int(samples[0]), int(samples[-1])


cues = st.lists(
    st.builds(
        lambda start, length, text: messages.Cue(start / 20, (start + length) / 20, text, "Ada"),
        st.integers(0, 120),
        st.integers(1, 80),
        st.sampled_from(["Hello.", "Well, well.", "No!"]),
    ),
    max_size=8,
)


@law
@given(cues, st.booleans())
def test_every_caption_is_one_utterance_in_order_of_their_ends(
    cues: list[messages.Cue], has_audio: bool
) -> None:
    marks: list[object] = [messages.Mark(second / 4, "recording") for second in range(1, 40)]
    waiting = sorted(cues, key=lambda cue: cue.start)
    made = run(with_cues(cues, sound(0, 6))) if has_audio else run([*waiting, *marks], None, False)
    final = segments(made)
    assert [segment.end for segment in final] == sorted(cue.end for cue in cues)
    assert sorted((segment.start, segment.end, segment.text) for segment in final) == sorted(
        (cue.start, cue.end, cue.text) for cue in cues
    )
    assert len({segment.key for segment in final}) == len(cues)
    assert all(segment.speaker == "Ada" for segment in final)
    started = [message for message in made if isinstance(message, messages.SpeechStarted)]
    assert [message.key for message in started] == sorted(segment.key for segment in final)
    assert [message.start for message in started] == sorted(cue.start for cue in cues)
    for segment in final:
        begun = made.index(messages.SpeechStarted(segment.key, segment.start))
        assert begun < made.index(segment)
        assert (segment.audio is not None) is has_audio


@law
@given(cues)
def test_nothing_starts_before_a_watermark_that_was_given_out(cues: list[messages.Cue]) -> None:
    mark = 0.0
    for message in run(with_cues(cues, sound(0, 8))):
        if isinstance(message, messages.Mark):
            assert message.time >= mark
            assert message.source == "segment"
            mark = message.time
        elif isinstance(message, messages.SpeechStarted | messages.Segment):
            assert message.start >= mark


def test_watermarks_hold_where_the_sound_lags_behind_the_capture() -> None:
    first, *rest = sound(0, 3)
    given: list[object] = [first]
    for message in rest:
        # A little sound was lost, less than counts as a loss.
        given += [
            messages.Mark(message.time + 0.2, "recording"),
            messages.AudioChunk(message.time + 0.2, message.samples),
        ]
    marks = [message.time for message in run(given) if isinstance(message, messages.Mark)]
    assert marks == sorted(marks)
    assert marks[-1] == pytest.approx(3.1, abs=0.1)


@law
@given(cues)
def test_the_sound_is_that_between_the_bounds_with_a_pre_roll(cues: list[messages.Cue]) -> None:
    for segment in segments(run(with_cues(cues, sound(0, 12)))):
        first, last = positions(segment)
        assert first == max(0, round((segment.start - Segmentation().pre_roll) * SAMPLE_RATE))
        assert last == round(segment.end * SAMPLE_RATE) - 1


def test_overlapping_captions_each_have_their_whole_sound() -> None:
    long = messages.Cue(1.0, 5.0, "and so on", "Ada")
    short = messages.Cue(2.0, 3.0, "Yes.", "Ben")
    first, second = segments(run(with_cues([long, short], sound(0, 6))))
    assert (first.text, first.speaker, second.text, second.speaker) == (
        "Yes.",
        "Ben",
        "and so on",
        "Ada",
    )
    assert positions(second) == (
        round((1.0 - Segmentation().pre_roll) * SAMPLE_RATE),
        5 * SAMPLE_RATE - 1,
    )


def test_the_words_are_used_only_when_they_have_been_said() -> None:
    made = run(with_cues([messages.Cue(1.0, 7.5, "all of it", "Ada")], sound(0, 9)))
    provisional = segments(made, final=False)
    assert [segment.end for segment in provisional] == pytest.approx([3.0, 5.0, 7.0])
    assert {(segment.text, segment.speaker) for segment in provisional} == {("", "Ada")}
    assert [segment.text for segment in segments(made)] == ["all of it"]
    none = run(
        with_cues([messages.Cue(1.0, 7.5, "all of it")], sound(0, 9)),
        Segmentation(provisional_every=0),
    )
    assert segments(none, final=False) == []


def test_a_caption_without_an_audio_track_ends_when_media_time_reaches_its_end() -> None:
    segmenter = CaptionSegmenter(Segmentation(), has_audio=False)
    cue = messages.Cue(1.0, 2.0, "Hello.")
    assert list(segmenter.process(cue)) == []
    started, mark = segmenter.process(messages.Mark(1.5, "recording"))
    assert (started, mark) == (messages.SpeechStarted(1000, 1.0), messages.Mark(1.0, "segment"))
    final, mark = segmenter.process(messages.Mark(2.5, "recording"))
    assert isinstance(final, messages.Segment)
    assert (final.final, final.text, final.audio) == (True, "Hello.", None)
    assert mark == messages.Mark(2.5, "segment")


@pytest.mark.fault
def test_of_a_caption_longer_than_the_memory_its_end_is_heard() -> None:
    """A caption of hours: memory stays bounded, and its end is heard."""
    cue = messages.Cue(1.0, 101.0, "a very long story")
    (final,) = segments(run(with_cues([cue], sound(0, 103)), Segmentation(provisional_every=0)))
    first, last = positions(final)
    assert last == 101 * SAMPLE_RATE - 1
    assert (last - first) / SAMPLE_RATE >= LONGEST
    assert (last - first) / SAMPLE_RATE < LONGEST + 10
    assert (final.start, final.end) == (1.0, 101.0)


def test_captions_that_reach_beyond_the_end_are_ended_by_it() -> None:
    cues = [messages.Cue(1.0, 30.0, "still talking"), messages.Cue(40.0, 41.0, "after the end")]
    final = segments(run(with_cues(cues, sound(0, 3))))
    assert [segment.text for segment in final] == ["still talking", "after the end"]
    assert positions(final[0])[1] == 3 * SAMPLE_RATE - 1


def test_lost_sound_is_reported() -> None:
    made = run([*sound(0, 2), *sound(7, 2)])
    (gap,) = (message for message in made if isinstance(message, messages.Dropped))
    assert (gap.what, gap.time, gap.seconds) == ("audio", 2.0, 5.0)


def test_captions_that_were_dropped_are_passed_on() -> None:
    lost = messages.Dropped(1.0, "caption", 1, 0.0, "no words")
    assert run([lost]) == [lost]


def test_after_a_reset_everything_begins_anew() -> None:
    given = with_cues([messages.Cue(0.5, 1.0, "Hello.")], sound(0, 2))
    segmenter = CaptionSegmenter(Segmentation(), has_audio=True)
    for message in given[:7]:
        list(segmenter.process(message))  # type: ignore[arg-type]
    assert segmenter.gauges()["speaking"] is True
    segmenter.reset()
    assert segmenter.gauges()["speaking"] is False
    made = [output for message in given for output in segmenter.process(message)]  # type: ignore[arg-type]
    assert made + list(segmenter.flush()) == run(given)


def test_the_loudest_channel_in_a_caption_gives_sound_and_speaker() -> None:
    rows = np.zeros((2, 4 * SAMPLE_RATE), np.float32)
    rows[0, SAMPLE_RATE : 2 * SAMPLE_RATE] = 0.5
    rows[1, 2 * SAMPLE_RATE :] = 0.5
    cues = [messages.Cue(1, 2, "a"), messages.Cue(2.5, 3, "b"), messages.Cue(3, 4, "c", "Ada")]
    segmenter = CaptionSegmenter(Segmentation(pre_roll=0), True, ["S1", "S2"])
    given = [*cues, messages.AudioChunk(0.0, rows.tobytes(), 2)]
    made = [answer for message in given for answer in segmenter.process(message)]
    final = segments(made)
    assert [one.speaker for one in final] == ["S1", "S2", "Ada"]
    for one in final:
        assert one.audio is not None
        assert np.all(np.frombuffer(one.audio, np.float32) == 0.5)
