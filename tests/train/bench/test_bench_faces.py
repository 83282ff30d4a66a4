"""The bench of face detectors: faces lie where it says, and figures are of what it names."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gscon_live.common import cli
from gscon_live.model.encoders.face.face_detector import Box
from gscon_live.train.bench import detection, faces
from gscon_live.train.bench.scenes import HEIGHT, KINDS, SIDES, WIDTH, Kind, scenes, turned

CORPUS = Path(os.environ.get("GSCON_DATA", "../shared/data")) / "face/ferplus.zip"


@pytest.fixture
def pictures() -> NDArray[np.uint8]:
    """White pictures with a black spot in the middle, three times."""
    picture = np.full((48, 48), 255, np.uint8)
    picture[20:28, 20:28] = 0
    return np.stack([picture] * 3)


@pytest.mark.parametrize("kind", ["upright", "tilted"])
def test_the_picture_lies_where_the_scene_says(kind: Kind, pictures: NDArray[np.uint8]) -> None:
    for scene in scenes(pictures, kind, 5):
        across, down, side = scene.square
        assert scene.frame.shape == (HEIGHT, WIDTH, 3)
        assert SIDES[0] <= side <= SIDES[1]
        assert not scene.frame[round(down), round(across)].any()
        ring = [
            scene.frame[
                round(down + 0.3 * side * math.sin(angle)),
                round(across + 0.3 * side * math.cos(angle)),
            ]
            for angle in np.linspace(0, 6, 12)
        ]
        assert np.min(ring) > 250


def test_a_seed_gives_the_same_scenes_and_another_gives_others(
    pictures: NDArray[np.uint8],
) -> None:
    for kind in KINDS:
        first, again, other = (
            [scene.frame for scene in scenes(pictures, kind, seed)] for seed in (1, 1, 2)
        )
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def test_a_turned_head_moves_its_middle_to_the_side_and_makes_it_narrower() -> None:
    columns = np.repeat(np.arange(48, dtype=np.uint8)[None] * 5, 48, axis=0)
    assert np.abs(turned(columns, 0.0).astype(int) - columns).max() <= 5
    right, left = turned(columns, 45.0)[24].astype(int), turned(columns, -45.0)[24].astype(int)
    middle = 5 * 23.5
    assert np.abs(right - middle).argmin() > 36
    assert np.abs(left - middle).argmin() < 12


def test_overlap_is_that_of_the_squares() -> None:
    assert detection.overlap((10, 10, 4), (10, 10, 4)) == 1
    assert detection.overlap((10, 10, 4), (12, 10, 4)) == pytest.approx(8 / 24)
    assert detection.overlap((10, 10, 2), (10, 10, 4)) == pytest.approx(1 / 4)
    assert detection.overlap((10, 10, 4), (15, 10, 4)) == 0


def test_a_framing_scales_and_moves_the_square() -> None:
    box = Box(10, 20, 30, 40, 1.0)
    plain = detection.square(box)
    assert plain[:2] == (25, 40)
    moved = detection.square(box, detection.Framing(2.0, 0.1))
    assert moved == pytest.approx((25, 44, 2 * plain[2]))


@pytest.mark.skipif(not CORPUS.is_file(), reason="FER+ is not in GSCON_DATA")
def test_json_has_every_figure_of_every_detector() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gscon_live.train.bench.faces", "--faces", "4", "--framing",
         "--seed", "3", "--json", "--video", "realtime/sample/conversation.mkv"],
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    figures = json.loads(done.stdout)
    assert (figures["faces"], figures["seed"]) == (4, 3)
    assert {"date", "machine"} <= set(figures)
    assert "haar/frontalface-alt2" in figures["detectors"]
    for values in figures["detectors"].values():
        (share,) = values["videos"].values()
        # Nobody is in view in 17.5 of 44 seconds.
        assert 0.55 < share < 0.65
        for kind in KINDS:
            assert 0 <= values[kind]["found"] <= 1
            assert values[kind]["ms"] > 0
        assert len(values["upright"]["framing"]) == len(faces.SCALES) * len(faces.SHIFTS)


@pytest.mark.parametrize(
    "words", [["--faces", "0"], ["--seed", "x"], ["--yunet", "nowhere.onnx"], ["more"]]
)
def test_wrong_words_are_exit_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(faces.main, words) == cli.WRONG_INPUT
    assert capsys.readouterr().err.count("\n") == 1
