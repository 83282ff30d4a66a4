"""A text encoder in training with its emotion heads."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gscon_live.model.encoders.text.context_encoder import (
    ContextEncoder,
    Tokens,
    emotion_head,
    head_of,
)
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.text_data import TextCorpus

#: Prefix of the heads' weights among an encoder's.
HEADS = "heads."
#: Prefix of the weights of heads that also read prosody.
VOICED = "voiced."
#: The name of the head of all corpora with the seven emotions.
SHARED = "shared"
#: Length of the vector in which a head reads prosody.
_VOICE = 64


class VoicedHead(nn.Module):
    """A classification head on an encoder's vectors [..., dim] and prosody [..., sounds]."""

    def __init__(self, voice: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.voice, self.head = voice, head

    def forward(self, state: Tensor, sound: Tensor) -> Tensor:
        """Logits [..., classes]."""
        logits: Tensor = self.head(torch.cat([state, self.voice(sound)], -1))
        return logits


class Learner(nn.Module):
    """The encoder and its heads: one for each corpus; or with `shared_head`, one for all corpora
    that are labelled with the seven emotions.

    The shared head learns what the words tell at a flat prior. How frequent each emotion is in a
    corpus is added to its logits (logit adjustment, Menon et al. 2021), so that a corpus without
    fear does not teach that nobody is afraid.

    Args:
        encoder: the encoder.
        recipe: the recipe of the encoder.
        corpora: the training corpora by name.
    """

    def __init__(
        self, encoder: ContextEncoder, recipe: TextRecipe, corpora: Mapping[str, TextCorpus]
    ) -> None:
        super().__init__()
        self.encoder = encoder
        #: Names of the heads by corpus.
        self.head_of = {
            name: SHARED if recipe.shared_head and corpus.seven else name
            for name, corpus in corpora.items()
        }
        sounds = {name: corpus.train[0].sound.shape[1] for name, corpus in corpora.items()}
        self.voices = nn.ModuleDict(
            {name: _voice(count, recipe.dropout) for name, count in sounds.items() if count}
        )
        self.heads = nn.ModuleDict()
        for name, corpus in corpora.items():
            head = self.head_of[name]
            if head not in self.heads:
                width = encoder.dim + (_VOICE if sounds[name] else 0)
                self.heads[head] = emotion_head(width, corpus.classes, recipe.dropout)
        self._log_priors = {
            name: _log_prior(corpus)
            for name, corpus in corpora.items()
            if self.head_of[name] == SHARED
        }

    def forward(self, name: str, tokens: Tokens, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors [B, U, dim] and logits [B, U, classes of the corpus]."""
        state = self.encoder(tokens)
        head = self.heads[self.head_of[name]]
        if name in self.voices:
            voiced: Tensor = VoicedHead(self.voices[name], head)(state, sound)
            return state, voiced
        logits: Tensor = head(state)
        if name in self._log_priors:
            logits = logits + self._log_priors[name].to(logits)
        return state, logits

    def word_heads(self) -> dict[str, nn.Sequential]:
        """The heads on the encoder's vectors alone, by corpus, each at the prior of its corpus; and
        `SHARED`, at a flat one, where there is such a head."""
        heads = {}
        for name, head in self.head_of.items():
            if name not in self.voices:
                heads[name] = _at_prior(self.heads[head], self._log_priors.get(name))
        if SHARED in self.heads:
            heads[SHARED] = _at_prior(self.heads[SHARED], None)
        return heads

    def voiced_heads(self) -> dict[str, VoicedHead]:
        """The heads that read prosody beside the encoder's vectors, by corpus."""
        return {name: VoicedHead(voice, self.heads[name]) for name, voice in self.voices.items()}


def head_weights(
    weights: Mapping[str, Tensor], name: str, prefix: str = HEADS
) -> dict[str, Tensor]:
    """The weights of a head among those of an encoder and its heads; empty without this head.
    `prefix` is that of the kind of head, `HEADS` or `VOICED`."""
    prefix = f"{prefix}{name}."
    return {
        key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)
    }


def encoder_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the encoder among those of an encoder and its heads."""
    return {key: value for key, value in weights.items() if not key.startswith((HEADS, VOICED))}


def voiced_head_of(weights: Mapping[str, Tensor]) -> VoicedHead:
    """A head on vectors and prosody with the weights of another one."""
    classes, width = len(weights["head.4.bias"]), weights["head.1.weight"].shape[1]
    head = VoicedHead(_voice(weights["voice.0.weight"].shape[1]), emotion_head(width, classes))
    head.load_state_dict(weights)
    return head


def _voice(sounds: int, dropout: float = 0.0) -> nn.Sequential:
    """The layers that read prosody [..., sounds], as vectors [..., 64]."""
    return nn.Sequential(
        nn.Linear(sounds, _VOICE), nn.GELU(), nn.Dropout(dropout), nn.Linear(_VOICE, _VOICE)
    )


def _log_prior(corpus: TextCorpus) -> Tensor:
    """The logarithms of the shares of the emotions among a corpus' training utterances [classes],
    as if each were there once more."""
    counts = torch.cat([dialogue.targets for dialogue in corpus.train]).sum(0) + 1
    return (counts / counts.sum()).log()


def _at_prior(head: nn.Module, log_prior: Tensor | None) -> nn.Sequential:
    """A copy of a head that adds logarithms of shares to its logits."""
    state = head.state_dict()
    if log_prior is not None:
        state["4.bias"] = state["4.bias"] + log_prior.to(state["4.bias"])
    return head_of(state)
