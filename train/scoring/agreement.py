"""How far the modalities' common parts agree, and whether what they agree on is emotion.

For analysis: GDC and SSC make modalities agree, which helps only if what each of them says is worth
agreeing with. All is measured on validation, on blocks of utterances as SSC takes them.
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
    """What SSC compares, by pair of modalities (`text_audio`) and by modality.

    `difference` is the mean squared distance between two modalities' rows of similarities: SSC's
    value. `same_label` is the part of a row that lies on utterances with the row's own label, from
    0 to 1; `chance` is what it is for similarities that know nothing of labels.
    """

    difference: dict[str, float]
    same_label: dict[str, float]
    chance: float


def structures(
    network: Network, dialogues: Sequence[FeaturedDialogue], rows: int, tau: float
) -> Structures | None:
    """The structures of a network's common parts; None where it has none, or only one modality.

    Args:
        network: is left in evaluation mode.
        dialogues: of at least `rows` utterances that have a label and all modalities.
        rows: utterances in a block, as in SSC; a last block of fewer is left out.
        tau: SSC's temperature.
    """
    found = _common(network, dialogues)
    if found is None or len(found[1]) < rows:
        return None
    common, labels = found
    # Neighbours of one dialogue are alike in more than emotion; SSC draws from a whole step.
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    blocks = order[: len(order) // rows * rows].view(-1, rows)
    same = labels[blocks][:, :, None] == labels[blocks][:, None]
    same = same & ~torch.eye(rows, dtype=torch.bool)
    each = {m: structure(x[blocks], tau) for m, x in common.items()}
    return Structures(
        difference={
            f"{a}_{b}": float((each[a] - each[b]).square().sum(-1).mean())
            for a, b in combinations(each, 2)
        },
        same_label={m: float((x * same).sum(-1).mean()) for m, x in each.items()},
        chance=float(same.sum(-1).float().mean() / (rows - 1)),
    )


def cosines(epoch: Mapping[str, float]) -> dict[str, float]:
    """The cosines between the modalities' gradients in an epoch of the history, by pair."""
    mark = "cosine_"
    return {name.removeprefix(mark): one for name, one in epoch.items() if name.startswith(mark)}


def _common(
    network: Network, dialogues: Sequence[FeaturedDialogue]
) -> tuple[dict[str, Tensor], Tensor] | None:
    """Common parts [n, d] by modality, and labels [n], of all utterances that have everything."""
    network.eval()
    device = next(network.parameters()).device
    parts: list[dict[str, Tensor]] = []
    labels = []
    for start in range(0, len(dialogues), _DIALOGUES):
        conversations, marks = batch(dialogues[start : start + _DIALOGUES])
        with torch.inference_mode():
            shared = network(conversations.map_tensors(lambda x: x.to(device))).shared
        if len(shared) < 2:
            return None
        whole = (marks >= 0) & conversations.present.all(-1)
        parts.append({m: x.cpu()[whole] for m, x in shared.items()})
        labels.append(marks[whole])
    return {m: torch.cat([part[m] for part in parts]) for m in parts[0]}, torch.cat(labels)
