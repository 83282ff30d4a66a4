"""The two consistency losses of GSCon: of gradients (GDC) and of structure (SSC).

Both act in training only and cost nothing at inference.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

import torch
from torch import Tensor

_EPS = 1e-12


def gdc(losses: Sequence[Tensor], shared: Iterable[Tensor]) -> Tensor:
    """Gradient direction consistency: do the modalities want the shared encoder to go one way?

    With g_m the gradient of modality m's loss with respect to all shared parameters as one vector,
    and u_m = g_m / (|g_m| + 1e-12), the loss is -|mean_m u_m|. That is the mean of -cos(u_m, ubar)
    with ubar = mean_m u_m. Differentiable: one `autograd.grad` per modality, with its graph, so
    what lies between the shared parameters and the losses must support a second derivative.

    Args:
        losses: one scalar per modality that is there, of the unimodal heads.
        shared: the parameters of the shared encoder; each must take part in every loss.

    Returns:
        A scalar from -1 (all agree) to 0; 0 where fewer than two modalities are there, since one
        always agrees with itself.
    """
    parameters = list(shared)
    if len(losses) < 2:
        return parameters[0].new_zeros(())
    directions = []
    for loss in losses:
        gradients = torch.autograd.grad(loss, parameters, create_graph=True)
        whole = torch.cat([gradient.flatten() for gradient in gradients])
        directions.append(whole / (_length(whole, 0) + _EPS))
    return -_length(torch.stack(directions).mean(0), 0)[0]


def ssc(
    common: Sequence[Tensor], rows: Tensor, tau: float, present: Tensor | None = None
) -> Tensor:
    """Spatial structure consistency: are the same utterances alike in every modality?

    For each modality, the chosen rows are brought to length one and each row's cosines to the
    others, divided by `tau`, made a distribution by softmax. The loss is the squared difference of
    two modalities' distributions, summed over the others, averaged over the rows, and summed over
    the pairs of modalities. Its value falls with the number of rows: keep that number fixed.

    Args:
        common: for each modality, the shared encoder's output [n, d].
        rows: int64 [r], which of the n utterances to compare.
        tau: temperature, above 0.
        present: bool [n, modalities]; a pair of modalities is compared on the rows where both are
            there. None: all are.

    Returns:
        A scalar, at least 0. Pairs with fewer than three rows add nothing.
    """
    total = common[0].new_zeros(())
    for first, second in combinations(range(len(common)), 2):
        chosen = rows
        if present is not None:
            chosen = rows[present[rows, first] & present[rows, second]]
        if len(chosen) < 3:
            continue
        difference = _neighbours(common[first][chosen], tau) - _neighbours(
            common[second][chosen], tau
        )
        total = total + difference.square().sum(1).mean()
    return total


def _neighbours(vectors: Tensor, tau: float) -> Tensor:
    """Each row's distribution over the other rows, [n, n] with a zero diagonal."""
    unit = vectors / (_length(vectors, 1) + _EPS)
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    cosines: Tensor = (unit @ unit.T / tau).masked_fill(itself, float("-inf"))
    return cosines.softmax(1)


def _length(vectors: Tensor, axis: int) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vectors, dim=axis, keepdim=True)
    return length
