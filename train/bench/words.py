"""What the text encoders cost: an utterance in a conversation, and a training step."""

import time
from typing import Any

import numpy as np
import torch
from torch import nn

from gscon_live.model.encoders.text.context_encoder import ContextEncoder, ContextSettings, pack
from gscon_live.train.bench.cost import Settings, Tick, time_interleaved
from gscon_live.train.engine.devices import Chosen, autocast
from gscon_live.train.engine.ema import WeightAverage

#: Tokens of an utterance: the mean of IEMOCAP's and MELD's is below it.
TOKENS = 16
#: Utterances before the first that counts: those that a layer looks back to, and some more.
WARM_UP = 14


def words(settings: Settings, seed: int, tick: Tick) -> dict[str, float]:
    """The time of an utterance, and the number of weights in millions, of encoders of the sizes of
    all-MiniLM-L6-v2 and all-mpnet-base-v2; of the latter in bfloat16, too."""
    torch.manual_seed(seed)
    figures: dict[str, float] = {}
    large = _mpnet()
    for name, bert, precision in (
        ("words", _minilm(), torch.float32),
        ("words_large", large, torch.float32),
        ("words_large_bf16", large, torch.bfloat16),
    ):
        encoder = ContextEncoder(bert, ContextSettings()).eval().requires_grad_(False)
        encoder.to(precision)
        random = np.random.default_rng(seed)
        state, seconds = encoder.start(), []
        for number in range(settings.answers // 10 + WARM_UP):
            ids = random.integers(5, 30_000, TOKENS).tolist()
            began = time.perf_counter()
            with torch.inference_mode():
                _, state = encoder.step(state, ids, number % 2)
            if number >= WARM_UP:
                seconds.append(time.perf_counter() - began)
                tick()
        figures[f"{name}_p95_ms"] = 1000 * float(np.percentile(seconds, 95))
        if precision == torch.float32:
            figures[f"{name}_millions"] = sum(p.numel() for p in encoder.parameters()) / 1e6
    return figures


def words_training(settings: Settings, seed: int, tick: Tick) -> dict[str, float]:
    """The time of a training step in mixed precision of an encoder of the size of
    all-mpnet-base-v2, on a dialogue of utterances of 16 tokens: forward, backward, gradient
    clipping, optimiser, moving average of the weights. And the time of a step in full precision, as
    a ratio to it."""
    torch.manual_seed(seed)
    encoder = ContextEncoder(_mpnet(), ContextSettings()).train()
    encoder.embeddings.requires_grad_(False)
    trained = [weight for weight in encoder.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    average = WeightAverage(encoder, 0.99, {})
    utterances = torch.randint(5, 30_000, (settings.tokens // TOKENS, TOKENS)).tolist()
    dialogue = pack([(utterances, [number % 2 for number in range(len(utterances))])])

    def step(precision: Chosen) -> None:
        with autocast(precision, cuda=False):
            loss = encoder(dialogue).float().square().mean()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.update(100)

    seconds = time_interleaved(
        {"full": lambda: step("32-true"), "mixed": lambda: step("bf16-mixed")},
        settings.slow_repetitions,
        tick,
    )
    return {
        "words_large_step_ms": 1000 * seconds["mixed"],
        "words_large_full_step_overhead": seconds["full"] / seconds["mixed"],
    }


def _minilm() -> Any:
    from transformers import BertConfig, BertModel

    return BertModel(
        BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536),
        add_pooling_layer=False,
    )


def _mpnet() -> Any:
    from transformers import MPNetConfig, MPNetModel

    return MPNetModel(MPNetConfig(), add_pooling_layer=False)
