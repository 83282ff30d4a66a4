"""Made-up conversations for the tests of networks, and what is asked of answers."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gscon_live.model.networks.network import Answers, Conversations, by_appearance

DIMS = {"text": 5, "audio": 3, "visual": 4}


def conversations(
    batch: int,
    count: int,
    seed: int = 0,
    missing: float = 0.3,
    modalities: Sequence[str] = tuple(DIMS),
    dtype: torch.dtype = torch.float32,
) -> Conversations:
    """Random ones, in which up to four people speak."""
    random = torch.Generator().manual_seed(seed)
    speakers = torch.randint(0, 4, (batch, count), generator=random)
    valid = torch.ones(batch, count, dtype=torch.bool)
    features = {
        m: torch.randn(batch, count, DIMS[m], generator=random, dtype=dtype) for m in modalities
    }
    present = torch.rand(batch, count, len(modalities), generator=random) >= missing
    return Conversations(features, present, by_appearance(speakers, valid), valid)


def places(given: Conversations, chosen: slice) -> Conversations:
    return given.map_tensors(lambda x: x[:, chosen])


def row(given: Conversations, index: int) -> Conversations:
    return given.map_tensors(lambda x: x[index : index + 1])


def padded(given: Conversations, before: int, after: int) -> Conversations:
    """The same with padding full of rubbish."""

    def around(x: Tensor, fill: float) -> Tensor:
        shape = list(x.shape)
        pieces = []
        for length in (before, after):
            shape[1] = length
            pieces.append(torch.full(shape, fill).to(x.dtype))
        return torch.cat([pieces[0], x, pieces[1]], 1)

    return Conversations(
        {m: around(x, float("nan")) for m, x in given.features.items()},
        around(given.present, 1),
        around(given.speakers, 2),
        around(given.valid, 0),
    )


def with_features(given: Conversations, **features: Tensor) -> Conversations:
    return replace(given, features={**given.features, **features})


def everything(answers: Answers) -> Tensor:
    """All logits side by side, [B, N, heads * C]."""
    heads = [answers.final, answers.common, answers.auxiliary, answers.direct]
    heads += [*answers.specific.values(), *answers.homogeneous.values()]
    return torch.cat([one for one in heads if one is not None], -1)
