"""The benchmark of training compares like with like, and says what it measured in JSON."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import msgspec
import pytest
import torch

from gscon_live.common import cli
from gscon_live.model.networks.layers.shared_encoder import SharedEncoder
from gscon_live.model.networks.network import Architecture, Mode
from gscon_live.train.bench import __main__ as bench
from gscon_live.train.bench import cost

SMALL = Architecture(
    {"text": 6, "audio": 5, "visual": 4}, width=16, heads=2, dropout=0.0, context=3
)


def exact(training: cost.Training) -> cost.Training:
    """The same in double precision."""
    training.network.double()
    conversations = training.batch.conversations
    features = {m: x.double() for m, x in conversations.features.items()}
    batch = replace(training.batch, conversations=replace(conversations, features=features))
    return replace(training, batch=batch)


def test_quick_json_has_every_figure_and_what_it_was_measured_on() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "gscon_live.train.bench",
            "--quick",
            "--json",
            "--seed",
            "3",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout)
    assert set(figures) == set(bench.MEANING) | {
        "settings", "shipped", "date", "machine", "seed"
    }  # fmt: skip
    for key in bench.MEANING:
        assert math.isfinite(figures[key]), key
        assert figures[key] > 0, key
    assert figures["settings"]["dialogues"] == cost.QUICK.dialogues
    assert figures["seed"] == 3


def test_what_is_measured_by_default_is_what_is_stated() -> None:
    settings = cost.Settings()
    assert (settings.width, settings.dialogues, settings.utterances) == (128, 16, 16)
    assert (settings.windows, settings.early, settings.late) == (16, 10, 10_000)


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("mode", ["buffer", "causal"])
def test_gdc_sample_by_sample_is_the_same_loss_as_ours(mode: Mode, released: bool) -> None:
    architecture = msgspec.structs.replace(SMALL, mode=mode)
    ours = exact(cost.training(architecture, 4, 3, seed=1))
    theirs = exact(cost.training(architecture, 4, 3, seed=1, released=released))
    loss = ours.loss(cost.GDC_AND_SSC)
    other = theirs.loss(cost.SSC_ONLY, per_sample=True)
    without = ours.loss(cost.SSC_ONLY)
    assert loss.item() == pytest.approx(other.item(), abs=1e-6)
    assert abs(loss.item() - without.item()) > 0.01
    for gradient, other_gradient in zip(
        torch.autograd.grad(loss, list(ours.network.parameters())),
        torch.autograd.grad(other, list(theirs.network.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(gradient, other_gradient, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("both_sides", "last"), [(True, False), (False, False), (False, True)])
def test_the_released_shared_encoder_gives_the_same(both_sides: bool, last: bool) -> None:
    ours, theirs = (
        SharedEncoder(both_sides).double(),
        cost.ReleasedSharedEncoder(both_sides).double(),
    )
    theirs.load_state_dict(ours.state_dict())
    states = list(torch.randn(3, 2, 15, 10, dtype=torch.float64))
    valid = torch.arange(15) < torch.tensor([[15], [11]])
    outputs = [encoder.encode(states, valid, last) for encoder in (ours, theirs)]
    torch.testing.assert_close(outputs[0].common, outputs[1].common, atol=1e-9, rtol=0)


def test_steps_train() -> None:
    training = cost.training(SMALL, 4, 3, seed=2)
    before = training.loss(cost.NO_PLUGINS).item()
    for _ in range(60):
        training.step(cost.GDC_AND_SSC)
    assert training.loss(cost.NO_PLUGINS).item() < before - 0.5


@pytest.mark.parametrize("words", [["--quik"], ["--seed", "one"], ["more"]])
def test_wrong_words_are_exit_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(bench.main, words) == cli.WRONG_INPUT
    assert capsys.readouterr().err.count("\n") == 1
