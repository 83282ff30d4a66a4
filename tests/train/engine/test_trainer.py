"""Training: it learns, repeats itself, goes on where it was, and is the same step in parts."""

import dataclasses
import math
from collections.abc import Callable

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning_fabric import Fabric
from made_corpus import corpus

from gscon_live.common.errors import Failure, InputError
from gscon_live.model.networks.network import NETWORKS, network_class
from gscon_live.train.corpora.dataset import FeaturedCorpus
from gscon_live.train.data.composed import Absence
from gscon_live.train.engine import trainer
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.trainer import SELECTION_SCORE, Plan, State, exhausted, train
from gscon_live.train.networks.recipe import ConversationRecipe, plan, resolved
from gscon_live.train.networks.task import ConversationTask

#: The networks that have hidden vectors.
HIDDEN = [name for name in NETWORKS if not network_class(name).READS_EXPERTS]
RECIPE = ConversationRecipe(
    epochs=3, batch=4, width=8, heads=2, window=4, patience=None, learning_rate=5e-3,
    absence=Absence(window=0.2, utterance=0.1, speakers=0.1),
)  # fmt: skip
CPU = launch_fabric("cpu")


def fitted(
    recipe: ConversationRecipe = RECIPE,
    material: FeaturedCorpus | None = None,
    seed: int = 1,
    state: State | None = None,
    watch: trainer.Watch | None = None,
    on: Fabric = CPU,
) -> State:
    made = resolved(recipe)
    course = ConversationTask(made, material or corpus(), seed, on)
    return train(course, plan(made, seed), on, state, watch)


def changed(**values: object) -> ConversationRecipe:
    return msgspec.structs.replace(RECIPE, **values)


def same(first: State, second: State) -> bool:
    """Equal to the last bit, but for the time that it took."""

    def timeless(state: State) -> list[dict[str, float]]:
        return [{k: v for k, v in one.items() if k != "seconds"} for one in state.history]

    return timeless(first) == timeless(second) and all(
        left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)
        for left, right in (
            (first.network, second.network),
            (first.average, second.average),
            (first.best, second.best),
            (first.optimiser, second.optimiser),
        )
    )


class Kept:
    """Remembers the state at each epoch's end."""

    def __init__(self, stop: int | None = None) -> None:
        self.states: list[State] = []
        self.steps: list[tuple[int, int]] = []
        self.stop = stop

    def step(self, done: int, total: int, means: Callable[[], dict[str, float]]) -> None:
        self.steps.append((done, total))
        assert math.isfinite(means()["loss"])

    def epoch(self, state: State) -> None:
        self.states.append(dataclasses.replace(state))
        if state.epoch == self.stop:
            raise KeyboardInterrupt


@pytest.mark.parametrize("mode", ["full", "causal", "buffer"])
@pytest.mark.parametrize("network", [*HIDDEN, "gscon:transformer"])
def test_every_network_learns_in_every_mode(network: str, mode: str) -> None:
    network, _, encoder = network.partition(":")
    made = changed(
        model=network, encoder=encoder or RECIPE.encoder, context=mode, epochs=12,
        learning_rate=2e-2, dropout=0.0, absence=Absence(0, 0, 0),
    )  # fmt: skip
    history = fitted(made).history
    assert history[-1]["loss_final"] < 0.9 * history[0]["loss_final"]
    consistent = {"loss_gdc", "loss_ssc", "cosine_text_audio", "cosine_text_visual",
                  "cosine_audio_visual"}  # fmt: skip
    if network == "gscon":
        assert consistent <= set(history[-1])
    else:
        assert not {"loss_gdc", "loss_ssc"} & set(history[-1])


def test_training_again_gives_the_same_and_another_seed_does_not() -> None:
    first, again, other = (fitted(seed=seed) for seed in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)


def test_what_was_drawn_before_does_not_matter() -> None:
    first = fitted()
    torch.rand(17)
    assert same(first, fitted())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("mode", ["causal", "buffer"])
def test_an_interrupted_training_goes_on_to_the_same_weights(mode: str, precision: str) -> None:
    made = changed(context=mode, precision=precision, epochs=2)
    on = launch_fabric("cpu", precision=made.precision)
    whole = fitted(made, on=on)
    for stop in range(1, made.epochs):
        kept = Kept(stop)
        with pytest.raises(KeyboardInterrupt):
            fitted(made, watch=kept, on=on)
        assert same(whole, fitted(made, state=kept.states[-1], on=on))


