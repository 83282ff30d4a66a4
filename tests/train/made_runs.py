"""Small made-up conversations, networks on them, and runs as `train.fit` leaves them."""

import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from gscon_live.model import checkpoint
from gscon_live.model.checkpoint import Card
from gscon_live.model.labels import MODALITIES
from gscon_live.model.networks.network import Architecture, Mode, Network, build
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue, batch

DIMS = {"text": 6, "audio": 4, "visual": 5}


def dialogue(name: str, length: int, dims: dict[str, int], classes: int, seed: int):
    """Features tell the label, more or less; some utterances lack a label, or a modality."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.Generator().manual_seed(99)
    labels = torch.randint(0, classes, (length,), generator=random)
    features = {
        m: torch.randn(classes, dim, generator=centres)[labels]
        + torch.randn(length, dim, generator=random) * (0.7 + 0.4 * place)
        for place, (m, dim) in enumerate(dims.items())
    }
    present = torch.rand(length, len(dims), generator=random) > 0.15
    present[:, 0] = True
    unlabelled = torch.rand(length, generator=random) < 0.2
    unlabelled[-1] = False
    # Speakers by appearance: the first is 0.
    speakers = torch.randint(0, 2, (length,), generator=random)
    speakers = (speakers != speakers[0]).long()
    return FeaturedDialogue(name, features, present, speakers, labels.masked_fill(unlabelled, -1))


def corpus(
    modalities: tuple[str, ...] = ("text", "audio"),
    labels: tuple[str, ...] = ("calm", "glad", "cross"),
    seed: int = 0,
    counts: tuple[int, int, int] = (16, 10, 12),
) -> FeaturedCorpus:
    random = np.random.default_rng(seed)
    dims = {m: DIMS[m] for m in MODALITIES if m in modalities}
    splits = {
        split: tuple(
            dialogue(
                f"{split}-{place}",
                int(random.integers(1, 12)),
                dims,
                len(labels),
                1000 * seed + 100 * number + place,
            )
            for place in range(count)
        )
        for number, (split, count) in enumerate(
            zip(("train", "validation", "test"), counts, strict=True)
        )
    }
    return FeaturedCorpus("toy", labels, {m: f"{m}:1" for m in dims}, splits)


def network(given: FeaturedCorpus, mode: Mode = "causal", seed: int = 0) -> Network:
    """Fresh weights."""
    torch.manual_seed(seed)
    made = build(
        Architecture(
            dims=given.dims,
            mode=mode,
            context=4,
            width=16,
            heads=2,
            dropout=0.1,
            classes=len(given.labels),
        )
    )
    return made.eval()


def trained(given: FeaturedCorpus, mode: Mode = "causal", seed: int = 0, steps: int = 30):
    """Trained for a moment."""
    made = network(given, mode, seed).train()
    optimiser = torch.optim.Adam(made.parameters(), 1e-2)
    conversations, labels = batch(given.splits["train"])
    for _ in range(steps):
        logits = made(conversations).final
        loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return made.eval()


def run_folder(
    folder: Path,
    given: FeaturedCorpus | None = None,
    seeds: int = 2,
    steps: int = 5,
    **recipe: object,
) -> Path:
    """A finished run, as `train.fit` leaves it."""
    given = given or corpus()
    folder.mkdir(parents=True)
    told = {"kind": "conversation", "name": folder.name, "corpus": given.name, "seeds": seeds}
    told |= {"first_seed": 1, "context": "causal", "gdc": 0.5, "ssc": 1.0} | recipe
    (folder / "recipe.json").write_text(json.dumps(told))
    for seed in range(1, seeds + 1):
        made = trained(given, told["context"], seed, steps)
        place = folder / f"seed-{seed}"
        checkpoint.save(place / "model", made, card(given, made, folder.name, seed))
        epochs = [
            {"epoch": 1, "validation_weighted_f1": 0.3, "test_weighted_f1": 0.2 + seed / 100},
            {"epoch": 2, "validation_weighted_f1": 0.4, "test_weighted_f1": 0.6 + seed / 100},
            {"epoch": 3, "validation_weighted_f1": 0.5, "test_weighted_f1": 0.5 + seed / 100},
        ]
        for one in epochs:
            one["selection"] = one["validation_weighted_f1"]
            one["cosine_text_audio"] = 1 - one["validation_weighted_f1"]
        (place / "history.jsonl").write_text("".join(json.dumps(one) + "\n" for one in epochs))
    return folder


def card(given: FeaturedCorpus, made: Network, name: str, seed: int) -> Card:
    return Card(
        name=name,
        version="1",
        emotions=list(given.labels),
        encoders=given.encoders,
        architecture=made.architecture,
        temperature=1.0,
        temperatures=dict.fromkeys(given.modalities, 1.0),
        data="made up",
        split="made up",
        seeds=[seed],
        scores={},
        created="2026-01-01",
        machine="here",
        notes=[],
    )
