"""What others have reported, with what is known of how it came about: `published.yaml`."""

from pathlib import Path
from typing import Literal

import msgspec

Selection = Literal["validation", "test", "none", "unknown"]

_FILE = Path(__file__).with_name("published.yaml")


class PublishedScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Figures on one corpus' test set, in percent."""

    weighted_f1: float
    sd: float | None = None
    accuracy: float | None = None


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A published model; the head of `published.yaml` says what the fields mean."""

    model: str
    selection: Selection
    context: Literal["past-only", "full", "leaking", "none", "unknown"]
    modalities: str
    source: str
    scores: dict[str, PublishedScore]
    seeds: int | None = None
    note: str = ""


def published() -> list[Published]:
    """All that is in the file, by selection: on validation first, on test last."""
    found = msgspec.yaml.decode(_FILE.read_bytes(), type=list[Published])
    order = ("validation", "unknown", "test", "none")
    return sorted(found, key=lambda one: order.index(one.selection))
