"""Encoders for those that they have not learned from.

An encoder says too much of what it was trained on, and a network that reads it there would rely on
it. So of training actors and dialogues the fusion reads what encoders say that were trained without
them (Wolpert 1992, Stacked Generalization).
"""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import torch
from filelock import FileLock
from safetensors.torch import save_file

import configs
from configs.files import replacing
from model.audio import AudioEncoder
from model.labels import EMOTIONS
from model.voice import load
from train import cache
from train.corpora import voices
from train.descent import threads
from train.features import Report, voice_sources
from train.voice import VoiceRecipe, trained
from train.voice_material import Material, material

#: Changes when the same recipe would give other encoders.
_VERSION = 1
#: In so many parts are the training actors left out.
PARTS = 4


def recipe(name_or_path: str) -> VoiceRecipe:
    """The recipe of a voice encoder. Raises `InputError` naming what is wrong in it."""
    path = configs.find(name_or_path, "train")
    return configs.build(configs.read(path), VoiceRecipe, [], str(path))


def audio_encoders(made: VoiceRecipe, report: Report) -> dict[str, AudioEncoder]:
    """For each training actor an audio encoder whose network has not heard that actor, trained or
    from the user's cache. Raises `InputError` where the voices are not there."""
    found: dict[str, AudioEncoder] = {}
    read: Material | None = None
    alike = msgspec.json.encode(msgspec.structs.replace(made, ship=False, folds=1)).decode()
    sources = voice_sources()
    for number, left_out in enumerate(parts()):
        key = hashlib.sha256("\n".join([str(_VERSION), alike, *sources, *left_out]).encode())
        name = f"voice-without-{number + 1}-{key.hexdigest()[:12]}.safetensors"
        path = cache.folder("voice") / name
        # Of several trainings that need the same encoder, the first makes it.
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                read = read or material(report)
                line = f"voice encoder without part {number + 1} of {PARTS} of the training actors"
                _train(made, read, left_out, line, report, path)
        with cache.reading(path):
            encoder = AudioEncoder(load(path))
        found |= dict.fromkeys(left_out, encoder)
    return found


def parts() -> list[tuple[str, ...]]:
    """The training actors in `PARTS` parts, of each corpus about as many; pairs of a man and a
    woman of RAVDESS are together."""
    ravdess = [f"ravdess-{number:02}" for number in range(1, 25)]
    emodb = [f"emodb-{number:02}" for number in (3, 8, 9, 10, 11, 12, 13, 14, 15, 16)]
    made: list[tuple[str, ...]] = [()] * PARTS
    for actors in (ravdess, emodb):
        training = np.array([one for one in actors if voices.split_of(one) == "train"])
        chunks = np.array_split(training, PARTS)
        made = [(*part, *map(str, more)) for part, more in zip(made, chunks, strict=True)]
    return made


def _train(
    made: VoiceRecipe,
    read: Material,
    left_out: tuple[str, ...],
    line: str,
    report: Report,
    path: Path,
) -> None:
    mine = torch.tensor(
        [
            voices.split_of(clip.actor) == "train" and clip.actor not in left_out
            for clip in read.clips
        ]
    )
    emotions = torch.tensor([clip.emotion for clip in read.clips])[mine]
    with threads(made.threads):
        net = trained(made, read.heard.take(mine), emotions, len(EMOTIONS), line, report)
    with replacing(path) as unfinished:
        save_file({name: one.contiguous() for name, one in net.state_dict().items()}, unfinished)
