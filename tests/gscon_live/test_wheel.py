"""The wheel: all of the project under one name, and it works outside the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("configs", "model", "realtime", "train")


def tracked(*folders: str) -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [path for path in done.stdout.splitlines() if (ROOT / path).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what is under version control."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in tracked():
        target = folder / "source" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", folder, folder / "source"],
        check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def test_it_takes_one_name_and_holds_every_file(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"gscon_live"}
    wanted = {*tracked("gscon_live"), *(f"gscon_live/{path}" for path in tracked(*ROOMS))}
    assert wanted == {name for name in names if ".dist-info/" not in name}


def test_it_replays_the_sample_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    sample = site / "gscon_live/realtime/sample/conversation.mkv"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = "import gscon_live.realtime.replay as replay; print(replay.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert Path(done.stdout.strip()).is_relative_to(site)
    command = [sys.executable, "-m", "gscon_live", "replay", sample, "--report", "out.html"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.html").stat().st_size > 10_000
