"""Steps over labelled rows, faces or clips: their parts, and each part's share of the loss."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from gscon_live.train.engine.losses import Terms


@dataclass(frozen=True)
class RowsPart:
    """A part of a step: rows int64 [n] of the training data, and the number of rows in the step."""

    rows: Tensor
    step: int


def split(rows: Tensor, parts: int) -> Sequence[RowsPart]:
    """A step's rows in at most so many parts."""
    return [RowsPart(part, len(rows)) for part in rows.tensor_split(parts) if len(part)]


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float, part: RowsPart) -> Terms:
    """The cross-entropy of a part as its share of the step's mean.

    Args:
        logits: float [n, classes].
        labels: int64 [n], or the shares of the classes, float [n, classes].
        smoothing: label smoothing, 0 to 1.
        part: with n rows.
    """
    total = functional.cross_entropy(
        logits.float(), labels, label_smoothing=smoothing, reduction="sum"
    )
    return Terms(total / part.step, {}, {})
