"""Training of the voice encoder: how voices are disturbed, and that it is measured on others."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupting import stopping_after
from safetensors.torch import load_file
from torch import Tensor

from gscon_live.common.cli import run
from gscon_live.model.encoders.voice.spectrogram import MELS, MelSpectrogram
from gscon_live.model.encoders.voice.voice_network import VoiceNet
from gscon_live.train import fit
from gscon_live.train.corpora import ravdess_emodb
from gscon_live.train.corpora.ravdess_emodb import STATED, Clip
from gscon_live.train.encoders.voice import voice_cache
from gscon_live.train.encoders.voice.augmentation import augment
from gscon_live.train.encoders.voice.cross_validation import FOLDS
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.training import train_voice
from gscon_live.train.encoders.voice.voice_conditions import conditions
from gscon_live.train.encoders.voice.voice_data import Clips, answer, clips_of
from gscon_live.train.engine.trainer import State
from gscon_live.train.progress import Reporting
from gscon_live.train.runs import run_folder
from gscon_live.train.runs.run_folder import TrainingFolder

STRENGTHS = ("coded", "speed", "shift", "colour", "room", "noise", "band", "hidden")


def changed(**values: float) -> VoiceRecipe:
    zeros = dict.fromkeys(STRENGTHS, 0.0)
    return VoiceRecipe(columns=40, **{**zeros, **values})  # type: ignore[arg-type]


PLAIN = changed()


def recorded(count: int = 12, columns: int = 60) -> Clips:
    torch.manual_seed(0)
    return Clips(torch.rand(3, count, MELS, columns) + 0.1, torch.full((count,), columns))


def unchanged(power: Tensor) -> Tensor:
    return power


def tone(pitch: float, seed: int) -> np.ndarray:
    """A second of a tone in noise."""
    random = np.random.default_rng(seed)
    time = np.arange(16_000) / 16_000
    wave = np.sin(2 * np.pi * pitch * (1 + 0.02 * random.random()) * time)
    return (0.1 * wave + random.normal(0, 0.01, len(time))).astype(np.float32)


def test_what_is_not_disturbed_is_a_piece_of_the_clip() -> None:
    clips = recorded()
    seen = augment(unchanged, clips, PLAIN)
    assert seen.shape == (12, MELS, 40)
    for power, piece in zip(clips.power[0], seen, strict=True):
        # Between two columns: from where its first one lies, every column is so.
        ways = [
            (start, part)
            for start in range(20)
            for part in torch.linspace(0, 1, 101)
            if torch.allclose(torch.lerp(power[5, start], power[5, start + 1], part), piece[5, 0],
                              atol=0.02)
        ]  # fmt: skip
        assert any(
            torch.allclose(
                torch.lerp(power[:, s : s + 40], power[:, s + 1 : s + 41], part), piece, atol=0.05
            )
            for s, part in ways
        )


def test_a_short_clip_lies_somewhere_in_silence() -> None:
    torch.manual_seed(0)
    clips = Clips(torch.ones(1, 30, MELS, 60) * (torch.arange(60) < 10), torch.full((30,), 10))
    seen = augment(unchanged, clips, PLAIN)[:, 3]
    assert (seen.sum(1) > 8).all()
    assert (seen.sum(1) < 11).all()
    assert len({int(one.argmax()) for one in seen}) > 5


@pytest.mark.parametrize("strength", STRENGTHS)
def test_each_disturbance_does_something(strength: str) -> None:
    clips = recorded()
    always = {"coded": 1.0, "room": 1.0, "band": 1.0}
    recipe = changed(**{strength: always.get(strength, getattr(VoiceRecipe(), strength))})
    torch.manual_seed(3)
    plain = augment(unchanged, clips, PLAIN)
    torch.manual_seed(3)
    assert (augment(unchanged, clips, recipe) - plain).abs().amax((1, 2)).gt(0.05).any()


def test_as_many_clips_come_through_codecs_as_are_asked_for() -> None:
    # What is heard as recorded is 0; through the first codec 1; through the second 2.
    power = torch.arange(3.0)[:, None, None, None].expand(3, 4000, MELS, 60)
    seen = augment(unchanged, Clips(power, torch.full((4000,), 60)), changed(coded=0.3))
    heard_through = [(seen[:, 20, 20] - way).abs().lt(0.01).float().mean() for way in range(3)]
    assert heard_through == pytest.approx([0.7, 0.15, 0.15], abs=0.03)


def test_a_narrow_band_leaves_the_middle_and_takes_low_and_high() -> None:
    clips = Clips(torch.ones(1, 200, MELS, 60), torch.full((200,), 60))
    seen = augment(unchanged, clips, changed(band=1.0))[:, :, 20]
    # Mel bands 22 to 33 lie between 700 and 1500 Hz.
    torch.testing.assert_close(seen[:, 22:34], torch.ones(200, 12))
    assert (seen[:, 0] < 0.9).float().mean() > 0.7
    assert (seen[:, -1] < 0.5).float().mean() > 0.5
    assert (seen >= 10**-9.1).all()


def test_disturbed_power_is_no_less_than_nothing() -> None:
    seen = augment(
        unchanged, recorded(40), changed(speed=0.2, shift=4, colour=4, noise=1, hidden=0)
    )
    assert seen.isfinite().all()
    assert (seen >= 0).all()


def test_microphones() -> None:
    made = conditions(np.random.default_rng(0))
    sound = tone(1000, 0)
    assert np.array_equal(made["as recorded"](sound), sound)
    np.testing.assert_allclose(made["12 dB softer"](sound) * 3.981, sound, rtol=1e-3)
    assert np.abs(made["12 dB louder"](sound * 5)).max() == 1
    low, middle = (made["telephone band"](tone(pitch, 0)) for pitch in (80, 1000))
    assert np.square(low).mean() < 0.05 * np.square(tone(80, 0)).mean()
    assert np.square(middle).mean() > 0.8 * np.square(sound).mean()
    noise = made["noise at 10 dB"](sound) - sound
    ratio = 10 * np.log10(np.square(sound).mean() / np.square(noise).mean())
    assert ratio == pytest.approx(10, abs=0.3)
    after = made["room of 0.4 s"](np.pad(sound, (0, 16_000)))[16_000:]
    # The echo of a voice that is over is 60 dB down after 0.4 s.
    assert 0.01 < np.square(after[:1600]).mean() / np.square(sound).mean() < 0.5
    assert np.square(after[6400:]).max() < 1e-9
    assert {one(sound).dtype for one in made.values()} == {np.dtype(np.float32)}
    assert {one(sound).shape for one in made.values()} == {sound.shape}


def test_every_actor_of_ravdess_is_in_one_fold() -> None:
    every = [actor for fold in FOLDS for actor in fold]
    assert sorted(every) == list(range(1, 25))
    assert {len(fold) for fold in FOLDS} == {4}


SMALL = VoiceRecipe(epochs=6, batch=8, columns=40, accelerator="cpu", threads=1, hidden=0)


def learned(folder: Path) -> VoiceNet:
    """A network that has learned low and high tones."""
    sounds = [tone((200, 1500)[number % 2], number) for number in range(24)]
    clips, labels = clips_of(MelSpectrogram(), sounds), torch.arange(24) % 2
    display = Reporting(lambda *_: None)
    return train_voice(SMALL, clips, labels, 2, TrainingFolder(folder), display, "toy")


def same(first: VoiceNet, second: VoiceNet) -> bool:
    other = second.state_dict()
    return all(torch.equal(value, other[name]) for name, value in first.state_dict().items())


def test_a_training_learns_what_can_be_heard_and_again_the_same(tmp_path: Path) -> None:
    first, again = (learned(tmp_path / name) for name in ("first", "again"))
    assert same(first, again)
    for number in (100, 101):
        sound = tone((200, 1500)[number % 2], number)
        assert answer(first, MelSpectrogram(), sound).argmax() == number % 2


@pytest.mark.parametrize("epoch", [1, 5])
def test_an_interrupted_training_goes_on_to_the_same_network(tmp_path: Path, epoch: int) -> None:
    with stopping_after(epoch), pytest.raises(KeyboardInterrupt):
        learned(tmp_path / "cut")
    assert same(learned(tmp_path / "whole"), learned(tmp_path / "cut"))


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Actors who say a low tone when neutral and a high one when angry."""

    def load() -> Iterator[tuple[Clip, np.ndarray]]:
        actors = [f"ravdess-{number:02}" for number in range(1, 25)] + ["emodb-03", "emodb-12"]
        for place, actor in enumerate(actors):
            for emotion, word in ((0, "neutral"), (6, "anger")):
                clip = Clip(f"{actor}-{word}", actor, emotion, STATED.index(word))
                yield clip, tone((200, 1500)[emotion > 0], place)

    monkeypatch.setattr(ravdess_emodb, "load", load)
    monkeypatch.setattr(voice_cache, "voice_sources", lambda: ["tones"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


WORDS = ["voice", "epochs=6", "folds=2", "batch=8", "columns=40", "threads=1", "accelerator=cpu"]


def test_the_command_measures_folds_and_writes_an_encoder(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[int] = []
    real = voice_cache.train_voice

    def watched(recipe, clips, *rest):  # type: ignore[no-untyped-def]
        learned.append(len(clips.lengths))
        return real(recipe, clips, *rest)

    monkeypatch.setattr(voice_cache, "train_voice", watched)
    assert run(fit.main, WORDS) == 0
    # Of 52 clips, a fold leaves out four actors' eight; the encoder learns 17 actors'.
    assert learned == [44, 44, 34]
    card = json.loads(Path("runs/voice/voice.json").read_text())
    assert len(card["mean_recall_by_fold"]) == 2
    assert set(card["folds"]) == set(conditions(np.random.default_rng(0)))
    assert card["folds"]["as recorded"]["count"] == 16
    assert card["folds"]["as recorded"]["balanced_accuracy"] > 0.8
    assert card["folds"]["12 dB softer"]["confusion"] == card["folds"]["as recorded"]["confusion"]
    assert card["by_gender"]["women"]["count"] == card["by_gender"]["men"]["count"] == 8
    assert card["test"]["count"] == 8
    assert Path("runs/voice/voice.safetensors").is_file()
    # What was trained is not trained again.
    assert run(fit.main, WORDS) == 0
    assert len(learned) == 3


def test_the_command_goes_on_with_the_epoch_that_it_was_at(
    corpus: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = cache / "gscon-live" / "voice"
    begun: list[int] = []
    real = run_folder.TrainingFolder.read

    def watched(folder: TrainingFolder) -> State | None:
        state = real(folder)
        begun.append(state.epoch if state else 0)
        return state

    monkeypatch.setattr(run_folder.TrainingFolder, "read", watched)
    with stopping_after(4):
        assert run(fit.main, [*WORDS, "folds=1"]) == 130
    (training,) = networks.glob("*.training")
    assert (training / "state.safetensors").is_file()
    assert not Path("runs/voice").exists()
    assert run(fit.main, [*WORDS, "folds=1"]) == 0
    assert begun == [0, 4, 0]
    cut = load_file("runs/voice/voice.safetensors")
    assert {path.suffix for path in networks.iterdir()} <= {".safetensors", ".lock"}
    nets = {path.name: load_file(path) for path in networks.glob("*.safetensors")}
    shutil.rmtree(cache)
    assert run(fit.main, [*WORDS, "folds=1"]) == 0
    whole = load_file("runs/voice/voice.safetensors")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    for name, net in nets.items():
        never_cut = load_file(networks / name)
        assert all(torch.equal(never_cut[key], net[key]) for key in net)
