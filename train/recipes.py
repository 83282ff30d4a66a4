"""Training recipes of all kinds, by name or path."""

from collections.abc import Sequence
from pathlib import Path

import configs
from configs.errors import InputError
from train import encoders, fusion
from train.conversation import ConversationRecipe, resolved
from train.face import FaceRecipe
from train.fusion import FusionRecipe
from train.speaker import SpeakerRecipe
from train.text import TextRecipe
from train.voice import VoiceRecipe

Recipe = ConversationRecipe | FaceRecipe | FusionRecipe | SpeakerRecipe | TextRecipe | VoiceRecipe

_KINDS: dict[str, type[Recipe]] = {
    "conversation": ConversationRecipe,
    "face": FaceRecipe,
    "fusion": FusionRecipe,
    "speaker": SpeakerRecipe,
    "text": TextRecipe,
    "voice": VoiceRecipe,
}


def recipe(name_or_path: str, overrides: Sequence[str]) -> Recipe:
    """Reads a training recipe. Raises `InputError` naming what is wrong in it."""
    path = configs.find(name_or_path, "train")
    tree = configs.read(path)
    kind = _KINDS.get(str(tree.get("kind")))
    if kind is None:
        raise InputError(
            f"recipe {path}: kind {tree.get('kind')!r}, expected one of {', '.join(_KINDS)}"
        )
    made = configs.build(tree, kind, overrides, str(path))
    if isinstance(made, ConversationRecipe):
        made = resolved(made)
    if isinstance(made, FusionRecipe):
        made = fusion.resolved(made)
    if isinstance(made, TextRecipe):
        encoders.check(made)
    if not made.name or Path(made.name).name != made.name:
        raise InputError(f"recipe {path}: name {made.name!r} is no folder name; give a plain name")
    return made


def seeds(made: ConversationRecipe | TextRecipe) -> range:
    """The seeds that a recipe asks trainings for."""
    return range(made.first_seed, made.first_seed + made.seeds)
