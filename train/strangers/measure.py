"""All measurements on strangers, as `gscon-live evaluate strangers` prints them."""

from collections.abc import Sequence

import msgspec

from gscon_live.model import checkpoint
from gscon_live.train.networks.composed_task import left_out_voices
from gscon_live.train.progress import Report
from gscon_live.train.runs.provenance import provenance
from gscon_live.train.scoring.stranger_scores import StrangerScores
from gscon_live.train.strangers.composed import CONVERSATIONS, composed_strangers
from gscon_live.train.strangers.faces import face_strangers
from gscon_live.train.strangers.left_out_networks import network_without, recipe_of
from gscon_live.train.strangers.parts import Part
from gscon_live.train.strangers.voices import voice_strangers
from gscon_live.train.strangers.words import word_strangers

#: What the figures are not.
NOTES = (
    "The voices of each corpus are read by an encoder of the same recipe that was trained without "
    "it, and joined by a network that was trained without it. Sound is cut by the live segmenter.",
    "The voices' recall is among the corpus' own emotions, but for the rows that say otherwise. "
    "The design was chosen with such figures in view.",
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
        voice: name or path of the recipe of voice encoders that are trained without a corpus.

    Raises:
        InputError: a corpus is missing, or the checkpoint is for other encoders, or cannot be
            trained again without a corpus.
    """
    loaded = checkpoint.load(model)
    sections: dict[str, dict[str, StrangerScores]] = {}
    figures: dict[str, float] = {}
    if "voice" in parts:
        sections |= voice_strangers(left_out_voices(voice, report))
    if "face" in parts:
        sections |= face_strangers(report)
    if "words" in parts:
        more, shares = word_strangers(loaded, report)
        sections |= more
        figures |= shares
    if "composed" in parts:
        recipe = recipe_of(loaded.card)
        more, shares = composed_strangers(
            loaded,
            left_out_voices(recipe.voice, report),
            lambda corpus: network_without(recipe, corpus, report),
            report,
            conversations,
        )
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
