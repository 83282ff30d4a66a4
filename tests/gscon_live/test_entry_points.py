"""Another package adds a network, a plug-in and a sink by entry point; they are used by name."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from as_told import shown
from made_events import conversation
from toy import working_in

from gscon_live.common import registry
from gscon_live.common.errors import InputError
from gscon_live.model.networks.network import network_class
from gscon_live.realtime.events import sinks
from gscon_live.train.balance import plugin_class

PACKAGE = Path(__file__).parents[1] / "assets" / "third_party"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the package was installed; its network and its plug-in are those that
    the documentation shows."""
    folder = tmp_path_factory.mktemp("third-party")
    shutil.copytree(PACKAGE, folder / "source")
    for example, module in zip(shown(folder), ("network.py", "plugin.py"), strict=True):
        shutil.copyfile(example.path, folder / "source" / "third_party" / module)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--target", folder / "site", folder / "source"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "site"


@pytest.fixture
def beside(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package can be imported."""
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv("PYTHONPATH", str(installed))
    return installed


def test_a_network_and_a_plugin_are_trained_by_their_names(beside: Path, tmp_path: Path) -> None:
    with working_in(tmp_path, model="sum", plugins={"agree": {}}, epochs=2):
        words = [sys.executable, "-m", "gscon_live", "fit", "toy.yaml", "name=other"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        card = json.loads(Path("runs/other/seed-1/model.json").read_text())
        assert card["architecture"]["network"] == "sum"
        history = Path("runs/other/seed-1/history.jsonl").read_text().splitlines()
        assert all("loss_agree" in json.loads(line) for line in history)
        words = [sys.executable, "-m", "gscon_live", "evaluate", "runs/other/seed-1", "--json"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_sink_is_used_by_its_name(beside: Path, tmp_path: Path) -> None:
    assert "counts" in sinks.names()
    stream = io.StringIO()
    sink = sinks.of_name("counts")(stream)
    for event in conversation():
        sink.write(event)
    sink.close()
    assert "joy" in stream.getvalue()
    command = [sys.executable, "-m", "gscon_live", "subscribe", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "counts" in done.stdout


@pytest.mark.parametrize(
    ("name", "look_up", "words"),
    [
        ("not_there", network_class, "third_party.nowhere:Nothing): cannot be imported"),
        ("not_a_network", network_class, "is no network"),
        ("not_a_plugin", plugin_class, "is no plugin"),
        ("not_a_sink", sinks.of_name, "is no sink"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    beside: Path, name: str, look_up: object, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        look_up(name)  # type: ignore[operator]
    message = str(caught.value)
    assert words in message
    assert "third-party" in message
    assert "\n" not in message


def test_a_command_refuses_it_with_exit_code_2(beside: Path, tmp_path: Path) -> None:
    with working_in(tmp_path):
        for change in ("model=not_there", "model=not_a_network", "plugins={not_a_plugin: {}}"):
            words = [sys.executable, "-m", "gscon_live", "fit", "toy.yaml", change]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert done.returncode == 2, done.stderr
            assert done.stderr.startswith("error: ")
            assert done.stderr.count("\n") == 1
            assert not Path("runs").exists()


def test_two_packages_with_one_name_are_refused(
    beside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = tmp_path / "twin-1.0.dist-info"
    twin.mkdir()
    (twin / "METADATA").write_text("Metadata-Version: 2.1\nName: twin\nVersion: 1.0\n")
    (twin / "entry_points.txt").write_text(
        "[gscon_live.networks]\nsum = twin:Sum\ngscon = twin:Sum\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, givers in (("sum", ("third-party", "twin")), ("gscon", ("gscon-live", "twin"))):
        with pytest.raises(InputError) as caught:
            network_class(name)
        for giver in givers:
            assert giver in str(caught.value)


def test_an_unknown_name_lists_all_that_there_are(beside: Path) -> None:
    with pytest.raises(InputError, match=r"gscon, ada2i.*sum"):
        network_class("nowhere")


class Base:
    """A kind of things."""


class Right(Base):
    """One of the kind."""


def test_a_table_of_the_project_is_checked_too() -> None:
    table = {"right": f"{__name__}.Right", "wrong": f"{__name__}.Path"}
    kinds: registry.Registry[Base] = registry.Registry("thing", Base, table)
    assert kinds.names() == ["right", "wrong"]
    assert kinds.get("right").__name__ == "Right"
    with pytest.raises(InputError, match=r"thing 'wrong': is no thing.*Base"):
        kinds.get("wrong")
    with pytest.raises(InputError, match="give one of right, wrong"):
        kinds.get("missing")
