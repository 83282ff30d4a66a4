"""The network and the plug-in that the documentation shows, registered as it says."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from gscon_live.model.networks.network import NETWORKS
from gscon_live.train.balance import PLUGINS

ROOT = Path(__file__).parents[2]
PAGES = "".join(
    (ROOT / "docs" / "extend" / name).read_text(encoding="utf-8")
    for name in ("network.md", "plugin.md")
)


class Shown(NamedTuple):
    """The line of a table (a name, and the module and class), and a file with the class."""

    table: dict[str, str]
    name: str
    where: str
    path: Path

    @property
    def module(self) -> str:
        return self.where.rpartition(".")[0]

    def loaded(self) -> ModuleType:
        """The file, as the module that it would be in the documentation's place."""
        spec = importlib.util.spec_from_file_location(self.module, self.path)
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        sys.modules[self.module] = made
        spec.loader.exec_module(made)
        return made


def shown(folder: Path) -> list[Shown]:
    """Both, their files written into a folder."""
    blocks = re.findall(r"```python\n(.*?)```", PAGES, re.DOTALL)
    lines = re.findall(r'`"(\w+)": "([\w.]+)",`', PAGES)
    found = []
    for (name, where), table in zip(lines, (NETWORKS, PLUGINS), strict=True):
        (source,) = [one for one in blocks if f"class {where.rpartition('.')[2]}(" in one]
        path = folder / f"{name}.py"
        path.write_text(source)
        found.append(Shown(table, name, where, path))
    return found


def register(folder: Path) -> None:
    """Registers both for good."""
    for one in shown(folder):
        one.loaded()
        one.table[one.name] = one.where
