"""Balancing plug-ins in training: with every network, with every mode, and which go together."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import made_material
import msgspec
import pytest
import torch
from made_corpus import corpus
from torch import nn

from gscon_live.common.errors import InputError
from gscon_live.model.labels import MODALITIES
from gscon_live.model.networks.network import NETWORKS, network_class
from gscon_live.train import balance
from gscon_live.train.balance import PLUGINS, TrainingSetup
from gscon_live.train.balance.plugin import StepContext
from gscon_live.train.data.composed import Absence
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.gradient_scaling import Scaled, Scaling
from gscon_live.train.engine.trainer import State, train
from gscon_live.train.networks import composed_task
from gscon_live.train.networks.recipe import ConversationRecipe, plan, resolved
from gscon_live.train.networks.task import ConversationTask

#: The networks that have hidden vectors.
HIDDEN = [name for name in NETWORKS if not network_class(name).READS_EXPERTS]
RECIPE = ConversationRecipe(
    epochs=2, batch=4, width=8, heads=2, window=4, patience=None, learning_rate=5e-3,
    absence=Absence(window=0.2, utterance=0.1, speakers=0.1),
)  # fmt: skip
CPU = launch_fabric("cpu")
#: What each plug-in leaves in the history.
TRACES = {
    "fagm": {"factor_text", "factor_audio", "factor_visual"},
    "gdc": {"loss_gdc", "cosine_text_audio", "cosine_text_visual", "cosine_audio_visual"},
    "graph": {"loss_graph_heterogeneous"},
    "hvd": {"loss_hvd_low", "loss_hvd_high"},
    "margin": {"loss_margin"},
    "ogm_ge": {"factor_text", "factor_audio", "factor_visual"},
    "ratio": {"factor_text", "factor_audio", "factor_visual"},
    "ssc": {"loss_ssc"},
}
#: What all plug-ins go together with.
TRAINING = TrainingSetup("gscon", modalities=3, devices=1, epochs=9, scaled="gradient")


def changed(**values: object) -> ConversationRecipe:
    if "ratio" in values.get("plugins", {}):  # type: ignore[operator]
        values["plugins"] = {"ratio": {"start": 0}}
    return resolved(msgspec.structs.replace(RECIPE, **values))


def fitted(made: ConversationRecipe, state: State | None = None, epochs: int = 2) -> State:
    course = ConversationTask(made, corpus(), 1, CPU)
    return train(course, dataclasses.replace(plan(made, 1), epochs=epochs), CPU, state)


@pytest.mark.parametrize("network", HIDDEN)
@pytest.mark.parametrize("name", PLUGINS)
def test_every_plugin_trains_every_network(name: str, network: str) -> None:
    mode = ("full", "causal", "buffer")[(len(name) + len(network)) % 3]
    size = {"model": network, "context": mode, "batch": 12 if mode == "buffer" else 4}
    without = fitted(changed(**size, plugins={}), epochs=1).history[-1]
    for scaled in ("gradient", "update"):
        made = changed(**size, plugins={name: {}}, scaled=scaled)
        last = fitted(made, epochs=1).history[-1]
        left = set(last) - set(without)
        assert left
        # The cosines are measured now and then without GDC, too.
        assert TRACES.get(name, left) <= left | {one for one in without if "cosine" in one}
        assert last["loss_final"] != without["loss_final"]
        if not any(one.startswith("factor_") for one in left):
            break  # scales nothing


@pytest.mark.parametrize("network", sorted(set(HIDDEN) - {"gscon"}))
def test_the_consistency_losses_train_every_network(network: str) -> None:
    made = changed(model=network, plugins={"gdc": {}, "ssc": {}})
    last = fitted(made, epochs=1).history[-1]
    assert {"loss_gdc", "loss_ssc", "cosine_text_audio"} <= set(last)
    assert -1 <= last["loss_gdc"] < 0 < last["loss_ssc"]


@pytest.mark.parametrize(
    ("network", "plugins", "scaled"),
    [
        ("dmd", {"graph": {}, "margin": {}}, "gradient"),
        ("cmath", {"hvd": {}, "fagm": {"every": 2}}, "gradient"),
        ("cmath", {"hvd": {}, "fagm": {"every": 2}}, "update"),
        ("ada2i", {"ratio": {"start": 1}}, "gradient"),
        ("ada2i", {"ratio": {"start": 1}}, "update"),
    ],
)
def test_an_interrupted_training_goes_on_to_the_same_weights(
    network: str, plugins: dict[str, object], scaled: str
) -> None:
    """The plug-ins' own parameters among them."""
    made = resolved(
        msgspec.structs.replace(RECIPE, model=network, plugins=plugins, scaled=scaled, average=0.5)
    )
    whole, half = fitted(made), fitted(made, epochs=2)
    assert all(torch.equal(one, half.network[name]) for name, one in whole.network.items())

    class Stop:
        state: State | None = None

        def step(self, done: int, total: int, means: object) -> None:
            pass

        def epoch(self, state: State) -> None:
            self.state = dataclasses.replace(state)
            raise KeyboardInterrupt

    stop = Stop()
    with pytest.raises(KeyboardInterrupt):
        train(ConversationTask(made, corpus(), 1, CPU), plan(made, 1), CPU, None, stop)
    on = fitted(made, stop.state)
    for part in ("network", "average", "best", "optimiser"):
        ours, theirs = getattr(whole, part), getattr(on, part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(one, theirs[name]) for name, one in ours.items()), part


