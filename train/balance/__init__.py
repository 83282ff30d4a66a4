"""Balancing plug-ins: what a training adds so that no modality is learned at another's cost.

Each acts in training only, on any network: it adds losses, or it scales gradients. Another one is
one file with a subclass of `Plugin` and one line in `PLUGINS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from gscon_live.common import registry
from gscon_live.common.errors import InputError
from gscon_live.model.networks.network import Network, network_class
from gscon_live.train.balance.plugin import Plugin, Seen
from gscon_live.train.engine.gradient_scaling import Scaled, Scaling

#: The plug-ins by name: the module and the class, imported when one is asked for.
PLUGINS: dict[str, str] = {
    "fagm": "gscon_live.train.balance.fagm.FAGM",
    "graph": "gscon_live.train.balance.graph.GraphDistillation",
    "hvd": "gscon_live.train.balance.hierarchical.HierarchicalDistillation",
    "margin": "gscon_live.train.balance.margin.Margin",
    "ogm_ge": "gscon_live.train.balance.strength.OGMGE",
    "ratio": "gscon_live.train.balance.strength.Ratio",
}

#: Those that networks were published with, by network; GSCon's losses are the objective's own.
PUBLISHED: dict[str, tuple[str, ...]] = {
    "ada2i": ("ratio",),
    "cmath": ("hvd",),
    "dmd": ("graph", "margin"),
}

#: What plug-ins are set to, by plug-in and key, as it stands in a recipe.
Chosen = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Training:
    """What plug-ins have to go together with: how many `modalities` are trained, on how many
    `devices`, for how many `epochs`, and what is `scaled`."""

    modalities: int
    devices: int
    epochs: int
    scaled: Scaled


def check(chosen: Chosen, training: Training) -> None:
    """Refuses plug-ins that there are not, that are set wrongly, that do not go together, or that
    would do nothing.

    Raises:
        InputError: naming the plug-in and the reason.
    """
    scaling = []
    for name, values in chosen.items():
        waits = _class(name).waits(_settings(name, values))
        if waits >= training.epochs:
            raise InputError(
                f"plugin {name}: it begins after {waits} epochs, and there are {training.epochs}; "
                f"give more epochs or a smaller plugins.{name}.start"
            )
        if _class(name).SCALES:
            scaling.append(name)
    if training.scaled == "update" and not scaling:
        able = [name for name in PLUGINS if _class(name).SCALES]
        raise InputError(
            "scaled=update: no plug-in scales anything; give one that does "
            f"({', '.join(able)}), or scaled=gradient"
        )
    if len(scaling) > 1:
        raise InputError(
            f"plugins {' and '.join(scaling)}: each weakens the gradients of strong modalities, "
            "and together they would do so twice; take one"
        )
    if chosen and training.modalities < 2:
        raise InputError(
            f"plugins {', '.join(chosen)}: they balance modalities, and there is one; give "
            "plugins={}"
        )
    if scaling and training.devices > 1:
        raise InputError(
            f"plugins {scaling[0]}: gradients are scaled by what a whole step shows, which no one "
            "of several devices sees; give devices=1"
        )


class Balance(NamedTuple):
    """What balances a training: the weights of the consistency losses, and plug-ins with their
    settings."""

    gdc: float
    ssc: float
    plugins: dict[str, dict[str, Any]]


def balanced(
    model: str, training: Training, gdc: float | None, ssc: float | None, chosen: Chosen | None
) -> Balance:
    """What balances a network, where None stands for what it was published with: GDC and SSC with
    GSCon, and `PUBLISHED` with others; nothing where there is one modality.

    Raises:
        InputError: as `check` does.
    """
    several = training.modalities > 1
    consistent = model == "gscon" and several
    if chosen is None:
        chosen = {name: {} for name in PUBLISHED.get(model, ())} if several else {}
    check(chosen, training)
    return Balance(
        (0.5 if consistent else 0.0) if gdc is None else gdc,
        (1.0 if consistent else 0.0) if ssc is None else ssc,
        settled(chosen),
    )


def projector(model: str, gdc: float | None, ssc: float | None) -> bool:
    """Whether a network needs a shared encoder beside it, for the consistency losses."""
    return bool(gdc or ssc) and not network_class(model).SHARES


def settled(chosen: Chosen) -> dict[str, dict[str, Any]]:
    """The same with every setting that was left out. Raises `InputError` as `check` does."""
    return {name: msgspec.to_builtins(_settings(name, values)) for name, values in chosen.items()}


def plugins(chosen: Chosen, network: Network) -> list[Plugin]:
    """The plug-ins of a training, new."""
    return [_class(name)(network, _settings(name, values)) for name, values in chosen.items()]


def scaling(found: Sequence[Plugin], step: Sequence[Seen], epoch: int) -> Scaling:
    """What one of the plug-ins scales a step's gradients by, all of whose parts are given; nothing
    where none does."""
    made = [plugin.scaling(step, epoch) for plugin in found]
    return next((one for one in made if one is not None), Scaling([]))


def _class(name: str) -> type[Plugin]:
    found: type[Plugin] = registry.member("plugin", name, PLUGINS)
    return found


def _settings(name: str, values: Mapping[str, Any]) -> msgspec.Struct:
    return registry.settings(f"plugin {name!r}", values, _class(name).SETTINGS, "settings")
