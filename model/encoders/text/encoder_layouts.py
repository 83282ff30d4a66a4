"""The layouts of BERT-like encoders: how their parts are named, and what they do differently."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from gscon_live.common.errors import InputError


@dataclass(frozen=True)
class EncoderLayout:
    """What differs between BERT-like encoders of `transformers`.

    `first_position` is the position of an utterance's first token. `attention` gives the
    projections to queries, keys and values of a layer; `attended` ends its attention: (layer, the
    heads' outputs, the layer's input) to hidden states. `buckets` numbers relative positions (key
    minus query) for the bias that all layers share; None where there is no such bias.
    """

    first_position: int
    attention: Callable[[Any], tuple[nn.Module, nn.Module, nn.Module]]
    attended: Callable[[Any, Tensor, Tensor], Tensor]
    buckets: Callable[[Tensor], Tensor] | None = None


def layout_of(model: Any) -> EncoderLayout:
    """The layout of a `transformers` encoder.

    Raises:
        InputError: a model of another architecture.
    """
    kind = str(model.config.model_type)
    if kind == "mpnet":
        config, encoder = model.config, model.encoder
        return EncoderLayout(
            _after_padding(model),
            _mpnet_attention,
            _mpnet_attended,
            lambda positions: encoder.relative_position_bucket(
                positions, num_buckets=config.relative_attention_num_buckets
            ),
        )
    if kind == "bert":
        return EncoderLayout(0, _bert_attention, _bert_attended)
    if kind in ("roberta", "xlm-roberta"):
        return EncoderLayout(_after_padding(model), _bert_attention, _bert_attended)
    name = model.config.name_or_path or "without a name"
    raise InputError(
        f"text model {name}: its architecture is {kind!r}; give one of bert, mpnet, roberta or "
        "xlm-roberta"
    )


def _after_padding(model: Any) -> int:
    """The first position where positions count from the number of the padding token."""
    return int(model.embeddings.padding_idx) + 1


def _bert_attention(layer: Any) -> tuple[nn.Module, nn.Module, nn.Module]:
    attention = layer.attention.self
    return attention.query, attention.key, attention.value


def _bert_attended(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    output: Tensor = layer.attention.output(attended, hidden)
    return output


def _mpnet_attention(layer: Any) -> tuple[nn.Module, nn.Module, nn.Module]:
    attention = layer.attention.attn
    return attention.q, attention.k, attention.v


def _mpnet_attended(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    attention = layer.attention
    output: Tensor = attention.LayerNorm(attention.dropout(attention.attn.o(attended)) + hidden)
    return output
