"""The two consistency losses of GSCon: of gradients (GDC) and of structure (SSC).

Both act in training only and cost nothing at inference. They are computed in float32 or better,
under autocast too.

GDC takes two steps: the modalities' gradients on the shared encoder, and how well they agree. The
first is `shared_gradients` for any network, and
`model.networks.layers.shared_encoder.Sharing.gradients` for GSCon, which gives the same for a
fraction of the work.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

import torch
from torch import Tensor

_EPS = 1e-12


def gdc(losses: Sequence[Tensor], shared: Iterable[Tensor]) -> Tensor:
    """Gradient direction consistency, for any network: `disagreement` of `shared_gradients`."""
    return disagreement(shared_gradients(losses, shared))


def shared_gradients(losses: Sequence[Tensor], shared: Iterable[Tensor]) -> Tensor:
    """The gradients of losses with respect to shared parameters, differentiable.

    One `autograd.grad` per loss, with its graph, so what lies between the parameters and the
    losses must support a second derivative.

    Args:
        losses: scalars, one per modality that is there, of the unimodal heads.
        shared: the parameters of the shared encoder; each must take part in every loss.

    Returns:
        [losses, parameters]: all parameters as one vector.
    """
    parameters, rows = list(shared), []
    for loss in losses:
        parts = torch.autograd.grad(loss, parameters, create_graph=True)
        rows.append(torch.cat([part.flatten() for part in parts]))
    if not rows:
        return parameters[0].new_zeros(0, sum(one.numel() for one in parameters))
    return torch.stack(rows)


def disagreement(gradients: Tensor) -> Tensor:
    """The loss of GDC: do the modalities want the shared encoder to go one way?

    With u_m the gradient g_m of modality m brought to length one, the loss is -|mean_m u_m|. That
    is the mean of -cos(u_m, ubar) with ubar = mean_m u_m, and with three modalities
    -sqrt(3 + 2 (cos_12 + cos_13 + cos_23)) / 3.

    Args:
        gradients: [M, parameters], one row per modality that is there.

    Returns:
        A scalar from -1 (all agree) to 0; 0 where fewer than two modalities are there, since one
        always agrees with itself. A gradient that vanishes has no direction: it counts as a zero
        vector, and none comes back through it.
    """
    exact = _exact(gradients)
    if len(exact) < 2:
        return exact.new_zeros(())
    with torch.autocast(exact.device.type, enabled=False):
        loss: Tensor = -torch.linalg.vector_norm(_units(exact).mean(0))
    return loss


def cosines(gradients: Tensor) -> Tensor:
    """The cosines between modalities' gradients [M, parameters], without a graph: [M, M], 0 where
    one of them vanishes."""
    with torch.no_grad(), torch.autocast(gradients.device.type, enabled=False):
        units = _units(_exact(gradients))
        return (units @ units.T).clamp(-1, 1)


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
    pairs = torch.tensor(list(combinations(range(len(common)), 2)), device=rows.device)
    if not len(pairs) or len(rows) < 3:
        return _exact(common[0]).new_zeros(())
    first, second = pairs.unbind(1)
    if present is None:
        both = rows.new_ones(len(pairs), len(rows), dtype=torch.bool)
    else:
        here = present.index_select(0, rows).T
        both = here[first] & here[second]
    with torch.autocast(rows.device.type, enabled=False):
        chosen = torch.stack([_exact(vectors.index_select(0, rows)) for vectors in common])
        logits = _similarities(chosen, tau)
        difference = _distributions(logits[first], both) - _distributions(logits[second], both)
        each = difference.square().sum(2).masked_fill(~both, 0).sum(1)
        count = both.sum(1)
        return (each / count.clamp(min=1)).masked_fill(count < 3, 0).sum()


def structure(common: Tensor, tau: float) -> Tensor:
    """What SSC compares, for analysis: each row's distribution over the other rows.

    Args:
        common: [..., r, d], at least two rows; leading dimensions are modalities, for example.
        tau: temperature, above 0.

    Returns:
        [..., r, r]: rows sum to 1, the diagonal is 0.
    """
    with torch.autocast(common.device.type, enabled=False):
        everywhere = torch.ones(common.shape[:-1], dtype=torch.bool, device=common.device)
        return _distributions(_similarities(_exact(common), tau), everywhere)


def _similarities(vectors: Tensor, tau: float) -> Tensor:
    """Cosines divided by the temperature: [..., r, d] to [..., r, r]."""
    units = _units(vectors)
    return units @ units.mT / tau


def _distributions(logits: Tensor, kept: Tensor) -> Tensor:
    """Each row's softmax over the other rows that are kept: logits [..., r, r], kept [..., r]."""
    itself = torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device)
    others = kept[..., None, :] & ~itself
    # A row without others gives a distribution that nobody uses, but no NaN.
    others = others | ~others.any(-1, keepdim=True)
    return logits.masked_fill(~others, float("-inf")).softmax(-1)


def _units(vectors: Tensor) -> Tensor:
    """Rows [..., d] brought to length one; zero, without a gradient, where there is no length."""
    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    nothing = length <= _EPS
    return (vectors / length.masked_fill(nothing, 1)).masked_fill(nothing, 0)


def _exact(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
