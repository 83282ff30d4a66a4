"""All measurements on strangers, as `gscon-live evaluate strangers` prints them."""

from collections.abc import Sequence

import msgspec

from gscon_live.model import checkpoint
from gscon_live.train.encoders.voice import out_of_fold
from gscon_live.train.progress import Report
from gscon_live.train.runs.provenance import provenance
from gscon_live.train.scoring.stranger_scores import StrangerScores
from gscon_live.train.strangers.composed import CONVERSATIONS, composed_strangers
from gscon_live.train.strangers.faces import face_strangers
from gscon_live.train.strangers.parts import Part
from gscon_live.train.strangers.voices import voice_strangers
from gscon_live.train.strangers.words import word_strangers

#: What the figures are not.
NOTES = (
    "The voices of RAVDESS and EMO-DB are read by networks of the same recipe that were trained "
    "without them; those of nEMO, URDU and LibriSpeech by the network that ships.",
    "Sound is cut by the live segmenter. The recall of a corpus is among its own emotions, but for "
    "the rows that say otherwise.",
    "Faces are other photographs of the collection that the face encoder was trained on: there is "
    "no second corpus. Near-copies of training pictures are left out, but for one row.",
    "Composed conversations are not real ones.",
)


class Strangers(msgspec.Struct, frozen=True):
    """The measurements: `sections` has tables of scores by row, `figures` single shares and
    confidences, 0 to 1."""

    model: str
    version: str
    encoders: dict[str, str]
    sections: dict[str, dict[str, StrangerScores]]
    figures: dict[str, float]
    notes: list[str]
    created: str
    machine: str


def measure(
    model: str,
    parts: Sequence[Part],
    report: Report,
    conversations: int = CONVERSATIONS,
    voice: str = "voice",
) -> Strangers:
    """Measures the encoders that ship and a live model.

    Args:
        model: a checkpoint's name or path, with the encoders that ship.
        parts: what is measured.
        report: takes (done, total, what).
        conversations: composed conversations of each corpus of voices.
        voice: name or path of the recipe of voice networks that are trained without a corpus.

    Raises:
        InputError: a corpus is missing, or the checkpoint is for other encoders.
    """
    loaded = checkpoint.load(model)
    recipe = out_of_fold.recipe(voice)
    sections: dict[str, dict[str, StrangerScores]] = {}
    figures: dict[str, float] = {}
    if "voice" in parts:
        sections |= voice_strangers(recipe, report)
    if "face" in parts:
        sections |= face_strangers(report)
    if "words" in parts:
        more, shares = word_strangers(loaded, report)
        sections |= more
        figures |= shares
    if "composed" in parts:
        more, shares = composed_strangers(loaded, recipe, report, conversations)
        sections |= more
        figures |= shares
    return Strangers(
        model=loaded.card.name,
        version=loaded.card.version,
        encoders=loaded.card.encoders,
        sections=sections,
        figures=figures,
        notes=list(NOTES),
        **provenance(),
    )
