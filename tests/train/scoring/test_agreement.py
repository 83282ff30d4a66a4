"""How far modalities agree: against plain loops, and at the ends of the scale."""

import pytest
import torch
from made_runs import corpus, network
from torch.nn import functional

from gscon_live.model.networks.network import Architecture, build
from gscon_live.train.corpora.dataset import FeaturedCorpus, batch
from gscon_live.train.scoring.agreement import cosines, structures

CORPUS = corpus()
ROWS, TAU = 8, 0.3


def by_loops(corpus: FeaturedCorpus, seed: int) -> tuple[float, list[float], float]:
    """Differences, mass on the same label by modality, and chance, by loops over pairs."""
    model = network(corpus, seed=seed)
    vectors: list[list[torch.Tensor]] = []
    labels = []
    for dialogue in corpus.splits["validation"]:
        with torch.inference_mode():
            shared = model(batch([dialogue])[0]).shared
        for place, label in enumerate(dialogue.labels.tolist()):
            if label >= 0 and bool(dialogue.present[place].all()):
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
                rows.append([value / sum(weight) for value in weight])
                mass[m] += sum(
                    value
                    for value, j in zip(rows[m], others, strict=True)
                    if labels[i] == labels[j]
                )
            difference += sum((a - b) ** 2 for a, b in zip(rows[0], rows[1], strict=True))
            chance += sum(labels[i] == labels[j] for j in others) / len(others)
            count += 1
    return difference / count, [value / count for value in mass], chance / count


@pytest.mark.parametrize("seed", [0, 1])
def test_structures_are_those_of_plain_loops(seed: int) -> None:
    result = structures(network(CORPUS, seed=seed), CORPUS.splits["validation"], ROWS, TAU)
    assert result is not None
    difference, mass, chance = by_loops(CORPUS, seed)
    assert result.difference == {"text_audio": pytest.approx(difference, rel=1e-4)}
    assert [*result.same_label.values()] == pytest.approx(mass, rel=1e-4)
    assert list(result.same_label) == ["text", "audio"]
    assert result.chance == pytest.approx(chance)


def test_there_are_none_without_a_shared_encoder_or_without_enough_utterances() -> None:
    dims = CORPUS.dims
    mlp = build(Architecture(dims=dims, width=16, heads=2, network="mlp"))
    assert structures(mlp, CORPUS.splits["validation"], ROWS, TAU) is None
    assert structures(network(CORPUS), CORPUS.splits["validation"][:1], 1000, TAU) is None


def test_cosines_are_those_of_the_epoch() -> None:
    epoch = {"loss": 1.0, "cosine_text_audio": 0.5, "cosine_text_visual": -0.25, "seconds": 3.0}
    assert cosines(epoch) == {"text_audio": 0.5, "text_visual": -0.25}
