"""The context encoder: a BERT-like encoder that reads an utterance in its conversation.

A conversation is one row of tokens. A token attends to all of its own utterance and to earlier
utterances within the window, never to a later one. Positions restart with every utterance. Speaker
and distance enter as a learned attention bias, so that nothing depends on the length of the
conversation. Later utterances do not change earlier states. So training encodes a conversation in
one pass, and a live utterance costs only its own tokens.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.encoders.text.encoder_layouts import layout_of
from gscon_live.model.encoders.text.normalisation import normalised
from gscon_live.model.encoders.text.sentence_encoder import default_directory, load_encoder

#: Attention bias of masked positions: far below any logit, so that their softmax is exactly zero.
_MASKED = -1e4


class ContextSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The context of an encoder."""

    #: Utterances that each layer attends to, the current one included; six layers together reach
    #: 6 (window - 1) + 1.
    window: Annotated[int, msgspec.Meta(ge=1)] = 12
    #: The distance in utterances from which on all distances share an attention bias.
    reach: Annotated[int, msgspec.Meta(ge=1)] = 8
    #: Tokens at which an utterance is cut, [CLS] and [SEP] included.
    tokens: Annotated[int, msgspec.Meta(ge=3)] = 64


class Tokens(NamedTuple):
    """Conversations as rows of tokens.

    `ids`, `positions` (within the utterance) and `utterance` (its number in the row; -1 on padding)
    are int64 [B, T]. `speakers` is int64 [B, U].
    """

    ids: Tensor
    positions: Tensor
    utterance: Tensor
    speakers: Tensor


def pack(rows: Sequence[tuple[Sequence[Sequence[int]], Sequence[int]]]) -> Tokens:
    """Pads conversations to one batch.

    Args:
        rows: for each conversation, the token ids of its utterances and their speakers.
    """
    token_count = max(sum(map(len, utterances)) for utterances, _ in rows)
    utterance_count = max(len(utterances) for utterances, _ in rows)
    ids, positions = torch.zeros(2, len(rows), token_count, dtype=torch.int64)
    utterance = torch.full((len(rows), token_count), -1)
    speakers = torch.full((len(rows), utterance_count), -1)
    for row, (utterances, numbers) in enumerate(rows):
        ends = np.cumsum([0, *map(len, utterances)])
        for number, (start, end) in enumerate(pairwise(ends.tolist())):
            ids[row, start:end] = torch.tensor(utterances[number])
            positions[row, start:end] = torch.arange(end - start)
            utterance[row, start:end] = number
        speakers[row, : len(numbers)] = torch.tensor(numbers)
    return Tokens(ids, positions, utterance, speakers)


