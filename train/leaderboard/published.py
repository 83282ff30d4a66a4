"""Published figures, and what is known of their protocols: `published.yaml`."""

from pathlib import Path
from typing import Literal

import msgspec

Selection = Literal["validation", "test", "none", "unknown"]

_FILE = Path(__file__).with_name("published.yaml")


class PublishedScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Figures on the test set of a corpus, in percent."""

    weighted_f1: float
    sd: float | None = None
    accuracy: float | None = None


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A published model; the comment in `published.yaml` explains the fields."""

    model: str
    selection: Selection
    context: Literal["past-only", "full", "leaking", "none", "unknown"]
    modalities: str
    source: str
    scores: dict[str, PublishedScore]
    seeds: int | None = None
    note: str = ""


def published() -> list[Published]:
    """All published models, sorted by `selection`: validation, unknown, test, none."""
    models = msgspec.yaml.decode(_FILE.read_bytes(), type=list[Published])
    order = ("validation", "unknown", "test", "none")
    return sorted(models, key=lambda model: order.index(model.selection))
