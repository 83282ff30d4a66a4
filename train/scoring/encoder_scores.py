"""The scores of the encoders that ship, by their cards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.shipped_weights import FOLDER
from gscon_live.train.corpora.labelled_faces import FaceCorpus

#: Scores by encoder and test material, then by figure.
EncoderScores = dict[str, dict[str, float]]

#: What a training notes beside an encoder's weights.
Card = dict[str, Any]

T = TypeVar("T")

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
    return {
        **_read(folder / "face.json", _face_scores),
        **_read(folder / "voice.json", _voice_scores),
        **_read(folder / "speaker.json", _speaker_scores),
    }


def _face_scores(card: Card) -> EncoderScores:
    scores = {_FACES[_face_corpus(card)]: _main_figures(card["test"])}
    if "test_own_labels" in card:
        own = _main_figures(card["test_own_labels"])
        scores["face: FER+ PrivateTest, FER2013's own labels"] = own
    return scores


def _voice_scores(card: Card) -> EncoderScores:
    return {
        f"voice: {corpus} left out, {name}": {
            "accuracy": float(rows[name]["accuracy"]),
            "balanced_accuracy": float(rows[name]["macro_recall"]),
            "ece": float(rows[name]["ece"]),
        }
        for corpus, rows in card["left_out"].items()
        for name in _VOICES
        if name in rows
    }


def _speaker_scores(card: Card) -> EncoderScores:
    materials = {"read": "LibriSpeech", "acted": "actors, by folds"}
    return {
        f"speakers: {materials[name]}, {count} of them": {
            "confusion": figures["confusion"],
            "speakers": figures["speakers"],
        }
        for name, by_count in card["confusion"].items()
        for count, figures in by_count.items()
    }


def face_corpus(folder: Path = FOLDER) -> FaceCorpus:
    """The corpus that the face encoder learned from last. Raises `InputError` where its card is
    missing or damaged."""
    return _read(folder / "face.json", _face_corpus)


def _face_corpus(card: Card) -> FaceCorpus:
    # Recipes from before there was a choice have no corpus.
    return "ferplus" if card["recipe"].get("corpus") == "ferplus" else "fer2013"


def _main_figures(scores: dict[str, Any]) -> dict[str, float]:
    return {name: float(scores[name]) for name in _FIGURES}


def _read(path: Path, what: Callable[[Card], T]) -> T:
    """What a function finds in a card."""
    try:
        return what(msgspec.json.decode(path.read_bytes(), type=dict[str, Any]))
    except (OSError, msgspec.DecodeError, LookupError, TypeError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, LookupError) else " ".join(str(error).split())
        raise InputError(
            f"card {path}: cannot be read ({reason}); train the encoder with `gscon-live fit` and "
            "ship=true"
        ) from error
