"""`auto` takes the largest model that this machine can run beside the conversation, and says so."""

import pytest
from whisper_models import whisper_model

from gscon_live.realtime.listen.keeping_up import (
    DECODING,
    SECONDS,
    SHARE,
    WORK,
    encoder_seconds,
    largest,
)
from gscon_live.realtime.listen.transcription_source import AUTOMATIC
from gscon_live.realtime.pipeline.settings import Transcription

ALL = [(name, f"/models/{name}") for name in AUTOMATIC]


def chosen(share_of_tiny: float, present: list[tuple[str, str]]) -> tuple[str, str]:
    """The directory, and the line, where tiny.en takes this share of real time."""
    smallest = present[-1][0]
    seconds = share_of_tiny * SECONDS / DECODING * WORK[smallest]
    words = largest(present, Transcription(), lambda directory: seconds)
    assert words.model
    assert words.notice
    assert "\n" not in words.notice
    return words.model, words.notice


def test_the_models_of_auto_are_in_order_and_their_work_is_known() -> None:
    assert [WORK[name] for name in AUTOMATIC] == sorted(WORK.values(), reverse=True)


@pytest.mark.parametrize(
    ("share_of_tiny", "name"),
    [(0.9 * SHARE / WORK["small"], "small"), (0.9 * SHARE / WORK["base"], "base"),
     (0.9 * SHARE, "tiny.en"), (5.0, "tiny.en")],
)  # fmt: skip
def test_the_largest_that_keeps_up_is_taken(share_of_tiny: float, name: str) -> None:
    directory, line = chosen(share_of_tiny, ALL)
    assert directory == f"/models/{name}"
    assert line.startswith(f"words: Whisper {name}, which takes about ")
    assert ("--transcriber small" in line) == (name != "small")


def test_the_measurement_is_of_the_smallest_that_is_there() -> None:
    without = ALL[:2]
    assert chosen(0.9 * SHARE / WORK["small"], without)[0] == "/models/small"
    assert chosen(0.9 * SHARE / WORK["base"], without)[0] == "/models/base"
    assert chosen(5.0, without)[0] == "/models/base"


def test_one_model_is_taken_without_a_measurement() -> None:
    def never(directory: str) -> float:
        raise AssertionError(directory)

    words = largest(ALL[2:], Transcription(), never)
    assert (words.model, words.notice) == ("/models/tiny.en", "words: Whisper tiny.en")


def test_a_real_model_is_measured() -> None:
    directory = str(whisper_model("tiny.en"))
    assert 0 < encoder_seconds(directory, Transcription()) < 60
    words = largest([("base", "/models/base"), ("tiny.en", directory)], Transcription())
    assert words.model in ("/models/base", directory)
