"""The scores of the encoders that ship, by their cards."""

from pathlib import Path
from typing import Any

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.shipped_weights import FOLDER
from gscon_live.train.corpora.labelled_faces import FaceCorpus

#: Scores by encoder and test material, then by figure.
EncoderScores = dict[str, dict[str, float]]

_FIGURES = ("accuracy", "macro_f1", "balanced_accuracy", "ece")

#: The test material of a face encoder, by the corpus that it learned from.
_FACES: dict[FaceCorpus, str] = {
    "fer2013": "face: FER2013 PrivateTest",
    "ferplus": "face: FER+ PrivateTest, majority of votes",
}


def encoder_scores(folder: Path = FOLDER) -> EncoderScores:
    """The scores of the face encoder, the voice encoder and the speaker encoder.

    Raises:
        InputError: a card is missing or damaged.
    """
    face, voice, speaker = (
        _read_card(folder / f"{name}.json") for name in ("face", "voice", "speaker")
    )
    scores = {_FACES[_face_corpus(face)]: _main_figures(face["test"])}
    if "test_own_labels" in face:
        scores["face: FER+ PrivateTest, FER2013's own labels"] = _main_figures(
            face["test_own_labels"]
        )
    for name, fold in voice["folds"].items():
        scores[f"voice: RAVDESS, eight emotions, six folds, {name}"] = _main_figures(fold)
    for name, gender in voice.get("by_gender", {}).items():
        scores[f"voice: RAVDESS, eight emotions, six folds, {name}"] = _main_figures(gender)
    materials = {"read": "LibriSpeech", "acted": "actors, by folds"}
    for name, by_count in speaker["confusion"].items():
        for count, figures in by_count.items():
            scores[f"speakers: {materials[name]}, {count} of them"] = {
                "confusion": figures["confusion"],
                "speakers": figures["speakers"],
            }
    return scores


def face_corpus(folder: Path = FOLDER) -> FaceCorpus:
    """The corpus that the face encoder learned from last. Raises `InputError` where its card is
    missing or damaged."""
    return _face_corpus(_read_card(folder / "face.json"))


def _face_corpus(card: dict[str, Any]) -> FaceCorpus:
    # Recipes from before there was a choice have no corpus.
    return "ferplus" if card["recipe"].get("corpus") == "ferplus" else "fer2013"


def _main_figures(scores: dict[str, Any]) -> dict[str, float]:
    return {name: float(scores[name]) for name in _FIGURES}


def _read_card(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            f"card {path}: cannot be read ({' '.join(str(error).split())}); train the encoder with "
            "`gscon-live fit` and ship=true"
        ) from error
