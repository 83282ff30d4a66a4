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
#: The rows of a voice encoder's scores on a corpus that was left out.
_VOICES = ("first utterances", "after 3 utterances")


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
    for corpus, rows in voice["left_out"].items():
        for name in (name for name in _VOICES if name in rows):
            scores[f"voice: {corpus} left out, {name}"] = {
                "accuracy": float(rows[name]["accuracy"]),
                "balanced_accuracy": float(rows[name]["macro_recall"]),
                "ece": float(rows[name]["ece"]),
            }
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