def test_plugins_that_learn_are_trained_and_are_no_part_of_the_checkpoint() -> None:
    course = ConversationTask(changed(model="dmd"), corpus(), 1, CPU)
    before = {name: x.clone() for name, x in course.learner.state_dict().items()}
    state = train(course, plan(changed(model="dmd"), 1), CPU)
    beside = [name for name in before if name.startswith("plugins.")]
    assert len(beside) == 12  # two graphs of three layers
    assert all(not torch.equal(before[name], state.network[name]) for name in beside)
    assert not any("plugin" in name or "graph" in name for name in course.network.state_dict())


@pytest.mark.parametrize(
    ("chosen", "values", "mention"),
    [
        ({"fagm": {}, "ratio": {}}, {}, "fagm and ratio.*twice.*take one"),
        ({"ogm_ge": {}, "fagm": {}}, {}, "ogm_ge and fagm.*take one"),
        ({"hvd": {}}, {"modalities": 1}, "hvd.*there is one.*plugins="),
        ({"fagm": {}}, {"devices": 2}, "fagm.*devices=1"),
        ({"ratio": {}}, {"epochs": 3}, "ratio.*3 epochs.*plugins.ratio.start"),
        ({}, {"scaled": "update"}, "scaled=update.*fagm, ogm_ge, ratio.*scaled=gradient"),
        ({"hvd": {}}, {"scaled": "update"}, "scaled=update.*scaled=gradient"),
        ({"pmr": {}}, {}, "'pmr'.*ssc, gdc, fagm, graph, hvd, margin, ogm_ge, ratio"),
        ({"ratio": {"beta": 1}}, {}, "'ratio'.*beta.*alpha, start, noise, continuous"),
        ({"ratio": {"alpha": "much"}}, {}, "'ratio'.*alpha"),
        ({"graph": {"prior": "released"}}, {}, "'graph'.*edges=all"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_reason(
    chosen: balance.PluginSettings, values: dict[str, Any], mention: str
) -> None:
    with pytest.raises(InputError, match=mention) as caught:
        balance.check(chosen, dataclasses.replace(TRAINING, **values))
    assert "\n" not in str(caught.value)


def test_processes_that_train_together_are_several_devices() -> None:
    """However they were started, the recipe's number of devices has no say."""

    class Two:
        world_size = 2

        def __getattr__(self, name: str) -> object:
            return getattr(CPU, name)

    made = changed(plugins={"fagm": {}})
    assert made.devices == 1
    with pytest.raises(InputError, match=r"fagm.*several devices"):
        ConversationTask(made, corpus(), 1, Two())  # type: ignore[arg-type]


class Recorded(Scaling):
    """Writes down what is asked of it."""

    said: ClassVar[list[str]] = []

    def scale(self, what: Scaled) -> None:
        self.said.append("scale")

    def add_noise(self) -> None:
        self.said.append("disturb")

    @contextmanager
    def scaled_update(self, what: Scaled) -> Iterator[None]:
        self.said.append("before the step")
        yield
        self.said.append("after the step")


@pytest.mark.parametrize("loop", ["conversations", "composed"])
def test_a_step_scales_then_clips_then_disturbs_then_updates(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    clip, update = nn.utils.clip_grad_norm_, torch.optim.AdamW.step

    def clipped(*given: Any, **named: Any) -> Any:
        said.append("clip")
        return clip(*given, **named)

    def updated(*given: Any, **named: Any) -> Any:
        said.append("step")
        return update(*given, **named)

    monkeypatch.setattr(Recorded, "said", said)
    monkeypatch.setattr(balance, "scaling", lambda *_: Recorded([]))
    monkeypatch.setattr(nn.utils, "clip_grad_norm_", clipped)
    monkeypatch.setattr(torch.optim.AdamW, "step", updated)
    if loop == "conversations":
        fitted(changed(plugins={"fagm": {}}), epochs=1)
    else:
        short = msgspec.structs.replace(made_material.RECIPE, epochs=1, compositions=1)
        composed_task.fit(short, made_material.material(), 1, lambda *_: None)
    one = ["scale", "clip", "disturb", "before the step", "step", "after the step"]
    assert said
    assert said == one * (len(said) // len(one))


def test_losses_and_one_that_scales_go_together() -> None:
    both = dataclasses.replace(TRAINING, scaled="update")
    balance.check({"fagm": {}, "hvd": {}, "graph": {}, "margin": {}}, both)
    made = changed(model="gscon", plugins={"hvd": {}, "graph": {}, "ogm_ge": {}})
    assert TRACES["hvd"] | TRACES["graph"] | TRACES["ogm_ge"] <= set(fitted(made).history[-1])


def test_a_corpus_of_one_modality_has_nothing_to_balance() -> None:
    made = changed(model="mlp", plugins={"hvd": {}})
    with pytest.raises(InputError, match="there is one"):
        ConversationTask(made, corpus(modalities=("text",)), 1, CPU)


def test_the_ratio_waits_for_its_epoch() -> None:
    made = resolved(msgspec.structs.replace(RECIPE, model="ada2i", plugins={"ratio": {"start": 1}}))
    first, second = fitted(made).history
    assert "factor_text" not in first
    assert "factor_text" in second


def test_the_parts_of_a_step_are_scaled_and_taught_as_one() -> None:
    """Whatever their number, each plug-in gives the same losses and factors."""
    for name in PLUGINS:
        if name in ("gdc", "margin", "ssc"):
            continue  # means of the parts, the last two of utterances drawn from each
        one, three = (
            _step(changed(model="dmd", dropout=0.0, plugins={name: {}}), parts) for parts in (1, 3)
        )
        for mine, theirs in zip((*one[1], *one[2]), (*three[1], *three[2]), strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
        assert one[0].keys() == three[0].keys()
        for key, value in one[0].items():
            assert three[0][key] == pytest.approx(value, rel=1e-3), (name, key)


def _step(
    made: ConversationRecipe, parts: int
) -> tuple[dict[str, float], list[torch.Tensor], list[torch.Tensor]]:
    """What a step tells, its factors and its gradients, without missing modalities."""
    still = msgspec.structs.replace(made, absence=Absence(0, 0, 0), batch=12)
    course = ConversationTask(still, corpus(), 1, CPU)
    course.learner.train()
    random = torch.Generator().manual_seed(1)
    (step,) = course.epoch(random, parts)
    assert len(step) == parts
    for part in step:
        torch.autograd.backward(course.loss(part, random, False).total)
    scaling = course.scaling(9)
    factors = [factor for _, factor in scaling.factors]
    gradients = [p.grad for p in course.learner.parameters() if p.grad is not None]
    return scaling.figures, factors, gradients


def contexts_of(task: ConversationTask, parts: int = 1) -> Sequence[StepContext]:
    """What plug-ins see of a step."""
    random = torch.Generator().manual_seed(1)
    for part in next(iter(task.epoch(random, parts))):
        task.loss(part, random, False)
    return task._step


def test_plugins_see_the_modalities_in_the_order_of_the_masks() -> None:
    task = ConversationTask(changed(plugins={"fagm": {}}), corpus(), 1, CPU)
    (context,) = contexts_of(task)
    assert context.targets.present.shape[1] == len(MODALITIES)
    assert list(context.answers.specific) == list(MODALITIES)


def test_plugins_take_their_turn_in_one_order_whatever_the_recipes() -> None:
    """So that the same recipe, written in another order, gives the same weights."""
    chosen = {"margin": {"rows": 3}, "gdc": {}, "ssc": {"rows": 4}, "hvd": {}}
    first = changed(plugins=chosen)
    second = changed(plugins=dict(reversed(chosen.items())))
    assert list(first.plugins or {}) == list(second.plugins or {})
    ours, theirs = fitted(first, epochs=1), fitted(second, epochs=1)
    assert all(torch.equal(x, theirs.network[name]) for name, x in ours.network.items())


def test_the_cosines_are_measured_where_nothing_is_trained_by_them() -> None:
    for plugins in ({}, {"ssc": {}}, {"gdc": {}}):
        assert "cosine_text_audio" in fitted(changed(plugins=plugins), epochs=1).history[-1]
