"""Balancing plug-ins: what a training adds so that no modality is learned at another's cost.

Each acts in training only, on any network: it adds losses, or it scales gradients. Another one is
one file with a subclass of `Plugin` and one line in `PLUGINS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import torch

from gscon_live.common import registry
from gscon_live.common.errors import InputError
from gscon_live.model.networks.network import Network, network_class
from gscon_live.train.balance.plugin import Plugin, StepContext
from gscon_live.train.engine.gradient_scaling import Scaled, Scaling
from gscon_live.train.engine.losses import Terms

#: The project's plug-ins by name: the module and the class, imported when one is asked for. A
#: training takes its plug-ins in this order, whatever the order in its recipe.
PLUGINS: dict[str, str] = {
    "ssc": "gscon_live.train.balance.ssc.SSC",
    "gdc": "gscon_live.train.balance.gdc.GDC",
    "fagm": "gscon_live.train.balance.fagm.FAGM",
    "graph": "gscon_live.train.balance.graph.GraphDistillation",
    "hvd": "gscon_live.train.balance.hierarchical.HierarchicalDistillation",
    "margin": "gscon_live.train.balance.margin.Margin",
    "ogm_ge": "gscon_live.train.balance.strength.OGMGE",
    "ratio": "gscon_live.train.balance.strength.Ratio",
}

#: These and those that other packages add by entry point, which are taken after them.
_PLUGINS: registry.Registry[Plugin] = registry.Registry(
    "plugin", Plugin, PLUGINS, "gscon_live.plugins"
)

#: Those that networks were published with, by network.
PUBLISHED: dict[str, tuple[str, ...]] = {
    "gscon": ("gdc", "ssc"),
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


def plugin_class(name: str) -> type[Plugin]:
    """The class of a plug-in. Raises `InputError` where there is none of that name, or another
    package's cannot be used."""
    return _PLUGINS.get(name)


def check(chosen: Chosen, training: Training) -> None:
    """Refuses plug-ins that there are not, that are set wrongly, that do not go together, or that
    would do nothing.

    Raises:
        InputError: naming the plug-in and the reason.
    """
    scaling = []
    for name, values in chosen.items():
        waits = plugin_class(name).waits(_settings(name, values))
        if waits >= training.epochs:
            raise InputError(
                f"plugin {name}: it begins after {waits} epochs, and there are {training.epochs}; "
                f"give more epochs or a smaller plugins.{name}.start"
            )
        if plugin_class(name).SCALES:
            scaling.append(name)
    if training.scaled == "update" and not scaling:
        able = [name for name in PLUGINS if plugin_class(name).SCALES]
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


def published(model: str, modalities: int) -> dict[str, dict[str, Any]]:
    """The plug-ins that a network was published with, at their defaults; none where there is one
    modality."""
    return {name: {} for name in PUBLISHED.get(model, ())} if modalities > 1 else {}


def settled(chosen: Chosen) -> dict[str, dict[str, Any]]:
    """The same with every setting that was left out, in the order in which they are taken. Raises
    `InputError` as `check` does."""
    values = {name: _settings(name, given) for name, given in chosen.items()}
    return {name: msgspec.to_builtins(values[name]) for name in _PLUGINS.names() if name in values}


def needs_projector(model: str, chosen: Chosen) -> bool:
    """Whether plug-ins act on a shared encoder, and the network has none of its own: then one is
    put beside it."""
    needed = any(plugin_class(name).NEEDS_SHARED for name in chosen)
    return needed and not network_class(model).SHARES


def plugins(chosen: Chosen, network: Network) -> list[Plugin]:
    """The plug-ins of a training, new."""
    return [plugin_class(name)(network, _settings(name, values)) for name, values in chosen.items()]


def objective(
    context: StepContext, plugins: Sequence[Plugin], random: torch.Generator, measure: bool
) -> Terms:
    """The network's own losses and those of plug-ins, as a part's share of the step.

    Args:
        context: the part.
        plugins: of the training.
        random: what they draw from, on the CPU.
        measure: also give the cosines between the modalities' gradients on the shared encoder
            where no plug-in reads these gradients.
    """
    terms = Terms.of(context.losses)
    for plugin in plugins:
        terms = terms.plus(plugin.losses(context, random))
    if measure or any(plugin.READS_GRADIENTS for plugin in plugins):
        terms = replace(terms, cosines=context.cosines())
    return terms


def scaling(plugins: Sequence[Plugin], step: Sequence[StepContext], epoch: int) -> Scaling:
    """What one of the plug-ins scales a step's gradients by, all of whose parts are given; nothing
    where none does."""
    scalings = (plugin.scaling(step, epoch) for plugin in plugins if plugin.SCALES)
    return next((scaling for scaling in scalings if scaling is not None), Scaling([]))


def _settings(name: str, values: Mapping[str, Any]) -> msgspec.Struct:
    return registry.settings(f"plugin {name!r}", values, plugin_class(name).SETTINGS, "settings")
