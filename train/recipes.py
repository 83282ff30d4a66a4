"""Training recipes of all kinds, by name or path."""

from collections.abc import Sequence
from pathlib import Path

from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.train.encoders.face import FaceRecipe
from gscon_live.train.encoders.speaker import SpeakerRecipe
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.encoders.text.training import TextRecipe
from gscon_live.train.encoders.voice.training import VoiceRecipe
from gscon_live.train.networks import composed_task
from gscon_live.train.networks.composed_task import FusionRecipe
from gscon_live.train.networks.recipe import ConversationRecipe, resolved

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
    path = loader.find(name_or_path, "train")
    tree = loader.read(path)
    kind = _KINDS.get(str(tree.get("kind")))
    if kind is None:
        raise InputError(
            f"recipe {path}: kind {tree.get('kind')!r}, expected one of {', '.join(_KINDS)}"
        )
    made = loader.build(tree, kind, overrides, str(path))
    if isinstance(made, ConversationRecipe):
        made = resolved(made)
    if isinstance(made, FusionRecipe):
        made = composed_task.resolved(made)
    if isinstance(made, TextRecipe):
        text_cache.check(made)
    if not made.name or Path(made.name).name != made.name:
        raise InputError(f"recipe {path}: name {made.name!r} is no folder name; give a plain name")
    return made


def seeds(made: ConversationRecipe | TextRecipe) -> range:
    """The seeds that a recipe asks trainings for."""
    return range(made.first_seed, made.first_seed + made.seeds)
