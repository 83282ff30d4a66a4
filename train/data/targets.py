"""Training targets: labels as probabilities, alone or mixed with a teacher's."""

from torch import Tensor, lerp
from torch.nn import functional


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """One-hot targets of labels int64 [n], all zero where the label is -1; float32
    [n, classes]."""
    return functional.one_hot(labels.clamp(min=0), classes) * (labels >= 0)[:, None].float()


def mixed(targets: Tensor, probabilities: Tensor, share: float) -> Tensor:
    """Targets [n, classes] mixed with the `share` of a teacher's probabilities [n, classes].
    Targets of zeros, where there is no label, stay so."""
    return lerp(targets, probabilities, share) * targets.any(1, keepdim=True)
