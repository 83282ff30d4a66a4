"""Text features: an utterance's words by themselves, and what they say in their conversation."""

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
    """What an encoder in context has learned beyond the sentence encoder that it was made of: its
    layers, their biases, and the head that answers for the seven emotions. This is what ships."""

    def __init__(self, model: ContextTextModel, head: nn.Module) -> None:
        super().__init__()
        self.layers, self.bias, self.head = model.layers, model.bias, head


class ConversationTextEncoder:
    """The sentence encoder's vector of an utterance, followed by what an encoder that looks back at
    the conversation says of it: the logarithms of the seven emotions' probabilities.

    Deterministic, and never touches the network. Memory does not grow with the conversation.

    Args:
        directory: a `transformers` BERT as sentence encoder; None takes all-MiniLM-L6-v2.
        learned: what an encoder has learned that was made of this sentence encoder; None takes what
            ships.

    Raises:
        InputError: the directory or the file is missing or holds something else.
    """

    def __init__(self, directory: str | Path | None = None, learned: Learned | None = None) -> None:
        settings = ContextSettings()
        #: The encoder of utterances by themselves.
        self.sentence = TextEncoder(directory)
        bert = self.sentence.bert
        # The embeddings are those of the sentence encoder, unchanged.
        self._model = ContextTextModel(bert, settings, deepcopy(bert.encoder.layer))
        self._head = emotion_head(self._model.dim, len(EMOTIONS))
        mine = Learned(self._model, self._head).eval().requires_grad_(False)
        if learned is None:
            version = load_weights(mine, WEIGHTS, "text", "text-spoken")
        else:
            mine.load_state_dict(learned.state_dict())
            version = digest(mine)
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
        """The feature vector of what has been said so far, float32 [dim]; the conversation stays as
        it is. Raises `ValueError` where there are no words."""
        if self._last is None or self._last[:2] != (text, speaker):
            self._last = (text, speaker, *self._encoded(text, speaker))
        return self._last[2]

    def final(self, text: str, speaker: str) -> NDArray[np.float32]:
        """The feature vector of a complete utterance, float32 [dim], which becomes part of the
        conversation; at once where `provisional` was asked the same last. Raises `ValueError` where
        there are no words."""
        vector = self.provisional(text, speaker)
        assert self._last is not None
        self._past, self._last = self._last[3], None
        return vector

    def says(self, texts: Sequence[str], speakers: Sequence[int]) -> NDArray[np.float32]:
        """The last part of the vectors of a whole conversation, float32 [n, 7], in one pass."""
        with torch.inference_mode():
            states = self._model(pack([(self._tokenise(texts), speakers)]))[0]
            return np.asarray(self._head(states).log_softmax(-1), np.float32)

    def _encoded(self, text: str, speaker: str) -> tuple[NDArray[np.float32], Past]:
        sentence = self.sentence.encode(text)
        with torch.inference_mode():
            ids = self._tokenise([text])[0]
            state, past = self._model.step(self._past, ids, speaker_number(speaker))
            said: Tensor = self._head(state).log_softmax(-1)
        return np.concatenate([sentence, said.numpy()]).astype(np.float32), past
