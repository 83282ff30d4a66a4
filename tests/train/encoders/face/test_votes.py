"""FER+'s votes are learned as they are, and the card says what the encoder learned from."""

import json
from pathlib import Path

import made_faces
import numpy as np
import pytest
import torch
from made_faces import Face

from gscon_live.common.cli import run
from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.train import fit
from gscon_live.train.corpora.labelled_faces import label_shares, scored_faces, training_faces
from gscon_live.train.encoders.face.recipe import FaceRecipe
from gscon_live.train.encoders.face.training import FaceTask
from gscon_live.train.engine.devices import launch_fabric

STILL = FaceRecipe(
    rotation=0, shift=0, scale=0, blur=0, light=0, noise=0, erase=0, batch=1, accelerator="cpu"
)
JOY, SADNESS, FEAR = (EMOTIONS.index(name) for name in ("joy", "sadness", "fear"))


def grey(level: int) -> np.ndarray:
    """A picture that is its own mirror image: one grey, and a brighter square in the middle."""
    pixels = np.full((48, 48), level, np.uint8)
    pixels[16:32, 16:32] += 40
    return pixels


def write(folder: Path, training: list[dict[str, int]], scored: list[dict[str, int]]) -> None:
    """Corpora with these votes. FER2013's own label is fear throughout."""
    faces = [Face("Training", "fear", grey(20 + row), one) for row, one in enumerate(training)]
    for split in ("PublicTest", "PrivateTest"):
        faces += [Face(split, "fear", grey(100 + row), one) for row, one in enumerate(scored)]
    made_faces.write(folder / "face", faces)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("GSCON_DATA", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_face_with_votes_of_six_to_four_is_learned_as_that(data: Path) -> None:
    write(data, [{"happiness": 6, "sadness": 4}], [{"happiness": 10}])
    task = FaceTask(STILL, launch_fabric("cpu"))
    task.net.eval()
    ((part,),) = task.epoch(torch.Generator(), 1)
    with torch.no_grad():
        lost = task.loss(part, torch.Generator(), False).total
        picture = torch.from_numpy(training_faces("ferplus").pixels)[:, None].float() / 255
        predicted = task.net(picture)[1].log_softmax(1)[0]
    expected = -(0.6 * predicted[JOY] + 0.4 * predicted[SADNESS])
    assert float(lost) == pytest.approx(float(expected), abs=1e-4)


def test_votes_for_none_of_the_emotions_do_not_count_unless_they_are_most(data: Path) -> None:
    votes = [
        {"happiness": 3, "sadness": 3, "contempt": 4},
        {"happiness": 5, "unknown": 5},
        {"happiness": 4, "unknown": 3, "NF": 3},
        {"fear": 1, "happiness": 8, "unknown": 1},
    ]
    write(data, votes, [{"happiness": 10}])
    faces = training_faces("ferplus")
    # The first and the last picture, by their greys.
    assert np.abs(faces.pixels[:, 0, 0].astype(int) - [20, 23]).max() <= 2
    assert faces.shares.dtype == np.float32
    expected = np.zeros((2, len(EMOTIONS)))
    expected[0, [JOY, SADNESS]] = 0.5
    expected[1, [FEAR, JOY]] = 1 / 9, 8 / 9
    assert np.allclose(faces.shares, expected)
    assert np.allclose(label_shares("ferplus"), expected.mean(0))
    own = training_faces("fer2013")
    assert own.shares[:, FEAR].tolist() == [1.0] * 4
    assert label_shares("fer2013")[FEAR] == 1


def test_only_faces_on_which_most_votes_agree_are_scored(data: Path) -> None:
    scored = [
        {"happiness": 6, "sadness": 4},
        {"happiness": 5, "sadness": 5},
        {"happiness": 5, "contempt": 5},
        {"sadness": 6, "unknown": 4},
    ]
    write(data, [{"happiness": 10}], scored)
    for split in ("validation", "test"):
        assert scored_faces("ferplus", split).labels.tolist() == [JOY, SADNESS]
        assert scored_faces("fer2013", split).labels.tolist() == [FEAR] * 4


def test_a_missing_corpus_is_named(data: Path) -> None:
    with pytest.raises(InputError, match=r"ferplus\.zip"):
        training_faces("ferplus")


@pytest.mark.parametrize("corpus", ["fer2013", "ferplus"])
def test_the_card_says_what_the_encoder_learned_from(data: Path, corpus: str) -> None:
    made_faces.write(data / "face", made_faces.smiling(24, 8))
    words = ["face", f"corpus={corpus}", "start=null", "epochs=1", "accelerator=cpu", "threads=1"]
    assert run(fit.main, words) == 0
    card = json.loads(Path("runs/face/face.json").read_text())
    assert card["recipe"]["corpus"] == corpus
    assert card["starts"] == []
    assert ("votes" in card["data"]) == ("test_own_labels" in card) == (corpus == "ferplus")
    assert card["test"]["count"] == 8
