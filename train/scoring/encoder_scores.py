"""What the encoders that ship are worth by themselves, by their cards."""

from pathlib import Path
from typing import Any

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.shipped_weights import FOLDER

#: Scores of an encoder by the material that they are on: figure, then value.
EncoderScores = dict[str, dict[str, float]]

_FIGURES = ("accuracy", "macro_f1", "balanced_accuracy", "ece")


def encoder_scores(folder: Path = FOLDER) -> EncoderScores:
    """The scores of the face encoder, the voice encoder and what tells speakers apart.

    Raises:
        InputError: a card is missing or damaged.
    """
    face, voice, speaker = (_card(folder / f"{name}.json") for name in ("face", "voice", "speaker"))
    found = {"face: FER2013 PrivateTest": _of(face["test"])}
    for name, one in voice["folds"].items():
        found[f"voice: RAVDESS, eight emotions, six folds, {name}"] = _of(one)
    for name, one in voice.get("by_gender", {}).items():
        found[f"voice: RAVDESS, eight emotions, six folds, {name}"] = _of(one)
    materials = {"read": "LibriSpeech", "acted": "actors, by folds"}
    for name, by_count in speaker["confusion"].items():
        for count, one in by_count.items():
            found[f"speakers: {materials[name]}, {count} of them"] = {
                "confusion": one["confusion"],
                "speakers": one["speakers"],
            }
    return found


def _of(scores: dict[str, Any]) -> dict[str, float]:
    return {name: float(scores[name]) for name in _FIGURES}


def _card(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            f"card {path}: cannot be read ({' '.join(str(error).split())}); train the encoder with "
            "`gscon-live fit` and ship=true"
        ) from error
