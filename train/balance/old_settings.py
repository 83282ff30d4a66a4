"""GDC and SSC as recipes of version 0.1 set them: `gdc`, `ssc`, `rows` and `tau` beside `plugins`.

They are read for one version more, and become `plugins.gdc` and `plugins.ssc`.
"""

import sys
from collections.abc import Mapping
from typing import Any

import yaml

from gscon_live.train.balance import Chosen

#: The old settings: the weights of GDC and SSC, and what belongs to SSC.
WEIGHTS = ("gdc", "ssc")
OF_SSC = ("rows", "tau")
NAMES = (*WEIGHTS, *OF_SSC)


def translated(given: Mapping[str, Any], chosen: Chosen | None, published: Chosen) -> Chosen | None:
    """The plug-ins that a recipe means by old settings; says on standard error how to write them.

    Args:
        given: the recipe's old settings; None for what it does not say.
        chosen: the recipe's plug-ins; None for what the network was published with.
        published: what the network was published with.

    Returns:
        `chosen` where there are no old settings.
    """
    if all(given[name] is None for name in NAMES):
        return chosen
    # A recipe with old settings has GDC and SSC beside its plug-ins, unless it says otherwise.
    beside: Chosen = {name: {} for name in WEIGHTS if name in published}
    plugins = _with(given, published if chosen is None else {**beside, **chosen})
    old = " ".join(f"{name}={given[name]}" for name in NAMES if given[name] is not None)
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
    given = {name: recipe.get(name) for name in NAMES}
    return {**kept, "plugins": _with(given, recipe.get("plugins") or {})}


def _with(given: Mapping[str, Any], chosen: Chosen) -> dict[str, dict[str, Any]]:
    """Plug-ins with old settings in them."""
    plugins = {name: dict(values) for name, values in chosen.items()}
    for name in WEIGHTS:
        if given[name]:
            plugins[name] = {**plugins.get(name, {}), "weight": float(given[name])}
        elif given[name] is not None:
            plugins.pop(name, None)
    if "ssc" in plugins:
        plugins["ssc"] |= {name: given[name] for name in OF_SSC if given[name] is not None}
    return plugins
