"""Real tiny.en reads speech while it grows: what is stable stays, and the words are as good."""

import numpy as np
import pytest
from spoken import (
    LIBRISPEECH,
    Samples,
    held_out_sentences,
    needs_librispeech,
    needs_ravdess,
    recordings,
    whole,
    word_error_rate,
)
from whisper_models import whisper_model

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.listen.whisper import (
    NotNeeded,
    Outdated,
    Reading,
    Recognised,
    Whisper,
    Windows,
)
from gscon_live.realtime.listen.words_so_far import LONGEST, WordsSoFar
from gscon_live.realtime.pipeline.settings import Transcription


@pytest.fixture(scope="module")
def tiny() -> Whisper:
    return Whisper(str(whisper_model("tiny.en")), Transcription(word_times=True))


def growing(words: WordsSoFar, samples: Samples, every: float, key: int = 1) -> list[Recognised]:
    """The readings of a sound while it grows, and the final one."""
    step = round(every * SAMPLE_RATE)
    ends = [*range(step, len(samples), step), len(samples)]
    return [words(samples[:end], key, end < len(samples)) for end in ends]


@pytest.fixture(scope="module")
def long_readings(tiny: Whisper) -> list[list[Recognised]]:
    clips = [clip for clip in recordings(LIBRISPEECH, 8) if len(clip) > 10 * SAMPLE_RATE][:2]
    assert len(clips) == 2
    words = WordsSoFar(tiny)
    return [growing(words, clip, 1.0, key) for key, clip in enumerate(clips)]


@needs_librispeech
def test_stable_words_are_never_taken_back(long_readings: list[list[Recognised]]) -> None:
    for readings in long_readings:
        stable = ""
        for recognised in readings:
            assert recognised.text.startswith(recognised.stable)
            assert recognised.stable.startswith(stable)
            stable = recognised.stable
        # Most words were stable before the end.
        assert len(readings[-2].stable) > 0.6 * len(readings[-1].text)


@needs_librispeech
def test_the_final_words_are_as_good_as_those_of_the_sound_read_at_once(
    tiny: Whisper, long_readings: list[list[Recognised]]
) -> None:
    clips = [clip for clip in recordings(LIBRISPEECH, 8) if len(clip) > 10 * SAMPLE_RATE][:2]
    pairs = [
        (tiny(clip).text, readings[-1].text)
        for clip, readings in zip(clips, long_readings, strict=True)
    ]
    assert word_error_rate(pairs) <= 0.15


@needs_librispeech
def test_long_speech_is_not_read_from_its_beginning(tiny: Whisper) -> None:
    clip = np.concatenate(recordings(LIBRISPEECH, 3))[: 25 * SAMPLE_RATE]
    read: list[float] = []

    class Watched(WordsSoFar):
        def _read(
            self, samples: Samples, quick: bool, outdated: Outdated, again: Windows
        ) -> Reading:
            reading = super()._read(samples, quick, outdated, again)
            read.append(sum(part.seconds for part in reading.parts))
            return reading

    growing(Watched(tiny), clip, 1.0)
    # Now and then readings do not agree for some seconds.
    assert np.median(read[10:]) <= LONGEST + 1
    assert max(read) <= 2 * LONGEST


@needs_librispeech
def test_words_have_times_in_order_and_probabilities(
    long_readings: list[list[Recognised]],
) -> None:
    for readings in long_readings:
        last = readings[-1]
        assert last.words is not None
        assert " ".join(word.word for word in last.words).split() == last.text.split()
        bounds = [time for word in last.words for time in (word.start, word.end)]
        assert bounds == sorted(bounds)
        assert 0 <= bounds[0] <= 2
        assert all(0 <= word.probability <= 1 for word in last.words)
        assert np.mean([word.probability for word in last.words]) > 0.6


