"""Soft labels come from networks that have not learned the dialogue, and are the same for all."""

import dataclasses

import msgspec
import pytest
import torch
from made_corpus import corpus

from gscon_live.common.errors import InputError
from gscon_live.train.corpora.dataset import FeaturedCorpus
from gscon_live.train.data.composed import Absence
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.trainer import train
from gscon_live.train.networks import soft_labels
from gscon_live.train.networks.recipe import ConversationRecipe, plan, resolved
from gscon_live.train.networks.soft_labels import FOLDS, with_soft_labels
from gscon_live.train.networks.task import ConversationTask

RECIPE = resolved(
    ConversationRecipe(
        epochs=2, batch=4, width=8, heads=2, learning_rate=2e-2, patience=None, distillation=0.25,
        absence=Absence(0, 0, 0),
    )
)  # fmt: skip
CPU = launch_fabric("cpu")
CORPUS = corpus()


def softly(
    monkeypatch: pytest.MonkeyPatch,
    recipe: ConversationRecipe = RECIPE,
    read: FeaturedCorpus = CORPUS,
    seed: int = 1,
) -> FeaturedCorpus:
    """A corpus softened by networks that read another, or itself."""
    asked = []

    def material(teacher: ConversationRecipe, seed: int, report: object) -> FeaturedCorpus:
        asked.append((teacher.text, teacher.direct))
        return read

    monkeypatch.setattr("gscon_live.train.networks.soft_labels.material", material)
    made = with_soft_labels(recipe, CORPUS, seed, CPU, lambda *_: None)
    assert asked == [("frozen", False)]
    return made


def told(made: FeaturedCorpus, share: float = 0.25) -> list[torch.Tensor]:
    """What others said of the utterances that have a label, out of the soft labels."""
    found = []
    for one in made.splits["train"]:
        assert one.soft is not None
        there = one.labels >= 0
        hard = torch.nn.functional.one_hot(one.labels[there], one.soft.shape[1])
        found.append((one.soft[there] - (1 - share) * hard) / share)
    return found


def test_a_part_of_each_label_is_what_others_say(monkeypatch: pytest.MonkeyPatch) -> None:
    made = softly(monkeypatch)
    for one, said in zip(made.splits["train"], told(made), strict=True):
        assert one.soft is not None
        assert not one.soft[one.labels < 0].any()
        assert torch.allclose(one.soft[one.labels >= 0].sum(1), torch.ones(len(said)))
        assert (said > -1e-6).all()
        assert torch.allclose(said.sum(1), torch.ones(len(said)), atol=1e-5)
    for split in ("validation", "test"):
        assert made.splits[split] is CORPUS.splits[split]


@pytest.mark.parametrize("number", range(FOLDS))
def test_nobody_tells_of_what_they_learned(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other labels in a part change nothing of what is told of it, and something of the rest."""
    every = CORPUS.splits["train"]
    mine = torch.arange(len(every)).tensor_split(FOLDS)[number].tolist()
    changed = tuple(
        dataclasses.replace(one, labels=(one.labels + 1) % 3) if place in mine else one
        for place, one in enumerate(every)
    )
    other = dataclasses.replace(CORPUS, splits={**CORPUS.splits, "train": changed})
    before, after = told(softly(monkeypatch)), told(softly(monkeypatch, read=other))
    same = [torch.equal(one, two) for one, two in zip(before, after, strict=True)]
    assert [place for place, equal in enumerate(same) if equal] == mine


def test_trainings_that_differ_in_what_is_compared_learn_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = told(softly(monkeypatch))

    def refuse(*_: object) -> None:
        raise AssertionError("it was in the cache")

    monkeypatch.setattr(soft_labels, "train", refuse)
    changes = ({"plugins": {}}, {"model": "mlp"}, {"text": "text-iemocap", "direct": True})
    for change in changes:
        again = told(softly(monkeypatch, msgspec.structs.replace(RECIPE, **change)))
        assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    more = msgspec.structs.replace(RECIPE, distillation=0.5)
    again = told(softly(monkeypatch, more), 0.5)
    assert all(torch.allclose(one, two, atol=1e-6) for one, two in zip(first, again, strict=True))
    with pytest.raises(AssertionError, match="cache"):
        softly(monkeypatch, seed=2)


def test_a_single_dialogue_has_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    split = {**CORPUS.splits, "train": CORPUS.splits["train"][:1]}
    with pytest.raises(InputError, match="distillation=0"):
        softly(monkeypatch, read=dataclasses.replace(CORPUS, splits=split))


def test_networks_take_the_soft_labels_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    few = msgspec.structs.replace(RECIPE, text_seeds=2)
    first, third, second = (told(softly(monkeypatch, few, seed=seed)) for seed in (1, 3, 2))
    assert all(torch.equal(one, two) for one, two in zip(first, third, strict=True))
    assert not all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


@pytest.mark.parametrize("context", ["causal", "buffer"])
def test_soft_labels_are_learned(context: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = msgspec.structs.replace(RECIPE, context=context, window=3, epochs=8)
    made = softly(monkeypatch, msgspec.structs.replace(recipe, epochs=2))

    def weights(material: FeaturedCorpus) -> torch.Tensor:
        course = ConversationTask(recipe, material, 1, CPU)
        state = train(course, plan(recipe, 1), CPU)
        assert state.history[-1]["loss_final"] < state.history[0]["loss_final"]
        return torch.cat([one.flatten() for one in state.best.values()])

    assert not torch.equal(weights(made), weights(CORPUS))
