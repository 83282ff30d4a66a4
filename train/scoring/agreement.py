"""Agreement of the modalities' shared features, and the share of it that is about emotion.

This is an analysis: GDC and SSC make modalities agree, which helps only where their features carry
emotion. All is measured on validation, on blocks of utterances as SSC takes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from gscon_live.model.networks.consistency_losses import structure
from gscon_live.model.networks.network import Network
from gscon_live.train.corpora.dataset import FeaturedDialogue, batch

_DIALOGUES = 8


@dataclass(frozen=True)
class Structures:
    """The similarity structures that SSC compares.

    `difference` is the mean squared distance between two modalities' rows of similarities (SSC's
    value), by pair (`text_audio`). `same_label`, by modality, is the share of a row's similarity
    that lies on utterances with the row's own label, from 0 to 1; `chance` is its expected value
    for similarities that do not depend on labels.
    """

    difference: dict[str, float]
    same_label: dict[str, float]
    chance: float


def structures(
    network: Network, dialogues: Sequence[FeaturedDialogue], rows: int, tau: float
) -> Structures | None:
    """The similarity structures of a network's shared features, or None.

    None is for a network without a shared encoder or with a single modality, and for fewer than
    `rows` utterances that have a label and all modalities.

    Args:
        network: is left in evaluation mode.
        dialogues: of the validation split.
        rows: utterances in a block, as in SSC; an incomplete last block is left out.
        tau: SSC's temperature.
    """
    features = _shared_features(network, dialogues)
    if features is None or len(features[1]) < rows:
        return None
    shared, labels = features
    # Utterances of a dialogue are alike in more than emotion; SSC draws from all of a step.
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    blocks = order[: len(order) // rows * rows].view(-1, rows)
    same_label = labels[blocks][:, :, None] == labels[blocks][:, None]
    same_label = same_label & ~torch.eye(rows, dtype=torch.bool)
    similarities = {m: structure(x[blocks], tau) for m, x in shared.items()}
    return Structures(
        difference={
            f"{a}_{b}": float((similarities[a] - similarities[b]).square().sum(-1).mean())
            for a, b in combinations(similarities, 2)
        },
        same_label={m: float((x * same_label).sum(-1).mean()) for m, x in similarities.items()},
        chance=float(same_label.sum(-1).float().mean() / (rows - 1)),
    )


def cosines(epoch: Mapping[str, float]) -> dict[str, float]:
    """The cosines between the modalities' gradients in an epoch of the history, by pair."""
    prefix = "cosine_"
    return {
        name.removeprefix(prefix): value for name, value in epoch.items() if name.startswith(prefix)
    }


def _shared_features(
    network: Network, dialogues: Sequence[FeaturedDialogue]
) -> tuple[dict[str, Tensor], Tensor] | None:
    """Shared features [n, d] by modality, and labels [n], of all utterances that have a label and
    all modalities."""
    network.eval()
    device = next(network.parameters()).device
    parts: list[dict[str, Tensor]] = []
    all_labels = []
    for start in range(0, len(dialogues), _DIALOGUES):
        conversations, labels = batch(dialogues[start : start + _DIALOGUES])
        with torch.inference_mode():
            shared = network(conversations.map_tensors(lambda x: x.to(device))).shared
        if len(shared) < 2:
            return None
        complete = (labels >= 0) & conversations.present.all(-1)
        parts.append({m: x.cpu()[complete] for m, x in shared.items()})
        all_labels.append(labels[complete])
    return {m: torch.cat([part[m] for part in parts]) for m in parts[0]}, torch.cat(all_labels)
