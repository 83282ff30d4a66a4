"""Text features in the context of the conversation: a sentence encoder that looks back.

A BERT encoder reads a conversation as one row of tokens. A token attends to all of its own
utterance and to earlier utterances within the window, never to a later one. Positions restart with
every utterance. Speaker and distance enter as a learned attention bias, so that nothing depends on
the length of the conversation. Later utterances do not change an utterance's states, so training
encodes a conversation in one pass, and live each utterance costs only its own tokens.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.encoders.text.sentence_encoder import default_directory, load_encoder

#: Attention bias of masked positions: far below any logit, so that their softmax is exactly zero.
_NEVER = -1e4


class ContextSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The context of an encoder. In every layer it attends to `window` utterances, the current one
    included (six layers together reach 6 (window - 1) + 1). Distances of `reach` utterances and
    more share a bias. Utterances are cut at `tokens` tokens, [CLS] and [SEP] included."""

    window: int = 12
    reach: int = 8
    tokens: int = 64


class Tokens(NamedTuple):
    """Conversations as rows of tokens: `ids`, `positions` (within the utterance) and `utterance`
    (its number in the row; -1 on padding), all int64 [B, T]; `speakers` int64 [B, U]."""

    ids: Tensor
    positions: Tensor
    utterance: Tensor
    speakers: Tensor


def pack(rows: Sequence[tuple[Sequence[Sequence[int]], Sequence[int]]]) -> Tokens:
    """Conversations as `Tokens`; each has the token ids of its utterances and their speakers."""
    longest = max(sum(map(len, utterances)) for utterances, _ in rows)
    most = max(len(utterances) for utterances, _ in rows)
    ids, positions = torch.zeros(2, len(rows), longest, dtype=torch.int64)
    utterance = torch.full((len(rows), longest), -1)
    speakers = torch.full((len(rows), most), -1)
    for row, (utterances, numbers) in enumerate(rows):
        ends = np.cumsum([0, *map(len, utterances)])
        for number, (start, end) in enumerate(pairwise(ends.tolist())):
            ids[row, start:end] = torch.tensor(utterances[number])
            positions[row, start:end] = torch.arange(end - start)
            utterance[row, start:end] = number
        speakers[row, : len(numbers)] = torch.tensor(numbers)
    return Tokens(ids, positions, utterance, speakers)