def test_the_state_of_another_network_is_refused() -> None:
    with pytest.raises(InputError, match="delete"):
        fitted(changed(width=16), state=fitted(changed(epochs=1)))


def test_the_state_of_an_optimiser_of_another_order_is_refused() -> None:
    state = fitted(changed(epochs=1))
    places = sorted({int(key.partition(".")[0]) for key in state.optimiser})
    other = {
        f"{places[-1] - int(key.partition('.')[0])}.{key.partition('.')[2]}": value
        for key, value in state.optimiser.items()
    }
    with pytest.raises(InputError, match="delete"):
        fitted(state=dataclasses.replace(state, optimiser=other))


def test_a_finished_training_is_left_as_it_is() -> None:
    done, kept = fitted(), Kept()
    assert same(done, fitted(state=done, watch=kept))
    assert kept.steps == []


def test_the_last_epoch_is_kept_where_the_plan_says_so() -> None:
    made = resolved(changed(epochs=4))
    course = ConversationTask(made, corpus(), 1, CPU)
    done = train(course, dataclasses.replace(plan(made, 1), keep="last"), CPU)
    assert done.best_epoch == 4
    assert [one[SELECTION_SCORE] for one in done.history] == [1, 2, 3, 4]
    assert all(torch.equal(done.best[name], one) for name, one in done.network.items())
    best = train(ConversationTask(made, corpus(), 1, CPU), plan(made, 1), CPU)
    assert all(torch.equal(best.network[name], one) for name, one in done.network.items())


def test_test_data_has_no_say() -> None:
    """Neither in the weights nor in the epoch."""
    material = corpus()
    other = dataclasses.replace(
        material, splits={**material.splits, "test": corpus(9).splits["test"]}
    )
    first, second = fitted(material=material), fitted(material=other)
    assert first.best_epoch == second.best_epoch
    assert all(torch.equal(first.best[key], second.best[key]) for key in first.best)
    for one, two in zip(first.history, second.history, strict=True):
        assert one[SELECTION_SCORE] == two[SELECTION_SCORE]
    silent = fitted(changed(log_test=False))
    assert all("test_weighted_f1" not in one for one in silent.history)
    assert all(torch.equal(first.best[key], silent.best[key]) for key in first.best)


def test_validation_data_does_not_train() -> None:
    material = corpus()
    other = dataclasses.replace(
        material, splits={**material.splits, "validation": corpus(9).splits["validation"]}
    )
    first, second = fitted(material=material), fitted(material=other)
    assert all(torch.equal(first.network[key], second.network[key]) for key in first.network)


def test_the_best_epoch_by_validation_is_kept_the_first_of_equals() -> None:
    kept = Kept()
    state = fitted(changed(epochs=6), watch=kept)
    reached = [one[SELECTION_SCORE] for one in state.history]
    assert state.best_epoch == 1 + reached.index(max(reached))
    at_best = kept.states[state.best_epoch - 1].network
    assert all(torch.equal(state.best[key], at_best[key]) for key in at_best)
    assert [one["epoch"] for one in state.history] == [1, 2, 3, 4, 5, 6]


def test_the_average_of_the_weights_is_scored_and_kept() -> None:
    kept, decay, seen = Kept(), 0.7, list[dict[str, torch.Tensor]]()

    class Steps(ConversationTask):
        def epoch(self, random: torch.Generator, parts: int):
            for one in super().epoch(random, parts):
                if self.begun:
                    seen.append({k: v.clone() for k, v in self.network.state_dict().items()})
                self.begun = True
                yield one

        begun = False

        def scores(self) -> dict[str, float]:
            scored.append({k: v.clone() for k, v in self.network.state_dict().items()})
            return super().scores()

    scored: list[dict[str, torch.Tensor]] = []
    made = resolved(changed(average=decay, epochs=4))
    course = Steps(made, corpus(), 1, CPU)
    state = train(course, plan(made, 1), CPU, watch=kept)
    steps = [*seen, state.network]
    assert len(steps) == 4 * course.steps
    expected = first_weights(made)
    for told, weights in enumerate(steps, 1):
        share = min(decay, told / (told + 9))
        expected = {k: share * expected[k] + (1 - share) * weights[k] for k in weights}
        if told % course.steps == 0:
            epoch = told // course.steps - 1
            for k, value in expected.items():
                torch.testing.assert_close(kept.states[epoch].average[k], value)
                torch.testing.assert_close(scored[epoch][k], value)
    at_best = kept.states[state.best_epoch - 1].average
    assert all(torch.equal(state.best[key], at_best[key]) for key in at_best)


