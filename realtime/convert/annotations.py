"""Files for annotation tools: ELAN, Praat and Label Studio."""

import mimetypes
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from gscon_live.realtime.convert.lanes import Session, tiers, words_of


def elan(session: Session, media: str | None) -> bytes:
    """An ELAN document (EAF). Needs the library pympi-ling.

    Args:
        session: the utterances.
        media: path or address of the recording; None: ELAN asks for it.
    """
    from pympi import Eaf

    document = Eaf(author="gscon-live")
    document.add_property("gscon.session", session.name)
    document.add_property("gscon.model", session.model)
    document.add_property("gscon.source", session.source)
    if media is not None:
        kind = mimetypes.guess_type(media)[0] or "video/mp4"
        document.add_linked_file(media, mimetype=kind)
    for tier in tiers(session):
        document.add_tier(tier.name, part=tier.name.rpartition(" ")[0])
        for start, end, label in tier.annotations:
            document.add_annotation(tier.name, round(start * 1000), round(end * 1000), label)
    if session.utterances:
        # The tier with which every document begins.
        document.remove_tier("default")
    return _written(document.to_file, "session.eaf")


def praat(session: Session) -> bytes:
    """A Praat TextGrid, in its long form. Needs the library praatio."""
    from praatio import textgrid
    from praatio.data_classes.interval_tier import IntervalTier

    # Praat wants tiers of some length.
    length = max(session.duration, 0.001)
    grid = textgrid.Textgrid(0, length)
    for tier in tiers(session):
        last = max([length, *(annotation.end for annotation in tier.annotations)])
        grid.addTier(
            IntervalTier(tier.name, [tuple(a) for a in tier.annotations], 0, last),
            reportingMode="silence",
        )
    if not session.utterances:
        grid.addTier(IntervalTier("words", [], 0, length))
    return _written(
        lambda path: grid.save(path, format="long_textgrid", includeBlankSpaces=True),
        "session.TextGrid",
    )


def label_studio(session: Session, media: str | None) -> bytes:
    """A task with predictions, as JSON for Label Studio: a region of the sound for each utterance,
    with the emotion as its label, and words and speaker as its texts.

    Args:
        session: the utterances.
        media: address of the recording for Label Studio; None: its file's name.
    """
    result: list[dict[str, Any]] = []
    for event in session.utterances:
        utterance, emotion = event.utterance, event.emotion
        region = {
            "id": f"u{utterance.id}",
            "to_name": "audio",
            "original_length": session.duration,
        }
        bounds = {"start": utterance.start, "end": utterance.end, "channel": 0}
        label = {"from_name": "emotion", "type": "labels", "score": emotion.confidence}
        result.append({**region, **label, "value": {**bounds, "labels": [emotion.label]}})
        for name, text in (("words", words_of(event)), ("speaker", utterance.speaker)):
            field = {"from_name": name, "type": "textarea"}
            result.append({**region, **field, "value": {**bounds, "text": [text]}})
    confidences = [event.emotion.confidence for event in session.utterances]
    task = {
        "data": {"audio": media or session.source, "gscon_session": session.name},
        "predictions": [
            {
                "model_version": session.model,
                "score": round(sum(confidences) / max(len(confidences), 1), 4),
                "result": result,
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode([task]), indent=1) + b"\n"


def _written(write: Any, name: str) -> bytes:
    """What a library writes that writes files alone."""
    with tempfile.TemporaryDirectory(prefix="gscon-") as folder:
        path = Path(folder) / name
        write(str(path))
        return path.read_bytes()
