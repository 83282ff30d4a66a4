"""A Whisper model of size "tiny" with random weights: for measurements of time, not for words.

Its decoder never ends by itself: it writes up to the transcriber's limit of tokens. So an utterance
costs as much as fast speech without a pause.
"""

from pathlib import Path

import torch
from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel

from gscon_live.model.torchaudio_import import torchaudio

__all__ = ["make_tiny", "torchaudio"]

_TEXT_TOKENS, _LANGUAGES = 50257, 99
_SPECIAL = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{code}|>" for code in _LANGUAGE_CODES[:_LANGUAGES]),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
    *(f"<|{index * 0.02:.2f}|>" for index in range(1501)),
]


def make_tiny(folder: Path, seed: int = 0) -> Path:
    """Writes the model for faster-whisper into `folder`, and returns the folder."""
    from ctranslate2.converters.transformers import WhisperLoader
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(seed)
    tokens = [f"w{index}" for index in range(_TEXT_TOKENS)] + _SPECIAL
    config = WhisperConfig(vocab_size=len(tokens))
    network = WhisperForConditionalGeneration(config).eval()
    spec = WhisperLoader().get_model_spec(network)
    spec.register_vocabulary(tokens)
    first = tokens.index("<|startoftranscript|>") + 1
    spec.config.lang_ids = list(range(first, first + _LANGUAGES))
    spec.config.suppress_ids = [tokens.index("<|endoftext|>")]
    spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [(layer, 0) for layer in range(config.decoder_layers)]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    tokenizer = Tokenizer(
        WordLevel({token: index for index, token in enumerate(tokens)}, unk_token=tokens[0])
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
