"""Real Whisper models read the speech and no more, in the language that is spoken."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from spoken import (
    EMODB,
    LIBRISPEECH,
    Samples,
    held_out_sentences,
    needs_emodb,
    needs_librispeech,
    needs_ravdess,
    recordings,
    word_error_rate,
)
from whisper_models import whisper_model

from gscon_live.common.errors import InputError
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.model.speech.utterances import utterances
from gscon_live.model.speech.voice_activity import VoiceActivity
from gscon_live.realtime.bench.noise import PIECE, pieces
from gscon_live.realtime.listen.whisper import Whisper
from gscon_live.realtime.pipeline.settings import Transcription


@pytest.fixture(scope="module")
def tiny() -> Whisper:
    return Whisper(str(whisper_model("tiny.en")), Transcription())


@pytest.fixture(scope="module")
def base() -> Whisper:
    return Whisper(str(whisper_model("base")), Transcription())


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test begins a session."""
    yield
    for name in ("tiny", "base"):
        if name in request.fixturenames:
            request.getfixturevalue(name).reset()


def noise(seconds: float, level: float) -> Samples:
    rng = np.random.default_rng(5)
    return (level * rng.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


@needs_ravdess
def test_acted_sentences_are_understood(tiny: Whisper) -> None:
    said = held_out_sentences(range(1, 9), each=1)[::4]
    heard = [(sentence.words, tiny(sentence.samples).text) for sentence in said]
    assert word_error_rate(heard) <= 0.15


@needs_librispeech
def test_sound_longer_than_a_window_is_read_to_its_end(tiny: Whisper) -> None:
    clips = recordings(LIBRISPEECH, 6)
    joined = np.concatenate(clips)
    assert len(joined) > 40 * SAMPLE_RATE
    each = " ".join(tiny(clip).text for clip in clips)
    assert word_error_rate([(each, tiny(joined).text)]) <= 0.2


@needs_librispeech
def test_unsure_words_are_read_again() -> None:
    english = Whisper(str(whisper_model("base")), Transcription(language="en"))
    every = recordings(LIBRISPEECH, 39)
    heard = [
        english(part).text
        for number in (17, 38)
        for part in utterances(every[number], Segmentation(), VoiceActivity())
    ]
    assert heard == ["The best dramatic is that which is at hand.", "that was so that was so"]


@pytest.mark.parametrize("kind", ["white noise", "breath"])
def test_nothing_is_written_over_noise_in_any_language(base: Whisper, kind: str) -> None:
    heard = [base(piece).text for piece in pieces(kind, 4 * PIECE)]
    assert heard == [""] * 4


@pytest.mark.parametrize("level", [0.0, 0.001, 0.03])
def test_nothing_is_written_where_nobody_speaks(tiny: Whisper, level: float) -> None:
    recognised = tiny(noise(3, level))
    assert recognised.text == ""
    assert recognised.reason


@needs_ravdess
@needs_emodb
def test_the_language_is_heard_held_and_forgotten(base: Whisper) -> None:
    german = recordings(EMODB, 5)
    for clip in german:
        recognised = base(clip)
        base.final(recognised)
    assert recognised.language is not None
    assert recognised.language.code == "de"
    english = held_out_sentences([1], each=1)[0].samples
    held = base(english)
    assert held.language == recognised.language
    assert held.evidence is None
    base.reset()
    again = base(english)
    assert again.language is not None
    assert again.language.code == "en"
    assert again.text


@needs_emodb
def test_provisional_sound_changes_no_language(base: Whisper) -> None:
    clip = recordings(EMODB, 1)[0]
    first = base(clip)
    for _ in range(5):
        assert base(clip).language == first.language


@needs_emodb
def test_other_languages_are_translated_where_asked_for() -> None:
    settings = Transcription(language="de", translate=True)
    german = Whisper(str(whisper_model("base")), Transcription(language="de"))
    english = Whisper(str(whisper_model("base")), settings)
    clips = recordings(EMODB, 6)
    own, other = [german(clip) for clip in clips], [english(clip) for clip in clips]
    assert not any(each.translated for each in own)
    assert all(each.translated for each in other)
    assert all(each.language == ("de", 1.0) for each in [*own, *other])
    written, translated = ([each.text for each in heard] for heard in (own, other))
    articles = {"der", "die", "das", "auf", "und", "ich", "sie"}, {"the", "on", "and", "i", "it"}
    for texts, own, other in ((written, *articles), (translated, *articles[::-1])):
        found = " ".join(texts).lower().split()
        assert sum(word in own for word in found) > 3 * sum(word in other for word in found)


def test_an_english_model_knows_its_language(tiny: Whisper) -> None:
    recognised = tiny(noise(2, 0.05) + 0.01)
    assert recognised.language == ("en", 1.0)
    with pytest.raises(InputError, match=r"'de': this model knows en"):
        Whisper(str(whisper_model("tiny.en")), Transcription(language="de"))


@needs_ravdess
def test_a_prompt_is_context_and_no_part_of_the_words() -> None:
    hinted = Whisper(
        str(whisper_model("tiny.en")), Transcription(prompt="Zbigniew, Przemek and a hovercraft.")
    )
    sentence = held_out_sentences([1], each=1)[0]
    assert word_error_rate([(sentence.words, hinted(sentence.samples).text)]) <= 0.2


def test_a_directory_that_holds_no_model_is_the_users_error(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError) as caught:
        Whisper(str(tmp_path), Transcription())
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_format_that_the_device_lacks_is_the_users_error() -> None:
    with pytest.raises(InputError, match="compute_type"):
        Whisper(str(whisper_model("tiny.en")), Transcription(device="cpu", compute_type="int9"))
