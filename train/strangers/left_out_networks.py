"""Networks that never heard a corpus: by the recipe of a live model, without the corpus' voices."""

import hashlib
from pathlib import Path

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model import checkpoint
from gscon_live.model.checkpoint import Card, Checkpoint
from gscon_live.train.data import cache
from gscon_live.train.networks import composed_task
from gscon_live.train.networks.composed_task import ComposedMaterial, FusionRecipe
from gscon_live.train.networks.composed_trainable import card_of
from gscon_live.train.progress import Report

#: Version of the cached networks.
_VERSION = 1


def recipe_of(card: Card) -> FusionRecipe:
    """The recipe of a live model. Raises `InputError` where its card has none that can be trained
    again."""
    try:
        return msgspec.convert(card.recipe, FusionRecipe)
    except msgspec.ValidationError as error:
        raise InputError(
            f"checkpoint {card.name!r}: its card has no recipe that can be trained again "
            f"({error}); train one with `gscon-live fit live`"
        ) from error


def network_without(recipe: FusionRecipe, corpus: str, report: Report) -> Checkpoint:
    """The network of a recipe, seed 1, without the voices of a corpus, trained or from the cache.
    Where the recipe does not have them, it is the network of the recipe."""
    voices = tuple(name for name in recipe.voices if name != corpus)
    changed = msgspec.structs.replace(recipe, voices=voices, seeds=1, ship=False)
    material = composed_task.material(changed, report)
    path = _path(changed, material)
    if not path.is_file():
        result = composed_task.fit(changed, material, 1, report)
        checkpoint.save(path, result.model, card_of(result, [result], changed, material))
    with cache.reading(path):
        return checkpoint.load(path)


def _path(recipe: FusionRecipe, material: ComposedMaterial) -> Path:
    named = msgspec.structs.replace(recipe, name="without")
    parts = [str(_VERSION), msgspec.json.encode(named).decode(), *material.encoders.values()]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache.folder("networks") / f"{key}.safetensors"
