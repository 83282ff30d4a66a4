"""Checkpoints come back as they went, and wrong ones are refused in one line."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from gscon_live.common.errors import InputError
from gscon_live.model import checkpoint
from gscon_live.model.abstention import ErrorPoint
from gscon_live.model.checkpoint import Card
from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.model.encoders.text.text_encoder import TextEncoder
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.gscon import GSCon
from gscon_live.model.networks.network import NETWORKS, Architecture, Mode, build

ARCHITECTURE = Architecture({"text": 4, "audio": 3, "visual": 5}, context=4, width=8, heads=2)


def card(**changes: Any) -> Card:
    fields: dict[str, Any] = {
        "name": "toy",
        "version": "1",
        "emotions": list(EMOTIONS),
        "encoders": {m: f"{m}-encoder:1" for m in MODALITIES},
        "architecture": ARCHITECTURE,
        "temperature": 1.5,
        "temperatures": dict.fromkeys(MODALITIES, 2.0),
        "data": "made up",
        "split": "none",
        "seeds": [1],
        "scores": {},
        "created": "2000-01-01",
        "machine": "none",
        "notes": ["a toy"],
    }
    return Card(**{**fields, **changes})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "toy", GSCon(ARCHITECTURE), card())
    return tmp_path / "toy.safetensors"


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    model = GSCon(ARCHITECTURE)
    model.standardise["text"].mean.fill_(3.0)
    checkpoint.save(tmp_path / "toy", model, card())
    loaded = checkpoint.load(tmp_path / "toy.safetensors")
    assert loaded.card == card()
    assert not loaded.model.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, loaded.model.state_dict()[key])


def test_a_name_a_file_a_stem_and_a_folder_all_lead_there(saved: Path) -> None:
    for way in (saved, str(saved), saved.with_suffix(""), saved.parent):
        assert checkpoint.load(way).card.name == "toy"
    assert checkpoint.load("live").card.name == "live"


def test_saving_leaves_three_files_and_nothing_else(saved: Path) -> None:
    names = sorted(path.name for path in saved.parent.iterdir())
    assert names == ["toy.json", "toy.md", "toy.safetensors"]
    assert "made up" in saved.with_suffix(".md").read_text()


def test_a_card_may_tell_its_prior_and_its_measured_error(tmp_path: Path) -> None:
    curve = [ErrorPoint(0.3, 0.9), ErrorPoint(0.9, 0.4)]
    measured = card(prior=[1 / 7] * 7, abstention=curve)
    checkpoint.save(tmp_path / "toy", GSCon(ARCHITECTURE), measured)
    assert checkpoint.read_card(tmp_path / "toy.safetensors") == measured
    assert "| 0.90 | 0.400 |" in (tmp_path / "toy.md").read_text()
    assert card().abstention == []


def test_a_prior_or_a_curve_that_is_none_is_refused(saved: Path) -> None:
    change(saved, prior=[0.5, 0.5])
    expect_refusal(saved, "toy.json", "a prior of 2", "7 emotions")
    change(saved, prior=[], abstention=[{"confidence": 0.9, "error": 2.0}])
    expect_refusal(saved, "toy.json", "abstention is no curve")


def change(saved: Path, **values: Any) -> None:
    path = saved.with_suffix(".json")
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **values}))


def expect_refusal(path: Path | str, *mentions: str) -> None:
    with pytest.raises(InputError) as caught:
        checkpoint.load(path)
    message = str(caught.value)
    assert "\n" not in message
    for mention in mentions:
        assert mention in message


def test_a_wrong_path_is_refused(tmp_path: Path) -> None:
    expect_refusal("nonesuch", "nonesuch", "live")
    expect_refusal(tmp_path / "x.safetensors", str(tmp_path / "x.safetensors"))
    expect_refusal("../weights/live", "../weights/live")


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_file_that_was_cut_short_is_refused(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    expect_refusal(saved, str(saved))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("mode", ["full", "causal", "buffer"])
def test_any_network_modalities_and_emotions_come_back(
    tmp_path: Path, network: str, mode: Mode
) -> None:
    architecture = Architecture(
        {"text": 7, "audio": 6}, mode, width=8, heads=2, classes=6, network=network, memory=9
    )
    model, encoders = build(architecture), {"text": "words:1", "audio": "voice:1"}
    written = card(
        emotions=["happy", "sad", "neutral", "angry", "excited", "frustrated"],
        architecture=architecture,
        encoders=encoders,
        temperatures=dict.fromkeys(encoders, 1.0),
    )
    checkpoint.save(tmp_path / "other", model, written)
    loaded = checkpoint.load(tmp_path / "other")
    assert loaded.card == written
    assert type(loaded.model) is type(model)
    for key, value in model.state_dict().items():
        assert torch.equal(value, loaded.model.state_dict()[key])
    text = (tmp_path / "other.md").read_text()
    assert ("GSCon" in text) == (network == "gscon")
    assert type(model).__name__ in text
    assert {"full": "whole conversation", "causal": "memory of 9", "buffer": "window of 8"}[
        mode
    ] in text
    assert "visual" not in text


def test_a_card_from_before_there_were_several_networks_still_loads(saved: Path) -> None:
    architecture = msgspec.to_builtins(ARCHITECTURE)
    del architecture["network"], architecture["memory"]
    change(saved, architecture=architecture)
    assert checkpoint.load(saved).card == card()


@pytest.mark.parametrize(
    ("values", "mention"),
    [
        ({"emotions": list(reversed(EMOTIONS))}, "anger, disgust"),
        ({"architecture": Architecture({"text": 4, "audio": 3})}, "visual"),
        ({"architecture": msgspec.structs.replace(ARCHITECTURE, mode="full")}, "whole"),
    ],
)
def test_what_cannot_answer_live_is_refused_there_in_one_line(
    values: dict[str, Any], mention: str
) -> None:
    card().require_live()
    with pytest.raises(InputError) as caught:
        card(**values).require_live()
    assert "'toy'" in str(caught.value)
    assert mention in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_or_fewer_emotions_than_classes_are_refused(saved: Path) -> None:
    change(saved, emotions=EMOTIONS[:6])
    expect_refusal(saved, "toy.json", "6 emotions", "7")


@pytest.mark.parametrize(
    ("values", "mention"), [({"network": "lstm"}, "lstm"), ({"width": 9}, "9"), ({"dims": {}}, "")]
)
def test_a_network_that_cannot_be_built_is_refused(
    saved: Path, values: dict[str, Any], mention: str
) -> None:
    change(saved, architecture={**msgspec.to_builtins(ARCHITECTURE), **values})
    expect_refusal(saved, "toy", mention)


def test_weights_of_another_network_are_refused(saved: Path) -> None:
    change(saved, architecture={"dims": ARCHITECTURE.dims, "width": 16, "heads": 2})
    expect_refusal(saved, str(saved), "toy.json")


def test_a_missing_or_damaged_card_is_refused(saved: Path) -> None:
    path = saved.with_suffix(".json")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    expect_refusal(saved, "toy.json")
    path.write_bytes(b'{"name": 3}')
    expect_refusal(saved, "toy.json")
    path.unlink()
    expect_refusal(saved, "toy.json")


def test_a_card_without_one_of_the_encoders_is_refused(saved: Path) -> None:
    change(saved, encoders={"text": "x"})
    expect_refusal(saved, "toy.json", "audio")


def test_shifts_of_another_number_of_emotions_are_refused(saved: Path) -> None:
    change(saved, shifts={"text": [0.1, 0.2]})
    expect_refusal(saved, "toy.json", "2 shifts")


def test_the_shipped_model_fits_the_shipped_encoders() -> None:
    shipped = checkpoint.load("live").card
    shipped_encoders = (TextEncoder(), AudioEncoder(), FaceEncoder())
    for m, encoder in zip(MODALITIES, shipped_encoders, strict=True):
        assert shipped.encoders[m] == encoder.identity
        assert shipped.dims[m] == encoder.dim


def test_the_shipped_card_says_what_was_measured_and_what_it_is_not() -> None:
    shipped = checkpoint.load("live").card
    assert {"text+audio+visual", "text", "audio", "visual", "nothing"} <= set(shipped.scores)
    assert checkpoint.describe(shipped) == (checkpoint.WEIGHTS / "live.md").read_text()
    assert "not real" in " ".join(shipped.notes)


def test_the_shipped_model_does_not_always_say_neutral() -> None:
    """Its card's recalls: every emotion is found at all, and most of them often."""
    classes = checkpoint.load("live").card.scores["text+audio+visual"]["per_class"]
    recalls = [classes[emotion]["recall"] for emotion in EMOTIONS]
    assert min(recalls) > 0.1
    assert sorted(recalls)[len(recalls) // 2] > 0.4


@pytest.mark.fault
@pytest.mark.parametrize(
    ("changes", "mention"),
    [
        ({"temperature": 0.0}, "a temperature of 0.0"),
        ({"temperature": -1.0}, "a temperature of -1.0"),
        ({"temperatures": dict.fromkeys(MODALITIES, 0)}, "a temperature of 0"),
        ({"by_presence": {"text": 0.0}}, "a temperature of 0.0"),
        ({"architecture": {"dims": {"text": 4}, "layers": 10**6}}, "layers is 1000000"),
        ({"architecture": {"dims": {"text": 10**12}}}, "dims.text is 1000000000000"),
    ],
)
def test_a_card_with_impossible_numbers(saved: Path, changes: Any, mention: str) -> None:
    """A model card has a temperature of 0 or a million layers: it is refused in one line."""
    if "architecture" in changes:
        changes = {**changes, "encoders": {"text": "x"}, "temperatures": {"text": 1.0}}
    change(saved, **changes)
    expect_refusal(saved, mention)


@pytest.mark.fault
def test_a_card_that_is_nested_deep(saved: Path) -> None:
    """A model card is JSON nested 5,000 deep: it is refused in one line."""
    whole = saved.with_suffix(".json").read_text(encoding="utf-8")
    deep = whole.replace('"scores": {}', '"scores": {"x": ' + "[" * 5_000 + "]" * 5_000 + "}")
    assert deep != whole
    saved.with_suffix(".json").write_text(deep, encoding="utf-8")
    expect_refusal(saved, "toy.json")


@pytest.mark.fault
def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    """Weights are NaN: the checkpoint is refused, with the name of the weights."""
    model = GSCon(ARCHITECTURE)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    checkpoint.save(tmp_path / "toy", model, card())
    expect_refusal(tmp_path / "toy.safetensors", "no numbers")
