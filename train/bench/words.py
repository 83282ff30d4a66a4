"""What the text encoders cost in a conversation: an utterance, read with those before it."""

import time
from typing import Any

import numpy as np
import torch

from gscon_live.model.encoders.text.context_encoder import ContextEncoder, ContextSettings
from gscon_live.train.bench.cost import Settings, Tick

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


def _minilm() -> Any:
    from transformers import BertConfig, BertModel

    return BertModel(
        BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536),
        add_pooling_layer=False,
    )


def _mpnet() -> Any:
    from transformers import MPNetConfig, MPNetModel

    return MPNetModel(MPNetConfig(), add_pooling_layer=False)
