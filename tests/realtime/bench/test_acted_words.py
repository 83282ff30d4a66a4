"""Word error rates by emotion: how they are counted, and a run on real speech."""

from pathlib import Path

import pytest
from spoken import LIBRISPEECH, RAVDESS, needs_librispeech, needs_ravdess
from whisper_models import whisper_model

from gscon_live.common.errors import InputError
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.realtime.bench import acted_words
from gscon_live.realtime.bench.acted_words import SENTENCES, acted, main, measure


@needs_ravdess
def test_errors_are_counted_by_emotion() -> None:
    """A reader that hears one sentence only has two of six words wrong in the other one."""
    every = acted(RAVDESS, 1)
    assert len(every) == 60
    scores = measure(every, Segmentation(), lambda samples: SENTENCES["01"])
    whole = [score for score in scores.values() if not score.cut]
    assert whole
    for score in whole:
        assert (score.words, score.silent) == (6 * score.clips, 0)
        assert score.rate == pytest.approx(1 / 6)
    assert scores["neutral"].clips == 4
    assert scores["strongly sad"].clips == 4
    assert scores["all"].clips == sum(score.clips for score in scores.values()) / 2 == 60
    assert scores["all"].wrong == sum(score.wrong for score in scores.values()) / 2


@needs_ravdess
def test_clips_without_words_are_wrong_and_counted() -> None:
    scores = measure(acted(RAVDESS, 1)[:3], Segmentation(), lambda samples: None)
    assert scores["all"].silent == 3
    assert scores["all"].rate == 1


@needs_ravdess
def test_the_command_prints_a_line_for_each_manner(capsys: pytest.CaptureFixture[str]) -> None:
    main([str(whisper_model("tiny.en")), str(RAVDESS), "--actors", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 16
    assert lines[-1].startswith("all")
    assert float(lines[-1].split()[-2]) < 30


@needs_librispeech
def test_other_archives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clips of RAVDESS"):
        acted_words.acted(LIBRISPEECH, 24)
    with pytest.raises(InputError, match="no such file"):
        acted_words.acted(tmp_path / "none.zip", 24)