@needs_ravdess
def test_words_lie_where_they_are_spoken(tiny: Whisper) -> None:
    """Loudness says where the sentence begins and ends; its six words lie in it, in turn."""
    for said in held_out_sentences([1], each=1)[:4]:
        clip = whole(said.samples)
        heard = tiny(clip.samples[: round((clip.end + 0.1) * SAMPLE_RATE)]).words
        assert heard is not None
        assert len(heard) == 6
        assert clip.start < heard[0].end < clip.start + 0.6
        assert clip.end - 0.7 < heard[-1].start < clip.end
        assert all(0.05 < word.end - word.start < 0.9 for word in heard[1:])


@needs_ravdess
def test_a_reading_that_is_not_needed_is_left_off_and_changes_nothing(tiny: Whisper) -> None:
    sentence = held_out_sentences([1], each=1)[0].samples
    words = WordsSoFar(tiny)
    undisturbed = growing(words, sentence, 0.8, key=1)
    asked = iter([False, True])
    words(sentence[: round(0.8 * SAMPLE_RATE)], 2, True)
    with pytest.raises(NotNeeded):
        words(sentence[: round(1.2 * SAMPLE_RATE)], 2, True, lambda: next(asked))
    ends = [round(n * 0.8 * SAMPLE_RATE) for n in range(2, 10)]
    for end in [end for end in ends if end < len(sentence)]:
        words(sentence[:end], 2, True)
    assert words(sentence, 2, False)[:2] == undisturbed[-1][:2]


@needs_ravdess
def test_the_next_utterance_begins_anew(tiny: Whisper) -> None:
    first, second = (said.samples for said in held_out_sentences([1], each=1)[:2])
    words = WordsSoFar(tiny)
    growing(words, first, 0.8, key=1)
    assert words(second, 2, False).text == tiny(second).text


@pytest.mark.parametrize("level", [0.0, 0.002, 0.02])
def test_no_word_is_stable_where_nobody_speaks(tiny: Whisper, level: float) -> None:
    rng = np.random.default_rng(3)
    noise = (level * rng.standard_normal(4 * SAMPLE_RATE)).astype(np.float32)
    readings = growing(WordsSoFar(tiny), noise, 1.0)
    assert [recognised.stable for recognised in readings] == [""] * 4
    assert readings[-1].text == ""
    assert readings[-1].reason


@pytest.fixture
def multilingual() -> Whisper:
    return Whisper(str(whisper_model("base")), Transcription())


@needs_ravdess
def test_before_the_language_is_known_short_speech_has_no_stable_words(
    multilingual: Whisper,
) -> None:
    sentence = held_out_sentences([1], each=1)[0].samples[: round(2.9 * SAMPLE_RATE)]
    readings = growing(WordsSoFar(multilingual), sentence, 0.8)
    assert any(recognised.text for recognised in readings)
    assert not any(recognised.stable for recognised in readings)


@needs_ravdess
def test_hot_words_are_likelier_and_no_part_of_the_words(tiny: Whisper) -> None:
    hinted = Whisper(str(whisper_model("tiny.en")), Transcription(hot_words="Zbigniew, Przemek"))
    sentence = held_out_sentences([1], each=1)[0]
    text = hinted(sentence.samples).text
    assert word_error_rate([(sentence.words, text)]) <= 0.2
    assert "Zbigniew" not in text


@needs_librispeech
def test_those_who_speak_at_once_are_read_as_if_alone(tiny: Whisper) -> None:
    clips = [clip[: 5 * SAMPLE_RATE] for clip in recordings(LIBRISPEECH, 8)[:2]]
    words = WordsSoFar(tiny)
    alone = [growing(words, clip, 1.0, key) for key, clip in enumerate(clips)]
    words.reset()
    both: list[list[Recognised]] = [[], []]
    for count in range(len(alone[0])):
        for key, clip in enumerate(clips):
            end = min(len(clip), (count + 1) * round(1.0 * SAMPLE_RATE))
            both[key].append(words(clip[:end], key, end < len(clip)))
    assert both == alone
    assert any(reading.stable for reading in both[0])