@dataclass(frozen=True)
class ContextState:
    """What the encoder remembers of a conversation.

    `keys` and `values` [tokens, heads, dim of a head] are those of each layer; `lengths` (in
    tokens) and `speakers` are those of their utterances.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    lengths: tuple[int, ...] = ()
    speakers: tuple[int, ...] = ()


class ContextEncoder(nn.Module):
    """A BERT-like encoder's embeddings and layers with past-only attention.

    Args:
        bert: a `transformers` model whose parts are reused, see `encoder_layouts`.
        settings: the context.
        layers: replace the model's own layers.

    Raises:
        InputError: a model of another architecture.
    """

    def __init__(
        self, bert: Any, settings: ContextSettings, layers: nn.ModuleList | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        self._layout = layout_of(bert)
        self.heads = int(bert.config.num_attention_heads)
        #: Length of an utterance's vector.
        self.dim = int(bert.config.hidden_size)
        self.embeddings = bert.embeddings
        self.layers = nn.ModuleList(layers or bert.encoder.layer)
        # Before training, an utterance is read almost alone, as the sentence encoder was trained.
        bias = torch.zeros(len(self.layers), self.heads, 2, settings.reach + 1)
        bias[..., 1:] = -2.0
        #: Added to the attention logits: [layer, head, same speaker, utterances apart].
        self.bias = nn.Parameter(bias)
        #: Added to the attention logits of all layers, by relative position in the row.
        self.relative = bert.encoder.relative_attention_bias if self._layout.buckets else None

    def forward(self, tokens: Tokens) -> Tensor:
        """The utterances' vectors [B, U, dim]: the mean of the last states over their tokens."""
        count = tokens.speakers.shape[1]
        # Padding is an utterance of its own, to which no other attends.
        utterance = torch.where(tokens.utterance < 0, count, tokens.utterance)
        membership = functional.one_hot(utterance, count + 1).to(self.bias.dtype)
        speakers = functional.pad(tokens.speakers, (0, 1), value=-1)
        numbers = torch.arange(count + 1, device=utterance.device)
        distance = numbers[:, None] - numbers
        visible = (distance >= 0) & (distance < self.settings.window)
        visible[-1] = distance[-1] == 0
        mask = membership.new_zeros(visible.shape).masked_fill(~visible, _MASKED)
        row = torch.arange(tokens.ids.shape[1], device=utterance.device)
        relative = self._relative(row, row)
        if relative is not None:
            relative = relative[None]  # of the same shape as a single row's, so that no sum is due
        hidden = self._embed(tokens.ids, tokens.positions)
        for layer, table in zip(self.layers, self.bias, strict=True):
            by_utterance = self._bias(table, distance, speakers[:, :, None] == speakers[:, None])
            bias = membership[:, None] @ (by_utterance + mask) @ membership[:, None].mT
            if relative is not None:
                # In mixed precision, the sum of two types would be several times slower.
                relative = relative.to(bias)
                bias = bias + relative
            query, key, value = self._split(layer, hidden)
            hidden = self._finish_layer(layer, hidden, query, key, value, bias)
        membership = membership[..., :count]
        lengths = membership.sum(1).clamp(min=1)[..., None]
        mean: Tensor = membership.mT @ hidden / lengths
        return mean

    def start(self) -> ContextState:
        """The state before the first utterance."""
        empty = self.bias.new_zeros(0, self.heads, self.dim // self.heads)
        return ContextState((empty,) * len(self.layers), (empty,) * len(self.layers))

    def step(
        self, state: ContextState, ids: Sequence[int], speaker: int
    ) -> tuple[Tensor, ContextState]:
        """The vector [dim] of the next utterance, and the state after it.

        The vector is that of `forward` for the whole conversation, for the cost of one utterance.
        """
        lengths, speakers = [*state.lengths, len(ids)], [*state.speakers, speaker]
        distance = torch.arange(len(lengths)).flip(0)
        same_speaker = torch.tensor(speakers) == speaker
        repeats = torch.tensor(lengths)
        hidden = self._embed(torch.tensor([list(ids)]), torch.arange(len(ids))[None])
        row = torch.arange(sum(lengths))
        relative = self._relative(row[-len(ids) :], row)
        kept_lengths = lengths[-(self.settings.window - 1) :] if self.settings.window > 1 else []
        keys, values = [], []
        for index, (layer, table) in enumerate(zip(self.layers, self.bias, strict=True)):
            query, *new = self._split(layer, hidden)
            # Tokens come first in memory, so that the past is copied in one piece.
            key, value = (
                torch.cat([past[index], each[0].transpose(0, 1)])
                for past, each in zip((state.keys, state.values), new, strict=True)
            )
            by_utterance = self._bias(table, distance, same_speaker)
            bias = by_utterance.repeat_interleave(repeats, -1)[None, :, None]
            bias = bias if relative is None else bias + relative
            keys_by_head, values_by_head = (each.transpose(0, 1)[None] for each in (key, value))
            hidden = self._finish_layer(layer, hidden, query, keys_by_head, values_by_head, bias)
            first = len(key) - sum(kept_lengths)
            keys.append(key[first:])
            values.append(value[first:])
        new_state = ContextState(
            tuple(keys),
            tuple(values),
            tuple(kept_lengths),
            tuple(speakers[len(speakers) - len(kept_lengths) :]),
        )
        return hidden[0].mean(0), new_state

    def _bias(self, table: Tensor, distance: Tensor, same_speaker: Tensor) -> Tensor:
        """The attention bias between utterances, [..., heads, queries, keys] or [heads, keys]."""
        index = same_speaker * table.shape[2] + distance.clamp(0, self.settings.reach)
        values = functional.embedding(index, table.flatten(1).mT)
        return values.movedim(-1, -3) if same_speaker.dim() > 1 else values.mT

    def _embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        first = self._layout.first_position
        hidden: Tensor = self.embeddings(input_ids=ids, position_ids=positions + first)
        return hidden

    def _relative(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        """The attention bias [heads, queries, keys] between places in a row; None without one."""
        if self.relative is None or self._layout.buckets is None:
            return None
        values: Tensor = self.relative(self._layout.buckets(keys - queries[:, None]))
        return values.movedim(-1, 0).contiguous()

    def _split(self, layer: Any, hidden: Tensor) -> list[Tensor]:
        return [
            projection(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in self._layout.attention(layer)
        ]

    def _finish_layer(
        self, layer: Any, hidden: Tensor, query: Tensor, key: Tensor, value: Tensor, bias: Tensor
    ) -> Tensor:
        attended = _attention(query, key, value, bias)
        hidden = self._layout.attended(layer, attended.transpose(1, 2).flatten(2), hidden)
        output: Tensor = layer.output(layer.intermediate(hidden), hidden)
        return output


def _attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attention with a bias on its logits, [B, heads, T, dim of a head]."""
    if bias.is_cpu and bias.requires_grad:
        # No fused kernel of the CPU has this gradient, and the general one computes in 32 bits.
        logits = (query * query.shape[-1] ** -0.5) @ key.mT + bias
        attended: Tensor = logits.softmax(-1) @ value
        return attended
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)


def emotion_head(dim: int, classes: int, dropout: float = 0.0) -> nn.Sequential:
    """A classification head: vectors [..., dim] to logits [..., classes]."""
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(dim, 256),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(256, classes),
    )


def head_of(weights: Mapping[str, Tensor]) -> nn.Sequential:
    """A classification head with the weights of another one, see `emotion_head`."""
    head = emotion_head(weights["1.weight"].shape[1], len(weights["4.bias"]))
    head.load_state_dict(weights)
    return head


class Tokeniser:
    """Turns texts into token ids, cut at `tokens` tokens.

    Args:
        tokeniser: a tokeniser of `transformers`.
        tokens: the maximum.
        normalise: whether texts are `normalised` first.
    """

    def __init__(self, tokeniser: Any, tokens: int, normalise: bool = False) -> None:
        self._tokeniser, self._tokens, self._normalise = tokeniser, tokens, normalise

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, [CLS] and [SEP] included; these alone where a text is empty."""
        read = [normalised(text) for text in texts] if self._normalise else list(texts)
        encoding = self._tokeniser(read, truncation=True, max_length=self._tokens)
        ids: list[list[int]] = encoding["input_ids"]
        return ids


def fresh(settings: ContextSettings, directory: Path | None = None) -> ContextEncoder:
    """A context encoder before its training.

    Args:
        settings: the context.
        directory: a `transformers` encoder to start from, see `encoder_layouts`; None takes the
            project's sentence encoder.

    Raises:
        InputError: the directory holds no such model.
    """
    _, bert = load_encoder(directory or default_directory())
    return ContextEncoder(bert, settings).requires_grad_(True)


def tokeniser(
    settings: ContextSettings, directory: Path | None = None, normalise: bool = False
) -> Tokeniser:
    """The tokeniser that belongs to `fresh`."""
    loaded, _ = load_encoder(directory or default_directory())
    return Tokeniser(loaded, settings.tokens, normalise)


def digest(model: nn.Module) -> str:
    """The first twelve hexadecimal digits of the SHA-256 of a network's weights."""
    sha256 = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        sha256.update(name.encode())
        sha256.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    return sha256.hexdigest()[:12]