@dataclass(frozen=True)
class Past:
    """The memory of an encoder: keys and values [heads, tokens, dim of a head] of every layer, and
    the lengths and speakers of their utterances."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    lengths: tuple[int, ...] = ()
    speakers: tuple[int, ...] = ()


class ContextTextModel(nn.Module):
    """BERT's embeddings and layers with past-only attention.

    Args:
        bert: a `transformers` BERT model, whose parts are reused.
        settings: the context.
        layers: replace the model's own layers.
    """

    def __init__(
        self, bert: Any, settings: ContextSettings, layers: nn.ModuleList | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        self.heads = int(bert.config.num_attention_heads)
        #: Length of an utterance's vector.
        self.dim = int(bert.config.hidden_size)
        self.embeddings = bert.embeddings
        self.layers = nn.ModuleList(layers or bert.encoder.layer)
        # At first an utterance is read almost alone, as in the training of the sentence encoder.
        bias = torch.zeros(len(self.layers), self.heads, 2, settings.reach + 1)
        bias[..., 1:] = -2.0
        #: Added to the attention logits: [layer, head, same speaker, utterances apart].
        self.bias = nn.Parameter(bias)

    def forward(self, tokens: Tokens) -> Tensor:
        """The utterances' vectors [B, U, dim]: the mean of the last states over their tokens."""
        count = tokens.speakers.shape[1]
        # Padding is an utterance of its own, to which no other attends.
        utterance = torch.where(tokens.utterance < 0, count, tokens.utterance)
        belongs = functional.one_hot(utterance, count + 1).to(self.bias.dtype)
        speakers = functional.pad(tokens.speakers, (0, 1), value=-1)
        number = torch.arange(count + 1, device=utterance.device)
        apart = number[:, None] - number
        visible = (apart >= 0) & (apart < self.settings.window)
        visible[-1] = apart[-1] == 0
        never = torch.zeros(visible.shape, device=utterance.device).masked_fill(~visible, _NEVER)
        state = self.embeddings(input_ids=tokens.ids, position_ids=tokens.positions)
        for layer, table in zip(self.layers, self.bias, strict=True):
            by_utterance = self._bias(table, apart, speakers[:, :, None] == speakers[:, None])
            spread = belongs[:, None] @ (by_utterance + never) @ belongs[:, None].mT
            query, key, value = self._split(layer, state)
            state = self._rest(layer, state, query, key, value, spread)
        belongs = belongs[..., :count]
        lengths = belongs.sum(1).clamp(min=1)[..., None]
        mean: Tensor = belongs.mT @ state / lengths
        return mean

    def start(self) -> Past:
        """The memory of a conversation that has not begun."""
        nothing = torch.zeros(self.heads, 0, self.dim // self.heads)
        return Past((nothing,) * len(self.layers), (nothing,) * len(self.layers))

    def step(self, past: Past, ids: Sequence[int], speaker: int) -> tuple[Tensor, Past]:
        """The vector [dim] of the next utterance, and the memory after it: the same as `forward`
        for the whole conversation, for the cost of one utterance."""
        lengths, speakers = [*past.lengths, len(ids)], [*past.speakers, speaker]
        apart = torch.arange(len(lengths)).flip(0)
        same = torch.tensor(speakers) == speaker
        repeats = torch.tensor(lengths)
        row = torch.tensor([list(ids)])
        state = self.embeddings(input_ids=row, position_ids=torch.arange(len(ids))[None])
        remembered = lengths[-(self.settings.window - 1) :] if self.settings.window > 1 else []
        keys, values = [], []
        for place, (layer, table) in enumerate(zip(self.layers, self.bias, strict=True)):
            query, key, value = self._split(layer, state)
            key = torch.cat([past.keys[place][None], key], 2)
            value = torch.cat([past.values[place][None], value], 2)
            bias = self._bias(table, apart, same).repeat_interleave(repeats, -1)[None, :, None]
            state = self._rest(layer, state, query, key, value, bias)
            first = key.shape[2] - sum(remembered)
            keys.append(key[0, :, first:])
            values.append(value[0, :, first:])
        after = Past(
            tuple(keys),
            tuple(values),
            tuple(remembered),
            tuple(speakers[len(speakers) - len(remembered) :]),
        )
        return state[0].mean(0), after

    def _bias(self, table: Tensor, apart: Tensor, same: Tensor) -> Tensor:
        """The bias between utterances: [..., heads, queries, keys] or [heads, keys]."""
        place = same * table.shape[2] + apart.clamp(0, self.settings.reach)
        values = functional.embedding(place, table.flatten(1).mT)
        return values.movedim(-1, -3) if same.dim() > 1 else values.mT

    def _split(self, layer: Any, state: Tensor) -> list[Tensor]:
        attention = layer.attention.self
        parts = (attention.query(state), attention.key(state), attention.value(state))
        return [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts]

    def _rest(
        self, layer: Any, state: Tensor, query: Tensor, key: Tensor, value: Tensor, bias: Tensor
    ) -> Tensor:
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        state = layer.attention.output(mixed.transpose(1, 2).flatten(2), state)
        out: Tensor = layer.output(layer.intermediate(state), state)
        return out


def emotion_head(dim: int, classes: int, dropout: float = 0.0) -> nn.Sequential:
    """A classification head: vectors [..., dim] to logits [..., classes]."""
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(dim, 256),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(256, classes),
    )


class Tokenise:
    """Texts to token ids, cut at `tokens`."""

    def __init__(self, tokeniser: Any, tokens: int) -> None:
        self._tokeniser, self._tokens = tokeniser, tokens

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, [CLS] and [SEP] included."""
        encoding = self._tokeniser(list(texts), truncation=True, max_length=self._tokens)
        ids: list[list[int]] = encoding["input_ids"]
        return ids


def fresh(settings: ContextSettings, directory: Path | None = None) -> ContextTextModel:
    """An encoder before its training in context: from the project's sentence encoder, or from the
    `transformers` BERT in a directory. Raises `InputError` where there is none."""
    _, bert = load_encoder(directory or default_directory())
    return ContextTextModel(bert, settings).requires_grad_(True)


def tokeniser(settings: ContextSettings, directory: Path | None = None) -> Tokenise:
    """The tokeniser that belongs to `fresh`."""
    loaded, _ = load_encoder(directory or default_directory())
    return Tokenise(loaded, settings.tokens)


def digest(model: nn.Module) -> str:
    """The first twelve hexadecimal digits of the SHA-256 of a network's weights."""
    sha256 = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        sha256.update(name.encode())
        sha256.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    return sha256.hexdigest()[:12]
