"""The sample conversation with other networks in place of the one that ships."""

from pathlib import Path

import msgspec
import pytest
import torch
from sessions import read, run, utterances

from gscon_live.common import cli
from gscon_live.model import checkpoint
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.networks.network import Mode, build
from gscon_live.realtime import replay
from gscon_live.realtime.sample import CONVERSATION


def other(folder: Path, name: str, mode: Mode) -> Path:
    """A checkpoint of another network for the encoders that ship, with fresh weights."""
    torch.manual_seed(1)
    card = checkpoint.read_card("live")
    architecture = msgspec.structs.replace(card.architecture, network=name, mode=mode, layers=2)
    path = folder / f"{name}.safetensors"
    checkpoint.save(path, build(architecture), msgspec.structs.replace(
        card, name=name, architecture=architecture))  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("ada2i", "buffer"),
        ("ada2i", "causal"),
        ("cmath", "causal"),
        ("dmd", "buffer"),
        ("mmgcn", "buffer"),
        ("dialogue_rnn", "causal"),
    ],
)
def test_the_sample_is_replayed_with_another_network_that_a_configuration_names(
    name: str, mode: Mode, four_utterances: Path, tmp_path: Path
) -> None:
    weights, out = other(tmp_path, name, mode), tmp_path / "out.jsonl"
    setup = tmp_path / "setup.yaml"
    setup.write_text(f"recognition:\n  checkpoint: {weights}\n")
    words = [four_utterances, "--config", setup, "--events", out, "--quiet"]
    assert cli.run(replay.main, [str(word) for word in words]) == 0
    events = utterances(read(out))
    assert [event.utterance.id for event in events] == list(range(1, 5))
    for event in events:
        assert event.model.name == name
        assert sum(event.emotion.probabilities.values()) == pytest.approx(1, abs=1e-3)
        assert set(event.emotion.probabilities) == set(EMOTIONS)
        assert event.modalities.text.present
        assert event.modalities.audio.present
    assert [event.modalities.visual.present for event in events] == [True, False, True, True]
    said = [tuple(event.emotion.probabilities.values()) for event in events]
    assert len(set(said)) == len(said)


def test_a_network_that_needs_the_future_is_refused(tmp_path: Path) -> None:
    weights = other(tmp_path, "cmath", "full")
    done = run("gscon_live.realtime.replay", CONVERSATION, f"recognition.checkpoint={weights}")
    assert done.returncode == 2
    assert "mode full" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
