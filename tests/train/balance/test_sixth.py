"""What the documentation says of another network and plug-in: one file and one line each."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from as_told import ROOT, shown
from made_corpus import corpus

from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.trainer import train
from gscon_live.train.networks.recipe import ConversationRecipe, plan, resolved
from gscon_live.train.networks.task import ConversationTask

HERE = Path(__file__).parent


def test_the_documented_network_and_plugin_are_trained_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in shown(tmp_path):
        # So that it is taken out again.
        monkeypatch.setitem(sys.modules, one.module, None)  # type: ignore[arg-type]
        one.loaded()
        monkeypatch.setitem(one.table, one.name, one.where)
    asked = ConversationRecipe(model="sum", plugins={"agree": {}}, epochs=4, batch=4, width=8,
                               heads=2, learning_rate=0.02)  # fmt: skip
    made = resolved(asked)
    history = train(
        ConversationTask(made, corpus(), 1, launch_fabric("cpu")),
        plan(made, 1),
        launch_fabric("cpu"),
    ).history
    assert history[-1]["loss_final"] < history[0]["loss_final"]
    assert 0 < history[-1]["loss_agree"] < 1


def test_the_tests_of_networks_and_plugins_hold_the_documented_ones_to_the_contract(
    tmp_path: Path,
) -> None:
    """They pass without a change, where the two are registered from the start."""
    early = [
        "from pathlib import Path",
        "from as_told import register",
        f"register(Path({str(tmp_path)!r}))",
    ]
    (tmp_path / "registered.py").write_text("\n".join(early))
    networks = ROOT / "tests/model/networks/test_networks.py"
    path = os.pathsep.join((str(tmp_path), str(HERE.parent)))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "registered", "-p", "no:cacheprovider",
         networks, HERE / "test_plugins.py", "-k", "sum or agree"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 40
