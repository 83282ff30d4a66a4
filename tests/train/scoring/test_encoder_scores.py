"""The encoders' own scores are those of the cards that ship."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.shipped_weights import FOLDER
from gscon_live.train.scoring.encoder_scores import encoder_scores, face_corpus

FACES = {
    "fer2013": "face: FER2013 PrivateTest",
    "ferplus": "face: FER+ PrivateTest, majority of votes",
}


def test_the_scores_are_those_of_the_cards() -> None:
    scores = encoder_scores()
    face = msgspec.json.decode((FOLDER / "face.json").read_bytes())
    assert scores[FACES[face_corpus()]]["accuracy"] == face["test"]["accuracy"]
    voice = msgspec.json.decode((FOLDER / "voice.json").read_bytes())
    name = "after 3 utterances"
    found = scores[f"voice: ravdess left out, {name}"]["balanced_accuracy"]
    assert found == voice["left_out"]["ravdess"][name]["macro_recall"]
    speaker = msgspec.json.decode((FOLDER / "speaker.json").read_bytes())
    two = scores["speakers: LibriSpeech, 2 of them"]
    assert two["confusion"] == speaker["confusion"]["read"]["2"]["confusion"]


def test_the_encoders_that_ship_reach_what_is_asked_of_them() -> None:
    scores = encoder_scores()
    assert scores[FACES[face_corpus()]]["accuracy"] > 0.68
    recalls = [
        scores[f"voice: {corpus} left out, after 3 utterances"]["balanced_accuracy"]
        for corpus in ("ravdess", "emodb", "nemo")
    ]
    assert np.mean(recalls) > 0.42
    assert min(recalls) > 1.5 / len(EMOTIONS)
    for count in (2, 3):
        assert scores[f"speakers: LibriSpeech, {count} of them"]["confusion"] < 0.15


def test_the_test_of_the_face_encoder_is_called_by_its_labels(tmp_path: Path) -> None:
    for name in ("face", "voice", "speaker"):
        shutil.copy(FOLDER / f"{name}.json", tmp_path)
    path = tmp_path / "face.json"
    card = msgspec.json.decode(path.read_bytes())
    figures = {name: card["test"][name] for name in ("macro_f1", "balanced_accuracy", "ece")}
    card["test"], own = ({**figures, "accuracy": accuracy} for accuracy in (0.8, 0.6))
    card.pop("test_own_labels", None)
    # Cards from before there was a choice name no corpus.
    card["recipe"].pop("corpus", None)
    path.write_bytes(msgspec.json.encode(card))
    assert face_corpus(tmp_path) == "fer2013"
    faces = {name for name in encoder_scores(tmp_path) if name.startswith("face")}
    assert faces == {FACES["fer2013"]}
    card["recipe"]["corpus"] = "ferplus"
    path.write_bytes(msgspec.json.encode({**card, "test_own_labels": own}))
    assert face_corpus(tmp_path) == "ferplus"
    scores = encoder_scores(tmp_path)
    assert FACES["fer2013"] not in scores
    assert scores[FACES["ferplus"]]["accuracy"] == 0.8
    assert scores["face: FER+ PrivateTest, FER2013's own labels"]["accuracy"] == 0.6


def test_all_weights_together_are_at_most_40_mb() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 40e6


@pytest.mark.parametrize("name", ["face", "voice", "speaker"])
@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"test": 1, "left_out": 2, "confusion": 3}'])
def test_a_damaged_card_is_named(tmp_path: Path, name: str, content: str) -> None:
    for each in ("face", "voice", "speaker"):
        shutil.copy(FOLDER / f"{each}.json", tmp_path)
    (tmp_path / f"{name}.json").write_text(content)
    with pytest.raises(InputError, match=rf"{name}\.json.*ship=true") as error:
        encoder_scores(tmp_path)
    assert "\n" not in str(error.value)
