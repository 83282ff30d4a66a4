"""How far modalities agree: against plain loops, and at the ends of the scale."""

import pytest
import torch
from made_runs import corpus, network
from torch.nn import functional

from gscon_live.model.networks.network import Architecture, build
from gscon_live.train.corpora.dataset import FeaturedCorpus, batch
from gscon_live.train.scoring.agreement import cosines, structures

GIVEN = corpus()
ROWS, TAU = 8, 0.3


def plainly(given: FeaturedCorpus, seed: int) -> tuple[float, list[float], float]:
    """Differences, mass on the same label by modality, and chance, by loops over pairs."""
    made = network(given, seed=seed)
    vectors: list[list[torch.Tensor]] = []
    labels = []
    for one in given.splits["validation"]:
        with torch.inference_mode():
            shared = made(batch([one])[0]).shared
        for place, label in enumerate(one.labels.tolist()):
            if label >= 0 and bool(one.present[place].all()):
                vectors.append([functional.normalize(x[0, place], dim=0) for x in shared.values()])
                labels.append(label)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)).tolist()
    difference, mass, chance, count = 0.0, [0.0] * len(vectors[0]), 0.0, 0
    for first in range(0, len(order) - ROWS + 1, ROWS):
        block = order[first : first + ROWS]
        for i in block:
            others = [j for j in block if j != i]
            rows = []
            for m in range(len(vectors[0])):
                weight = [float(torch.exp(vectors[i][m] @ vectors[j][m] / TAU)) for j in others]
                rows.append([one / sum(weight) for one in weight])
                mass[m] += sum(
                    one for one, j in zip(rows[m], others, strict=True) if labels[i] == labels[j]
                )
            difference += sum((a - b) ** 2 for a, b in zip(rows[0], rows[1], strict=True))
            chance += sum(labels[i] == labels[j] for j in others) / len(others)
            count += 1
    return difference / count, [one / count for one in mass], chance / count


@pytest.mark.parametrize("seed", [0, 1])
def test_structures_are_those_of_plain_loops(seed: int) -> None:
    found = structures(network(GIVEN, seed=seed), GIVEN.splits["validation"], ROWS, TAU)
    assert found is not None
    difference, mass, chance = plainly(GIVEN, seed)
    assert found.difference == {"text_audio": pytest.approx(difference, rel=1e-4)}
    assert [*found.same_label.values()] == pytest.approx(mass, rel=1e-4)
    assert list(found.same_label) == ["text", "audio"]
    assert found.chance == pytest.approx(chance)


def test_there_are_none_without_a_shared_encoder_or_without_enough_utterances() -> None:
    dims = GIVEN.dims
    mlp = build(Architecture(dims=dims, width=16, heads=2, network="mlp"))
    assert structures(mlp, GIVEN.splits["validation"], ROWS, TAU) is None
    assert structures(network(GIVEN), GIVEN.splits["validation"][:1], 1000, TAU) is None


def test_cosines_are_those_of_the_epoch() -> None:
    epoch = {"loss": 1.0, "cosine_text_audio": 0.5, "cosine_text_visual": -0.25, "seconds": 3.0}
    assert cosines(epoch) == {"text_audio": 0.5, "text_visual": -0.25}
