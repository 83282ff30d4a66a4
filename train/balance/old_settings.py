"""Old settings of GDC and SSC, of recipes of version 0.1: `gdc`, `ssc`, `rows` and `tau`.

They are deprecated aliases of `plugins.gdc` and `plugins.ssc`, to be removed in the next version.
"""

import sys
from collections.abc import Mapping
from typing import Any

import yaml

from gscon_live.train.balance import PluginSettings

#: The old settings: the weights of GDC and SSC, and further settings of SSC.
WEIGHTS = ("gdc", "ssc")
OF_SSC = ("rows", "tau")
NAMES = (*WEIGHTS, *OF_SSC)


def translated(
    old_values: Mapping[str, Any], chosen: PluginSettings | None, published: PluginSettings
) -> PluginSettings | None:
    """The plug-ins for a recipe with old settings; prints on standard error how to write them.

    Args:
        old_values: the recipe's old settings; None for those that it does not have.
        chosen: the recipe's plug-ins; None for the published ones.
        published: the plug-ins that the network was published with.

    Returns:
        `chosen` where there are no old settings.
    """
    if all(old_values[name] is None for name in NAMES):
        return chosen
    # A recipe with old settings has GDC and SSC beside its plug-ins, unless it says otherwise.
    beside: PluginSettings = {name: {} for name in WEIGHTS if name in published}
    plugins = _with(old_values, published if chosen is None else {**beside, **chosen})
    old = " ".join(f"{name}={old_values[name]}" for name in NAMES if old_values[name] is not None)
    new = yaml.safe_dump(plugins, default_flow_style=True, sort_keys=False, width=1000).strip()
    print(
        f"deprecated: {old}; GDC and SSC are plug-ins, write plugins={new} instead", file=sys.stderr
    )
    return plugins


def modern(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved recipe as it is kept in a run's folder, with GDC and SSC among its plug-ins."""
    kept = {name: value for name, value in recipe.items() if name not in NAMES}
    if not any(name in recipe for name in WEIGHTS):
        return dict(recipe)
    old_values = {name: recipe.get(name) for name in NAMES}
    return {**kept, "plugins": _with(old_values, recipe.get("plugins") or {})}


def _with(old_values: Mapping[str, Any], chosen: PluginSettings) -> dict[str, dict[str, Any]]:
    """Plug-ins with the old settings merged in."""
    plugins = {name: dict(values) for name, values in chosen.items()}
    for name in WEIGHTS:
        if old_values[name]:
            plugins[name] = {**plugins.get(name, {}), "weight": float(old_values[name])}
        elif old_values[name] is not None:
            plugins.pop(name, None)
    if "ssc" in plugins:
        plugins["ssc"] |= {
            name: old_values[name] for name in OF_SSC if old_values[name] is not None
        }
    return plugins
