"""The registry of balancing plug-ins, against modality imbalance.

A plug-in acts in training only, on any network: it adds losses or scales gradients. A new one is
one file with a subclass of `Plugin`, and one line in `PLUGINS`.
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

#: The project's plug-ins by name: module and class, imported on use. A training applies its
#: plug-ins in this order, whatever the order in its recipe.
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

#: The project's plug-ins, and after them those of other packages.
_PLUGINS: registry.Registry[Plugin] = registry.Registry(
    "plugin", Plugin, PLUGINS, "gscon_live.plugins"
)

#: The plug-ins that networks were published with, by network.
PUBLISHED: dict[str, tuple[str, ...]] = {
    "gscon": ("gdc", "ssc"),
    "ada2i": ("ratio",),
    "cmath": ("hvd",),
    "dmd": ("graph", "margin"),
}

#: Settings by plug-in and key, as in a recipe.
PluginSettings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class TrainingSetup:
    """The properties of a training that restrict its plug-ins: the `network`, the numbers of
    `modalities`, `devices` and `epochs`, and what is `scaled`."""

    network: str
    modalities: int
    devices: int
    epochs: int
    scaled: Scaled


def plugin_class(name: str) -> type[Plugin]:
    """The class of a plug-in. Raises `InputError` for an unknown name, or where the plug-in of
    another package cannot be used."""
    return _PLUGINS.get(name)


def check(chosen: PluginSettings, training: TrainingSetup) -> None:
    """Checks the plug-ins of a training.

    Raises:
        InputError: a plug-in is unknown, has wrong settings, would have no effect, or does not work
            together with another one or with the training.
    """
    scaling = []
    for name, values in chosen.items():
        start = plugin_class(name).start_epoch(_settings(name, values))
        if start >= training.epochs:
            raise InputError(
                f"plugin {name}: it begins after {start} epochs, and there are {training.epochs}; "
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
    if chosen and network_class(training.network).READS_EXPERTS:
        raise InputError(
            f"plugins {', '.join(chosen)}: network {training.network!r} has no hidden vectors that "
            "they could balance; give plugins={}"
        )
    if chosen and training.modalities < 2:
        raise InputError(
            f"plugins {', '.join(chosen)}: they balance modalities, and there is one; give "
            "plugins={}"
        )
    if scaling and training.devices > 1:
        raise InputError(
            f"plugins {scaling[0]}: gradient scaling needs the whole step, and several devices "
            "split it; give devices=1"
        )


def published(model: str, modalities: int) -> dict[str, dict[str, Any]]:
    """The plug-ins that a network was published with, with default settings; none for a single
    modality."""
    return {name: {} for name in PUBLISHED.get(model, ())} if modalities > 1 else {}


def with_defaults(chosen: PluginSettings) -> dict[str, dict[str, Any]]:
    """The plug-ins with all their settings, defaults filled in, in the order in which they are
    applied. Raises `InputError` as `check` does."""
    values = {name: _settings(name, settings) for name, settings in chosen.items()}
    return {name: msgspec.to_builtins(values[name]) for name in _PLUGINS.names() if name in values}


def needs_projector(model: str, chosen: PluginSettings) -> bool:
    """Whether a plug-in needs a shared encoder and the network has none, so that one is added."""
    needed = any(plugin_class(name).NEEDS_SHARED for name in chosen)
    return needed and not network_class(model).SHARES


def plugins(chosen: PluginSettings, network: Network) -> list[Plugin]:
    """Creates the plug-ins of a training."""
    return [plugin_class(name)(network, _settings(name, values)) for name, values in chosen.items()]


def objective(
    context: StepContext, plugins: Sequence[Plugin], random: torch.Generator, measure: bool
) -> Terms:
    """The losses of the network and of plug-ins for a part, as its share of the step.

    Args:
        context: the part.
        plugins: the plug-ins of the training.
        random: the generator of the plug-ins, on the CPU.
        measure: also compute the cosines between the modalities' gradients on the shared encoder.
            They are always computed where a plug-in reads these gradients.
    """
    terms = Terms.of(context.losses)
    for plugin in plugins:
        terms = terms.plus(plugin.losses(context, random))
    if measure or any(plugin.READS_GRADIENTS for plugin in plugins):
        terms = replace(terms, cosines=context.cosines())
    return terms


def scaling(plugins: Sequence[Plugin], step: Sequence[StepContext], epoch: int) -> Scaling:
    """The scaling of a step's gradients, by the plug-in that scales; empty where none does.

    Args:
        plugins: the plug-ins of the training.
        step: all parts of the step.
        epoch: the number of the epoch, from 0.
    """
    scalings = (plugin.scaling(step, epoch) for plugin in plugins if plugin.SCALES)
    return next((scaling for scaling in scalings if scaling is not None), Scaling([]))


def _settings(name: str, values: Mapping[str, Any]) -> msgspec.Struct:
    return registry.settings(f"plugin {name!r}", values, plugin_class(name).SETTINGS, "settings")
