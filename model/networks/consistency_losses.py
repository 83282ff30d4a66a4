"""The two consistency losses of GSCon: gradient direction (GDC) and spatial structure (SSC).

Both are used in training only. They are computed in float32 or better, under autocast too.

GDC has two steps: the modalities' gradients on the shared encoder, then their agreement. For any
network, `shared_gradients` computes the first step. For GSCon,
`model.networks.layers.shared_encoder.Sharing.gradients` gives the same for a fraction of the work.
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

    One `autograd.grad` per loss, with its graph, so all operations between the parameters and the
    losses must support a second derivative.

    Args:
        losses: scalars of the unimodal heads, one per modality that is present.
        shared: the parameters of the shared encoder; every loss must depend on each.

    Returns:
        [losses, parameters]: all parameters as one vector.
    """
    parameters, gradients = list(shared), []
    for loss in losses:
        by_parameter = torch.autograd.grad(loss, parameters, create_graph=True)
        gradients.append(torch.cat([gradient.flatten() for gradient in by_parameter]))
    if not gradients:
        return parameters[0].new_zeros(0, sum(parameter.numel() for parameter in parameters))
    return torch.stack(gradients)


def disagreement(gradients: Tensor) -> Tensor:
    """The loss of GDC: how much the modalities' gradients on the shared encoder disagree.

    With u_m = g_m / |g_m|, the unit gradient of modality m, the loss is -|mean_m u_m|. That is the
    mean of -cos(u_m, ubar) with ubar = mean_m u_m. With three modalities it is
    -sqrt(3 + 2 (cos_12 + cos_13 + cos_23)) / 3.

    Args:
        gradients: [M, parameters], one row per modality that is present.

    Returns:
        A scalar from -1 (all agree) to 0; 0 for fewer than two modalities. A gradient of zero has
        no direction: it counts as a zero vector, and is not differentiated.
    """
    precise = _at_least_float32(gradients)
    if len(precise) < 2:
        return precise.new_zeros(())
    with torch.autocast(precise.device.type, enabled=False):
        loss: Tensor = -torch.linalg.vector_norm(_normalise(precise).mean(0))
    return loss


def cosines(gradients: Tensor) -> Tensor:
    """The cosines between modalities' gradients [M, parameters], detached: [M, M], 0 where a
    gradient is zero."""
    with torch.no_grad(), torch.autocast(gradients.device.type, enabled=False):
        units = _normalise(_at_least_float32(gradients))
        return (units @ units.T).clamp(-1, 1)


def ssc(
    common: Sequence[Tensor], rows: Tensor, tau: float, present: Tensor | None = None
) -> Tensor:
    """Spatial structure consistency: whether utterances are similar to the same others in every
    modality.

    For each modality and utterance, the softmax of the cosines to the other utterances, divided by
    `tau`, is a distribution. The loss is the squared difference of two modalities' distributions,
    summed over the other utterances, averaged over the utterances, and summed over the pairs of
    modalities. Its value falls with the number of utterances, so keep that number fixed.

    Args:
        common: for each modality, the shared encoder's output [n, d].
        rows: int64 [r], the utterances to compare, of n.
        tau: temperature, above 0.
        present: bool [n, modalities]; a pair of modalities is compared on the utterances where both
            are present. None: all are present.

    Returns:
        A scalar, at least 0. Pairs with fewer than three utterances add nothing.
    """
    pairs = torch.tensor(list(combinations(range(len(common)), 2)), device=rows.device)
    if not len(pairs) or len(rows) < 3:
        return _at_least_float32(common[0]).new_zeros(())
    first, second = pairs.unbind(1)
    if present is None:
        both_present = rows.new_ones(len(pairs), len(rows), dtype=torch.bool)
    else:
        present_rows = present.index_select(0, rows).T
        both_present = present_rows[first] & present_rows[second]
    with torch.autocast(rows.device.type, enabled=False):
        compared = torch.stack(
            [_at_least_float32(vectors.index_select(0, rows)) for vectors in common]
        )
        logits = _similarities(compared, tau)
        difference = _distributions(logits[first], both_present) - _distributions(
            logits[second], both_present
        )
        row_losses = difference.square().sum(2).masked_fill(~both_present, 0).sum(1)
        count = both_present.sum(1)
        return (row_losses / count.clamp(min=1)).masked_fill(count < 3, 0).sum()


def structure(common: Tensor, tau: float) -> Tensor:
    """The distributions that SSC compares: of each row over the other rows. For analysis.

    Args:
        common: [..., r, d], at least two rows; the leading dimensions may be modalities.
        tau: temperature, above 0.

    Returns:
        [..., r, r]: rows sum to 1, the diagonal is 0.
    """
    with torch.autocast(common.device.type, enabled=False):
        all_rows = torch.ones(common.shape[:-1], dtype=torch.bool, device=common.device)
        return _distributions(_similarities(_at_least_float32(common), tau), all_rows)


def _similarities(vectors: Tensor, tau: float) -> Tensor:
    """Cosines divided by the temperature: [..., r, d] to [..., r, r]."""
    units = _normalise(vectors)
    return units @ units.mT / tau


def _distributions(logits: Tensor, compared: Tensor) -> Tensor:
    """Each row's softmax over the other compared rows: logits [..., r, r], compared [..., r]."""
    diagonal = torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device)
    others = compared[..., None, :] & ~diagonal
    # For a row without others a softmax would be NaN; its distribution is not used.
    others = others | ~others.any(-1, keepdim=True)
    return logits.masked_fill(~others, float("-inf")).softmax(-1)


def _normalise(vectors: Tensor) -> Tensor:
    """Rows [..., d] scaled to length one; a row of zeros stays zero and has no gradient."""
    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    is_zero = length <= _EPS
    return (vectors / length.masked_fill(is_zero, 1)).masked_fill(is_zero, 0)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
