"""Ways of fine-tuning a text encoder on a small corpus, from the literature."""

from typing import Annotated

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.context_encoder import ContextEncoder
from gscon_live.train.bounds import AtLeast0, NotNegative

#: Standard deviation of weights that are drawn anew, as in BERT (Devlin et al. 2019).
_DEVIATION = 0.02

Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class FineTuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done beside minimising the cross-entropy; by default nothing."""

    #: The learning rate of a layer, relative to that of the layer above (Howard and Ruder 2018).
    layer_decay: Share = 1.0
    #: Number of top layers whose weights are drawn anew (Zhang et al. 2021).
    fresh_layers: NotNegative = 0
    #: Weight of the divergence between the answers with two draws of dropout (R-Drop, Liang et al.
    #: 2021); 0: dropout is drawn once.
    r_drop: AtLeast0 = 0.0
    #: Weight of the supervised contrastive loss of the vectors (Khosla et al. 2020).
    contrast: AtLeast0 = 0.0
    #: Temperature of the contrastive loss.
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 0.1


def check_fresh_layers(recipe: str, count: int, trained: int) -> None:
    """Raises `InputError` where more layers are to be drawn anew than are trained."""
    if count > trained:
        raise InputError(
            f"recipe {recipe!r}: fine_tuning.fresh_layers {count}, but {trained} layers are "
            f"trained; give at most {trained}"
        )


def draw_layers(encoder: ContextEncoder, count: int, recipe: str) -> None:
    """Draws the weights of the top `count` layers anew, with torch's random numbers (Zhang et al.
    2021, Revisiting Few-sample BERT Fine-tuning). Raises `InputError` where fewer are trained, with
    the name of the recipe."""
    trained = sum(any(p.requires_grad for p in layer.parameters()) for layer in encoder.layers)
    check_fresh_layers(recipe, count, trained)
    for layer in encoder.layers[len(encoder.layers) - count :]:
        for module in layer.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=_DEVIATION)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()


def by_depth(encoder: ContextEncoder) -> list[list[nn.Parameter]]:
    """The trained parameters of each layer, the top one first; last those below the layers. The
    biases of the context are in none."""
    below = [*encoder.embeddings.parameters()]
    if encoder.relative is not None:
        below += encoder.relative.parameters()
    depths = [[*layer.parameters()] for layer in reversed(encoder.layers)] + [below]
    return [[p for p in parameters if p.requires_grad] for parameters in depths]


def divergence(logits: Tensor, again: Tensor) -> Tensor:
    """The sum over utterances of the mean of both Kullback-Leibler divergences between two answers
    [n, classes], in nats (R-Drop, Liang et al. 2021, eq. 2)."""
    log_p, log_q = logits.log_softmax(-1), again.log_softmax(-1)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum() / 2


def supervised_contrast(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """The sum over utterances of the supervised contrastive loss (Khosla et al. 2020, Supervised
    Contrastive Learning, eq. 2): vectors of the same label shall be near each other, others far.
    An utterance whose label no other has adds nothing.

    Args:
        vectors: of the utterances, [n, dim].
        labels: of the utterances, int64 [n].
        temperature: divides the cosines.
    """
    directions = functional.normalize(vectors, dim=-1)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    similarities = (directions @ directions.T / temperature).masked_fill(itself, -torch.inf)
    log_probabilities = similarities.log_softmax(-1).masked_fill(itself, 0.0)
    alike = (labels[:, None] == labels) & ~itself
    means = (log_probabilities * alike).sum(1) / alike.sum(1).clamp(min=1)
    return -means.sum()
