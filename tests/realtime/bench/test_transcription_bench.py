"""The words beside plain faster-whisper: how differences are counted, and a run on real speech."""

import jellyfish
from hypothesis import given
from hypothesis import strategies as st
from spoken import LIBRISPEECH, needs_librispeech, recordings
from whisper_models import whisper_model

from gscon_live.configs import loader
from gscon_live.realtime.bench.transcription import difference, main, measure, words_of
from gscon_live.realtime.pipeline.settings import Settings

letters = st.text("abcde", max_size=12)


@given(letters, letters)
def test_words_are_counted_as_letters_are_by_levenshteins_distance(first: str, second: str) -> None:
    assert difference([*first], [*second]) == jellyfish.levenshtein_distance(first, second)


def test_case_and_marks_are_no_difference() -> None:
    assert words_of("\N{RIGHT SINGLE QUOTATION MARK}Tis, DON'T stop!") == ["'tis", "don't", "stop"]


@needs_librispeech
def test_a_run_on_two_clips_has_all_readers_and_its_reference() -> None:
    settings = loader.load("live", Settings, ["transcription.language=en"])
    figures = measure(
        str(whisper_model("tiny.en")), recordings(LIBRISPEECH, 2), settings.transcription
    )
    assert list(figures["readers"]) == ["reference", "faster-whisper", "gscon-live"]
    assert figures["readers"]["reference"]["word_difference"] == 0
    assert figures["utterances"] == 2
    assert figures["words"] > 20
    for row in figures["readers"].values():
        assert row["word_difference"] < 0.3
        assert row["seconds_per_second"] > 0


@needs_librispeech
def test_the_command_prints_a_line_for_each_reader(capsys: object) -> None:
    main([str(whisper_model("tiny.en")), str(LIBRISPEECH), "--clips", "1"])
    lines = capsys.readouterr().out.splitlines()  # type: ignore[attr-defined]
    assert [line.split()[0] for line in lines[:3]] == ["reference", "faster-whisper", "gscon-live"]
    assert "times as fast" in lines[3]
