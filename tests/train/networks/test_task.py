"""What a task shows the network in a step."""

from collections.abc import Sequence

import pytest
import torch
from made_corpus import corpus

from gscon_live.model.labels import MODALITIES
from gscon_live.train.data.composed import Absence
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.trainer import train
from gscon_live.train.networks.recipe import ConversationRecipe, plan, resolved
from gscon_live.train.networks.task import ConversationPart, ConversationTask

CPU = launch_fabric("cpu")


def recipe(**values: object) -> ConversationRecipe:
    """One without missing modalities, but those that the corpus lacks."""
    return resolved(
        ConversationRecipe(
            epochs=1, batch=8, width=8, heads=2, window=3, absence=Absence(0, 0, 0), **values
        )  # type: ignore[arg-type]
    )


def epoch(made: ConversationRecipe, seed: int = 1) -> list[Sequence[ConversationPart]]:
    task = ConversationTask(made, corpus(dialogues=16), 1, CPU)
    return list(task.epoch(torch.Generator().manual_seed(seed), 1))


@pytest.mark.parametrize("context", ["full", "causal", "buffer"])
def test_a_share_of_the_conversations_comes_once_more_with_one_modality_alone(
    context: str,
) -> None:
    plain, with_alone = epoch(recipe(context=context)), epoch(recipe(context=context, alone=0.5))
    more = 0
    seen = set()
    for (part,) in with_alone:
        present = part.batch.conversations.present
        size = round(len(present) / 1.5)
        for row in present[size:]:
            there = {m for place, m in enumerate(MODALITIES) if row[:, place].any()}
            assert len(there) <= 1
            seen |= there
        more += len(present) - size
        # What comes alone counts in the step like everything else.
        assert part.step.count == len(part.targets.rows)
    conversations = sum(len(part.batch.conversations.present) for (part,) in plain)
    assert more == pytest.approx(conversations / 2, abs=len(plain))
    assert seen == {*MODALITIES}


def test_what_comes_alone_is_learned_from() -> None:
    given = corpus(dialogues=24)

    def trained(alone: float) -> dict[str, torch.Tensor]:
        made = recipe(alone=alone)
        return train(ConversationTask(made, given, 1, CPU), plan(made, 1), CPU).network

    never, again, often = trained(0.0), trained(0.0), trained(0.9)
    assert all(torch.equal(value, again[name]) for name, value in never.items())
    assert any(not torch.equal(value, often[name]) for name, value in never.items())


def test_one_modality_has_nothing_to_come_without() -> None:
    made = recipe(alone=0.9, modalities=("text",), model="mlp")
    task = ConversationTask(made, corpus(modalities=("text",), dialogues=16), 1, CPU)
    steps = list(task.epoch(torch.Generator().manual_seed(1), 1))
    assert [len(part.batch.labels) for (part,) in steps] == [8, 8]
