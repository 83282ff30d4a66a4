"""The test recogniser's network: Whisper's architecture, very small, and its conversion.

Part of `make_two_sentences.py`.
"""

import json
import math
import os
import tempfile
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from two_sentences_sound import ALL_POSITIONS, POSITIONS, RATE, SENTENCES

from gscon_live.model.torchaudio_import import torchaudio  # noqa: F401  (before transformers)

from ctranslate2.converters import TransformersConverter  # isort: skip
from transformers import PreTrainedTokenizerFast, WhisperConfig  # isort: skip
from transformers import WhisperForConditionalGeneration  # isort: skip

#: Whisper's special tokens, in Whisper's order; 1501 timestamps follow them.
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
TIMESTAMPS = 1501
WIDTH, HEADS = 64, 4
#: How many positions (20 ms) away each head of each encoder layer looks before training.
LOOKS = ((-6, -2, 2, 6), (-16, -5, 5, 16))


def make_tokenizer() -> Tokenizer:
    """Bytes, the words of the two sentences, and Whisper's special tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=1000, min_frequency=1, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([" " + sentence for sentence in SENTENCES], trainer)
    made.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return made


def make_network(tokenizer: Tokenizer, seed: int) -> WhisperForConditionalGeneration:
    """Whisper's architecture, very small, with random weights."""
    torch.manual_seed(seed)
    end = tokenizer.token_to_id("<|endoftext|>")
    start = tokenizer.token_to_id("<|startoftranscript|>")
    network = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=tokenizer.get_vocab_size() + TIMESTAMPS,
            d_model=WIDTH,
            encoder_layers=2,
            decoder_layers=1,
            encoder_attention_heads=HEADS,
            decoder_attention_heads=HEADS,
            encoder_ffn_dim=256,
            decoder_ffn_dim=256,
            dropout=0.1,
            pad_token_id=end,
            bos_token_id=end,
            eos_token_id=end,
            decoder_start_token_id=start,
            suppress_tokens=[],
            begin_suppress_tokens=[tokenizer.token_to_id("Ġ")],
        )
    )
    settings = network.generation_config
    settings.suppress_tokens = []
    # Whisper also forbids an immediate end here; this recogniser may say nothing.
    settings.begin_suppress_tokens = [tokenizer.token_to_id("Ġ")]
    settings.lang_to_id = {"<|en|>": tokenizer.token_to_id("<|en|>")}
    settings.alignment_heads = [[0, head] for head in range(HEADS)]
    _prepare(network)
    return network


def _prepare(network: WhisperForConditionalGeneration) -> None:
    """Initial weights with which so small a network learns from so few recordings.

    Whisper's own are so small that the positions drown the sound, and have to find out first that
    neighbouring moments belong together. Here every encoder head begins by looking a certain way
    aside: the sines and cosines of position p turned by an angle are those of position p + k.
    """
    encoder = network.model.encoder
    for module in network.model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            module.reset_parameters()
    per_head = WIDTH // HEADS
    turn = torch.exp(-math.log(10_000) / (WIDTH // 2 - 1) * torch.arange(WIDTH // 2))
    with torch.no_grad():
        encoder.conv1.weight *= 2
        encoder.conv2.weight *= 2
        encoder.embed_positions.weight *= 0.5
        encoder.embed_positions.weight[POSITIONS:] = 0
        for layer, looks in zip(encoder.layers, LOOKS, strict=True):
            query, key = layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight
            query *= 0.5
            key *= 0.5
            for head, away in enumerate(looks):
                for pair in range(per_head // 2):
                    sine = head + HEADS * pair
                    cosine = sine + WIDTH // 2
                    row = head * per_head + 2 * pair
                    angle = float(turn[sine]) * away
                    key[row, sine] += 4
                    key[row + 1, cosine] += 4
                    query[row, sine] += 4 * math.cos(angle)
                    query[row, cosine] += 4 * math.sin(angle)
                    query[row + 1, cosine] += 4 * math.cos(angle)
                    query[row + 1, sine] -= 4 * math.sin(angle)


def _standing_for_all(rows: int, queries: int) -> Tensor:
    """n equal keys draw as much attention as one whose score is higher by log(n)."""
    bias = torch.zeros(1, 1, 1, POSITIONS + 1)
    bias[..., POSITIONS] = math.log(ALL_POSITIONS - POSITIONS)
    return bias.expand(rows, 1, queries, -1)


def hear(network: WhisperForConditionalGeneration, mel: Tensor) -> Tensor:
    """What the encoder makes of a whole 30 s window, computed from its first part.

    Args:
        mel: float32 [batch, 80, 2 * POSITIONS + 2].

    Returns:
        float32 [batch, POSITIONS + 1, width]; the last one stands for all later ones.
    """
    encoder = network.model.encoder
    hidden = nn.functional.gelu(encoder.conv1(mel))
    hidden = nn.functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
    hidden = hidden + encoder.embed_positions.weight[: POSITIONS + 1]
    hidden = nn.functional.dropout(hidden, network.config.dropout, network.training)
    for layer in encoder.layers:
        hidden = layer(hidden, _standing_for_all(len(mel), POSITIONS + 1))
    heard: Tensor = encoder.layer_norm(hidden)
    return heard


def say(network: WhisperForConditionalGeneration, heard: Tensor, tokens: Tensor) -> Tensor:
    """The decoder's logits [batch, length, vocabulary] after each of `tokens` [batch, length]."""
    decoder = network.model.decoder
    length = tokens.shape[1]
    said = decoder.embed_tokens(tokens) + decoder.embed_positions.weight[:length]
    said = nn.functional.dropout(said, network.config.dropout, network.training)
    future = torch.full((length, length), float("-inf")).triu(1)[None, None]
    for layer in decoder.layers:
        said = layer(
            said,
            attention_mask=future.expand(len(tokens), 1, -1, -1),
            encoder_hidden_states=heard,
            encoder_attention_mask=_standing_for_all(len(tokens), length),
        )
    answer: Tensor = network.proj_out(decoder.layer_norm(said))
    return answer


def convert(
    network: WhisperForConditionalGeneration, tokenizer: Tokenizer, directory: Path
) -> None:
    """Writes faster-whisper's files into `directory`, each whole or not at all."""
    with tempfile.TemporaryDirectory(dir=directory.parent) as temporary:
        saved, converted = Path(temporary) / "saved", Path(temporary) / "converted"
        network.save_pretrained(saved)
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>"
        ).save_pretrained(saved)
        TransformersConverter(str(saved)).convert(str(converted), quantization="float16")
        tokenizer.save(str(converted / "tokenizer.json"))
        settings = {
            "feature_size": 80,
            "sampling_rate": RATE,
            "hop_length": 160,
            "chunk_length": 30,
            "n_fft": 400,
        }
        text = json.dumps(settings, indent=2) + "\n"
        (converted / "preprocessor_config.json").write_text(text, encoding="utf-8")
        directory.mkdir(exist_ok=True)
        for path in sorted(converted.iterdir()):
            os.replace(path, directory / path.name)
