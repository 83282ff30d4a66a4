"""The measurement of ends: its fit, its sounds, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from gscon_live.common.errors import InputError
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.finished import Pause
from gscon_live.realtime.bench.ends import Clip, Known, clips, fit, join


def test_the_fit_learns_that_ends_come_late_and_softly() -> None:
    rng = np.random.default_rng(0)
    known = [
        Known("reader", Pause(float(rng.uniform(low, low + 4)), float(rng.normal(fall, 2))), end)
        for end, low, fall in ((True, 3.0, -6.0), (False, 0.5, -1.0))
        for _ in range(200)
    ]
    weights = fit(known)
    assert weights.length > 0 > weights.fall
    right = [(weights.probability(row.pause) > 0.5) == row.end for row in known]
    assert np.mean(right) > 0.9


def test_clips_lie_where_the_measurement_says() -> None:
    tone = np.full(SAMPLE_RATE, 0.5, np.float32)
    joined = join("reader", [Clip("reader", tone), Clip("reader", tone / 2)], (0.5, 1.0))
    for (start, end), level in zip(joined.places, (0.5, 0.25), strict=True):
        assert end - start == SAMPLE_RATE
        assert joined.samples[start:end].mean() == pytest.approx(level, abs=0.001)
    assert np.abs(joined.samples[: joined.places[0][0]]).max() < 0.001


def test_what_is_no_archive_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("no archive")
    for path in (tmp_path / "none.zip", tmp_path / "x.zip"):
        with pytest.raises(InputError, match=r"give a ZIP of FLAC files") as refused:
            clips(path, 15.0)
        assert "\n" not in str(refused.value)