def first_weights(made: ConversationRecipe) -> dict[str, torch.Tensor]:
    return ConversationTask(made, corpus(), 1, CPU).network.state_dict()


def test_a_training_with_an_average_goes_on_where_it_was() -> None:
    recipe, kept = changed(average=0.9, epochs=5), Kept(stop=2)
    whole = fitted(recipe)
    with pytest.raises(KeyboardInterrupt):
        fitted(recipe, watch=kept)
    assert same(fitted(recipe, state=kept.states[-1]), whole)
    assert not fitted(changed(epochs=1)).average


def test_where_modalities_come_alone_each_alone_has_a_say_in_the_selection() -> None:
    for one in fitted(changed(alone=0.5)).history:
        alone = [one[f"validation_weighted_f1_{m}"] for m in ("text", "audio", "visual")]
        expected = sum([one["validation_weighted_f1"], *alone]) / 4
        assert one[SELECTION_SCORE] == pytest.approx(expected)
        assert len({*alone}) > 1
    for one in fitted().history:
        assert one[SELECTION_SCORE] == one["validation_weighted_f1"]


def test_training_ends_when_patience_does() -> None:
    state = fitted(changed(epochs=60, patience=2, learning_rate=1e-9))
    assert state.epoch == state.best_epoch + 2 < 60
    endless = dataclasses.replace(plan(resolved(RECIPE), 1), patience=None)
    assert not exhausted(state, endless)


def test_steps_are_counted_to_the_end() -> None:
    kept = Kept()
    fitted(watch=kept)
    total = 3 * math.ceil(12 / 4)
    assert kept.steps == [(done, total) for done in range(1, total + 1)]


@settings(max_examples=5, deadline=None)
@given(
    accumulate=st.integers(2, 6),
    batch=st.integers(2, 12),
    mode=st.sampled_from(["full", "causal", "buffer"]),
)
def test_a_step_in_parts_is_the_step_of_the_whole_batch(
    accumulate: int, batch: int, mode: str
) -> None:
    """Of the task's losses, and without dropout, whose masks have the shape of the parts."""
    made = changed(
        context=mode, batch=batch, epochs=1, plugins={}, dropout=0, balance=0.5,
        label_smoothing=0.1,
    )  # fmt: skip
    whole = fitted(made)
    parts = fitted(msgspec.structs.replace(made, accumulate=accumulate))
    for name in ("loss", "loss_final", "loss_text"):
        assert parts.history[0][name] == pytest.approx(whole.history[0][name], rel=1e-4)
    # Not the updates: where a gradient is almost zero, Adam makes a step of its rounding.
    for key, value in whole.optimiser.items():
        if key.endswith("exp_avg"):
            assert torch.allclose(value, parts.optimiser[key], atol=1e-4), key


def test_mixed_precision_learns_and_keeps_the_weights_exact() -> None:
    on = launch_fabric("cpu", precision="bf16-mixed")
    state = fitted(changed(precision="bf16-mixed"), on=on)
    assert all(value.dtype == torch.float32 for value in state.network.values())
    exact = fitted()
    for name in ("loss_final", "loss_ssc", "loss_gdc"):
        assert state.history[0][name] == pytest.approx(exact.history[0][name], rel=0.1)


def test_a_loss_that_is_no_number_is_a_failure_that_says_what_to_do() -> None:
    with pytest.raises(Failure, match="learning_rate"):
        fitted(changed(learning_rate=1e30, epochs=4, clip=1e30))


def test_devices_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="16-mixed"):
        launch_fabric("cpu", precision="16-mixed")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no GPU"):
            launch_fabric("cuda")


@pytest.mark.gpu
def test_a_gpu_gives_what_the_cpu_gives() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    made = changed(epochs=1, dropout=0.0)
    here, there = fitted(made), fitted(made, on=launch_fabric("cuda"))
    for name in ("loss", "loss_gdc", "loss_ssc"):
        assert there.history[0][name] == pytest.approx(here.history[0][name], rel=1e-3)
    assert same(there, fitted(made, on=launch_fabric("cuda")))


def test_the_plan_of_a_training_is_the_recipes() -> None:
    made = plan(resolved(RECIPE), 7)
    assert made == Plan(
        seed=7, epochs=3, learning_rate=5e-3, weight_decay=0.03, warm_up=0.15, patience=None,
        accumulate=1, clip=1.0,
    )  # fmt: skip
