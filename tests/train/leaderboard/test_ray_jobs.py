"""A list of runs on a real Ray cluster of two small nodes: the runs that there are without Ray."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import yaml
from interrupting import ends_with_its_trainings
from ray.cluster_utils import Cluster
from ray_clusters import two_nodes
from toy import TOY, working_in

from gscon_live.common.cli import run
from gscon_live.train.leaderboard import __main__ as leaderboard
from gscon_live.train.leaderboard import ray_jobs
from gscon_live.train.leaderboard.board import Board
from gscon_live.train.scoring.evaluation import Spread


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head without processors, and two nodes with one each."""
    with two_nodes(OMP_NUM_THREADS="1") as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the recipe `toy.yaml`, its features, and the list `all.yaml`."""
    with working_in(tmp_path, epochs=2) as place:
        runs = ["toy.yaml name=one seeds=2", "toy.yaml name=two model=mlp"]
        Path("all.yaml").write_text(yaml.safe_dump({"runs": runs}))
        yield place


def call(*words: str) -> int:
    return run(leaderboard.main, list(words))


def weights() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("runs").rglob("model.safetensors")}


def scores_in(board: str) -> dict[str, Spread]:
    """The scores of the runs; times differ."""
    rows = msgspec.json.decode(board, type=Board).rows
    return {row.model: row.weighted_f1 for row in rows if row.origin == "run"}


def test_a_cluster_trains_the_runs_that_a_machine_alone_trains(
    cluster: Cluster, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("all.yaml", "--fit", "--ray", cluster.address, "--json") == 0
    scores = scores_in(capsys.readouterr().out)
    assert len(scores) == 2
    there = weights()
    assert len(there) == 3
    Path("runs").rename("there")
    assert call("all.yaml", "--fit", "--json") == 0
    assert scores_in(capsys.readouterr().out) == scores
    assert weights() == there


def test_what_ray_says_of_the_cluster_is_no_result(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when a node is out of memory."""
    import ray
    from ray._private.utils import push_error_to_driver

    said = ""
    with closing(ray_jobs.RayJobs(cluster.address)):
        for _ in range(400):
            push_error_to_driver(ray._private.worker.global_worker, "memory", "node 7 is full")
            time.sleep(0.05)
            captured = capsys.readouterr()
            said += captured.err
            assert captured.out == ""
            if "node 7 is full" in said:
                break
    assert "node 7 is full" in said
    print("a result")
    assert capsys.readouterr().out == "a result\n"


def test_a_node_with_other_code_is_told_in_one_line(
    cluster: Cluster, folder: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(ray_jobs, "code_version", lambda: "another")
    assert call("all.yaml", "--fit", "--ray", cluster.address) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "another version of gscon-live; install the same" in error
    assert not Path("runs").exists()


def test_trainings_on_nodes_are_stopped_with_the_command(cluster: Cluster, folder: Path) -> None:
    (folder / "toy.yaml").write_text(yaml.safe_dump({**TOY, "epochs": 10_000}))
    command = [sys.executable, "-m", "gscon_live.train.leaderboard", "all.yaml", "--fit"]
    ends_with_its_trainings([*command, "--ray", cluster.address], 120)


def test_ray_is_for_trainings_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("all.yaml", "--ray", "auto") == 2
    assert "add --fit" in capsys.readouterr().err
    assert call("all.yaml", "--fit", "--ray", "127.0.0.1:1") == 2
    assert "nobody answers there" in capsys.readouterr().err
    assert not Path("runs").exists()
