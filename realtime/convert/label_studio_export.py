"""What people have corrected in Label Studio, from its export in the format JSON."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.realtime.events.corrections import Corrections, Session, Utterance, check_label

#: The names of the regions that `convert --to label-studio` gives.
_REGION = re.compile(r"u(\d+)")
#: Seconds by which the bounds of a region and of an utterance may differ.
_TOLERANCE = 0.05


class Exported(NamedTuple):
    """The corrections of an export, and the number of regions that belong to no utterance."""

    corrections: Corrections
    left_out: int


class _Value(msgspec.Struct):
    start: float = 0.0
    end: float = 0.0
    labels: list[str] = []
    text: list[str] | str = []


class _Part(msgspec.Struct):
    """A part of a region: its label, its words or its speaker."""

    id: str = ""
    from_name: str = ""
    value: _Value = msgspec.field(default_factory=_Value)


class _Annotation(msgspec.Struct):
    result: list[_Part] = []
    was_cancelled: bool = False
    updated_at: str = ""


class _Data(msgspec.Struct):
    gscon_session: str = ""


class _Task(msgspec.Struct):
    annotations: list[_Annotation]
    data: _Data = msgspec.field(default_factory=_Data)
    predictions: list[Any] = []


def read(path: Path) -> Exported:
    """Reads an export. A task with several annotations counts with the one that was changed last;
    skipped ones are left out.

    Raises:
        InputError: the file cannot be read or is no such export, a task is not from `convert`, or a
            label is unknown.
    """
    try:
        tasks = msgspec.json.decode(path.read_bytes(), type=list[_Task])
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give an export of Label Studio") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"{path}: no export of Label Studio ({error}); export the project as JSON, not JSON-MIN"
        ) from error
    corrections, left_out = Corrections(), 0
    for number, task in enumerate(tasks, 1):
        if not task.data.gscon_session:
            raise InputError(
                f"{path}: task {number} has no gscon_session, so it is not from gscon-live "
                "convert; export a project of its tasks alone"
            )
        annotations = [a for a in task.annotations if not a.was_cancelled]
        if not annotations:
            continue
        latest = max(annotations, key=lambda annotation: annotation.updated_at)
        regions, unknown = _regions(latest, _bounds(task))
        left_out += unknown
        session = Session(
            utterances={
                utterance: _correction(parts, f"{path}: task {number}, utterance {utterance}")
                for utterance, parts in sorted(regions.items())
            }
        )
        corrections = corrections.joined(Corrections(sessions={task.data.gscon_session: session}))
    return Exported(corrections, left_out)


def _bounds(task: _Task) -> dict[int, tuple[float, float]]:
    """The bounds of the utterances, where the export has the predictions."""
    bounds = {}
    for prediction in task.predictions:
        if not isinstance(prediction, dict):
            continue  # some exports have their numbers alone
        for part in msgspec.convert(prediction, _Annotation, strict=False).result:
            if known := _REGION.fullmatch(part.id):
                bounds[int(known[1])] = part.value.start, part.value.end
    return bounds


def _regions(
    annotation: _Annotation, bounds: dict[int, tuple[float, float]]
) -> tuple[dict[int, list[_Part]], int]:
    """The parts of an annotation by utterance, and the number of regions of no utterance."""
    regions: dict[int, list[_Part]] = {}
    unknown = set()
    for part in annotation.result:
        utterance = _utterance_of(part, bounds)
        if utterance is None:
            unknown.add(part.id)
        else:
            regions.setdefault(utterance, []).append(part)
    return regions, len(unknown)


def _utterance_of(part: _Part, bounds: dict[int, tuple[float, float]]) -> int | None:
    """The utterance of a region: by its name, or by its bounds where a person drew it anew."""
    if known := _REGION.fullmatch(part.id):
        return int(known[1])
    for utterance, (start, end) in bounds.items():
        if max(abs(part.value.start - start), abs(part.value.end - end)) <= _TOLERANCE:
            return utterance
    return None


def _correction(parts: list[_Part], where: str) -> Utterance:
    label = speaker = None
    for part in parts:
        if part.from_name == "emotion" and part.value.labels:
            if len(set(part.value.labels)) > 1 or label not in (None, part.value.labels[0]):
                raise InputError(f"{where}: has several labels; leave one in Label Studio")
            label = part.value.labels[0]
            check_label(label, where)
        elif part.from_name == "speaker":
            text = part.value.text
            speaker = " ".join([text] if isinstance(text, str) else text).strip() or None
    return Utterance(label=label, speaker=speaker)
