"""Text features: the sentence embedding of an utterance, and its emotions in context."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gscon_live.model.conversations import speaker_number
from gscon_live.model.encoders.text.context_encoder import (
    ContextSettings,
    ContextTextModel,
    Past,
    Tokenise,
    digest,
    emotion_head,
    pack,
)
from gscon_live.model.encoders.text.sentence_encoder import TextEncoder
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.shipped_weights import FOLDER, load_weights

WEIGHTS = FOLDER / "text.safetensors"


class Learned(nn.Module):
    """The trained parts of an encoder in context: its layers, attention biases and the head of the
    seven emotions. These weights ship; the embeddings are the sentence encoder's."""

    def __init__(self, model: ContextTextModel, head: nn.Module) -> None:
        super().__init__()
        self.layers, self.bias, self.head = model.layers, model.bias, head


class ConversationTextEncoder:
    """The sentence embedding of an utterance, followed by the log-probabilities of the seven
    emotions by an encoder that reads it in its conversation.

    Deterministic, and never touches the network. Memory does not grow with the conversation.

    Args:
        directory: a `transformers` BERT as sentence encoder; None takes all-MiniLM-L6-v2.
        learned: the trained parts of an encoder on this sentence encoder; None: the shipped ones.

    Raises:
        InputError: the directory or the file is missing or holds something else.
    """

    def __init__(self, directory: str | Path | None = None, learned: Learned | None = None) -> None:
        settings = ContextSettings()
        #: The sentence encoder.
        self.sentence = TextEncoder(directory)
        bert = self.sentence.bert
        # The embeddings are those of the sentence encoder, unchanged.
        self._model = ContextTextModel(bert, settings, deepcopy(bert.encoder.layer))
        self._head = emotion_head(self._model.dim, len(EMOTIONS))
        parts = Learned(self._model, self._head).eval().requires_grad_(False)
        if learned is None:
            version = load_weights(parts, WEIGHTS, "text", "text-spoken")
        else:
            parts.load_state_dict(learned.state_dict())
            version = digest(parts)
        self._tokenise = Tokenise(self.sentence.tokenizer, settings.tokens)
        #: The encoder and the version of its weights.
        self.identity = f"{self.sentence.identity}|text-context/1:{version}"
        #: Length of the feature vector.
        self.dim = self.sentence.dim + len(EMOTIONS)
        self.reset()

    def reset(self) -> None:
        """Forgets the conversation."""
        self._past = self._model.start()
        self._last: tuple[str, str, NDArray[np.float32], Past] | None = None

    def provisional(self, text: str, speaker: str) -> NDArray[np.float32]:
        """The feature vector of an unfinished utterance, float32 [dim]; the conversation's state
        stays unchanged. Raises `ValueError` where there are no words."""
        if self._last is None or self._last[:2] != (text, speaker):
            self._last = (text, speaker, *self._encoded(text, speaker))
        return self._last[2]

    def final(self, text: str, speaker: str) -> NDArray[np.float32]:
        """The feature vector of a complete utterance, float32 [dim], which becomes part of the
        conversation. The result of `provisional` for the same words is reused. Raises `ValueError`
        where there are no words."""
        vector = self.provisional(text, speaker)
        assert self._last is not None
        self._past, self._last = self._last[3], None
        return vector

    def log_probabilities(
        self, texts: Sequence[str], speakers: Sequence[int]
    ) -> NDArray[np.float32]:
        """The log-probabilities of a whole conversation's utterances, float32 [n, 7], in one
        pass."""
        with torch.inference_mode():
            states = self._model(pack([(self._tokenise(texts), speakers)]))[0]
            return np.asarray(self._head(states).log_softmax(-1), np.float32)

    def _encoded(self, text: str, speaker: str) -> tuple[NDArray[np.float32], Past]:
        sentence = self.sentence.encode(text)
        with torch.inference_mode():
            ids = self._tokenise([text])[0]
            state, past = self._model.step(self._past, ids, speaker_number(speaker))
            log_probabilities: Tensor = self._head(state).log_softmax(-1)
        return np.concatenate([sentence, log_probabilities.numpy()]).astype(np.float32), past
