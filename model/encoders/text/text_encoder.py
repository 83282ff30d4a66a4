"""The text encoder: the sentence embedding of an utterance, and its emotions in context."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gscon_live.common.errors import InputError
from gscon_live.model.conversations import speaker_number
from gscon_live.model.encoders.text.context_encoder import (
    ContextEncoder,
    ContextSettings,
    ContextState,
    Tokeniser,
    digest,
    emotion_head,
    pack,
)
from gscon_live.model.encoders.text.normalisation import NORMALISATION
from gscon_live.model.encoders.text.sentence_encoder import SentenceEncoder
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.shipped_weights import FOLDER, load_weights, read_metadata

WEIGHTS = FOLDER / "text.safetensors"


#: The key in the metadata of the weights that names the rule of normalisation, if there is one.
WORDS = "words"


class TrainedParts(nn.Module):
    """The trained parts of a context encoder: its layers, its attention biases and the emotion
    head. These weights ship; the token embeddings are the sentence encoder's.

    Args:
        model: the context encoder.
        head: the emotion head.
        normalise: whether they were trained on `normalised` texts.
    """

    def __init__(self, model: ContextEncoder, head: nn.Module, normalise: bool = False) -> None:
        super().__init__()
        self.layers, self.bias, self.head = model.layers, model.bias, head
        #: Whether they were trained on `normalised` texts.
        self.normalise = normalise

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the file of these weights."""
        return {WORDS: NORMALISATION} if self.normalise else {}


class TextEncoder:
    """Encodes the words of an utterance in its conversation.

    The vector has the sentence embedding, then the log-probabilities of the seven emotions by the
    context encoder. Deterministic, and works without the internet. Memory does not grow with the
    conversation. Where the trained parts were trained on `normalised` texts, both read such texts:
    then punctuation and case change no feature.

    Args:
        directory: a `transformers` BERT as sentence encoder; None takes all-MiniLM-L6-v2.
        learned: trained parts of a context encoder on this BERT; None takes those that ship.

    Raises:
        InputError: the directory or the file is missing or holds something else.
    """

    #: ISO 639-1 codes of the languages whose words have features.
    languages: Sequence[str] = ("en",)

    def __init__(
        self, directory: str | Path | None = None, learned: TrainedParts | None = None
    ) -> None:
        settings = ContextSettings()
        normalise = _normalises(WEIGHTS) if learned is None else learned.normalise
        #: The sentence encoder.
        self.sentence = SentenceEncoder(directory, normalise)
        bert = self.sentence.bert
        # The token embeddings are those of the sentence encoder, unchanged.
        self._model = ContextEncoder(bert, settings, deepcopy(bert.encoder.layer))
        self._head = emotion_head(self._model.dim, len(EMOTIONS))
        parts = TrainedParts(self._model, self._head, normalise).eval().requires_grad_(False)
        if learned is None:
            version = load_weights(parts, WEIGHTS, "text", "text-spoken")
        else:
            parts.load_state_dict(learned.state_dict())
            version = digest(parts)
        self._tokenise = Tokeniser(self.sentence.tokenizer, settings.tokens, normalise)
        #: The encoder and the version of its weights.
        self.identity = f"{self.sentence.identity}|text-context/1:{version}"
        #: Length of the feature vector.
        self.dim = self.sentence.dim + len(EMOTIONS)
        self.reset()

    @property
    def normalise(self) -> bool:
        """Whether texts are `normalised` first."""
        return self.sentence.normalise

    def has_words(self, text: str) -> bool:
        """Whether a text has features, see `SentenceEncoder.has_words`."""
        return self.sentence.has_words(text)

    def reset(self) -> None:
        """Forgets the conversation."""
        self._state = self._model.start()
        self._latest: tuple[str, str, NDArray[np.float32], ContextState] | None = None

    def provisional(self, text: str, speaker: str) -> NDArray[np.float32]:
        """The feature vector of an unfinished utterance, float32 [dim]; the conversation's state
        stays unchanged. Raises `ValueError` where there are no words."""
        if self._latest is None or self._latest[:2] != (text, speaker):
            self._latest = (text, speaker, *self._encode(text, speaker))
        return self._latest[2]

    def final(self, text: str, speaker: str) -> NDArray[np.float32]:
        """The feature vector of a complete utterance, float32 [dim], which becomes part of the
        conversation. The result of `provisional` for the same words is reused. Raises `ValueError`
        where there are no words."""
        vector = self.provisional(text, speaker)
        assert self._latest is not None
        self._state, self._latest = self._latest[3], None
        return vector

    def log_probabilities(
        self, texts: Sequence[str], speakers: Sequence[int]
    ) -> NDArray[np.float32]:
        """The log-probabilities of all utterances of a conversation, float32 [n, 7], in one pass.
        An utterance without words is an empty turn."""
        with torch.inference_mode():
            vectors = self._model(pack([(self._tokenise(texts), speakers)]))[0]
            return np.asarray(self._head(vectors).log_softmax(-1), np.float32)

    def _encode(self, text: str, speaker: str) -> tuple[NDArray[np.float32], ContextState]:
        sentence = self.sentence.encode(text)
        with torch.inference_mode():
            ids = self._tokenise([text])[0]
            vector, state = self._model.step(self._state, ids, speaker_number(speaker))
            log_probabilities: Tensor = self._head(vector).log_softmax(-1)
        return np.concatenate([sentence, log_probabilities.numpy()]).astype(np.float32), state


def _normalises(path: Path) -> bool:
    """Whether the weights of a file were trained on `normalised` texts."""
    rule = read_metadata(path, "text", "text-spoken").get(WORDS)
    if rule not in (None, NORMALISATION):
        raise InputError(
            f"text encoder {path}: trained on words by the rule {rule!r}, but this version has "
            f"{NORMALISATION!r}; train it again with `gscon-live fit text-spoken ship=true`"
        )
    return rule is not None
