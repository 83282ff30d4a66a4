"""An archive on a real Ray cluster of small nodes on this machine."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster
from ray_clusters import two_nodes
from sessions import WAIT, cut, settings, wait_for

from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.archive import cluster
from gscon_live.realtime.archive.cluster import Hello, RayWorkers
from gscon_live.realtime.archive.entries import Entry
from gscon_live.realtime.archive.pool import Report
from gscon_live.realtime.archive.station import Recipe, Station
from gscon_live.realtime.archive.store import EVENTS, REPORT, TABLE, Archive


@pytest.fixture(scope="module")
def machines() -> Iterator[Cluster]:
    """A head without processors, and two nodes with one each; this process is connected."""
    with two_nodes() as running:
        ray.init(address=running.address, log_to_driver=False)
        yield running


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("talks")
    return [str(cut(folder / f"{n}.mkv", seconds)) for n, seconds in enumerate((9.0, 6.0, 5.0))]


def archive_at(path: Path) -> tuple[Archive, Recipe]:
    archive = Archive(path)
    archive.begin()
    return archive, Recipe(settings=settings(), captions="auto", out=str(path.resolve()))


def working(machines: Cluster) -> list[psutil.Process]:
    """The workers of this cluster that do a recording now, as Ray titles them."""
    processes = []
    for node in machines.list_all_nodes():
        for kind in node.all_processes.get("raylet", []):
            for process in psutil.Process(kind.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.cmdline()[:1] == ["ray::Place.do"]:
                        processes.append(process)
    return processes


def test_a_worker_that_stops_does_not_hold_up_the_end_and_the_object_store_is_not_used(
    machines: Cluster, talks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_LATE_AFTER", 1.0)
    archive, recipe = archive_at(tmp_path / "cluster")
    stopped: list[psutil.Process] = []
    reports: list[Report] = []
    used: list[float] = []

    def take(report: Report) -> None:
        reports.append(report)
        there, free = ray.cluster_resources(), ray.available_resources()
        used.append(there["object_store_memory"] - free["object_store_memory"])
        if not stopped:
            # As a node that is frozen, or has lost its way to the disk.
            stopped.append(wait_for(lambda: working(machines), WAIT)[0])
            stopped[0].suspend()

    RayWorkers(recipe, machines.address, None, lambda line: None).run(talks, take, lambda: False)
    assert sorted(report.path for report in reports) == talks
    assert all(isinstance(report, Entry) for report in reports)
    wait_for(lambda: not stopped[0].is_running() or stopped[0].status() == psutil.STATUS_ZOMBIE)
    assert len(list(archive.results.path.glob("[!.]*/recording.json"))) == len(talks)
    assert max(used) == 0.0


def test_a_node_that_dies_costs_the_time_of_its_recording_and_the_results_are_the_same(
    machines: Cluster, talks: list[str], tmp_path: Path
) -> None:
    archive, recipe = archive_at(tmp_path / "cluster")
    lost: list[Any] = []
    reports: list[Report] = []

    def take(report: Report) -> None:
        reports.append(report)
        if not lost:
            # Whoever works there is in the midst of a recording, or about to begin.
            lost.append(machines.list_all_nodes()[-1])
            machines.remove_node(lost[0], allow_graceful=False)

    workers = RayWorkers(recipe, machines.address, None, lambda line: None)
    workers.run(talks, take, lambda: False)
    assert lost
    assert all(isinstance(report, Entry) for report in reports)
    assert sorted(report.path for report in reports) == talks
    assert not list(archive.results.path.glob(".unfinished-*/recording.json"))
    mine, own = archive_at(tmp_path / "mine")
    station = Station(own)
    for report in reports:
        assert isinstance(report, Entry)
        here = station.do(report.path, lambda share: None)
        assert isinstance(here, Entry)
        assert (here.key, here.folder, here.summary) == (report.key, report.folder, report.summary)
        for name in (EVENTS, REPORT, TABLE):
            there = (archive.results.path / report.folder / name).read_bytes()
            assert there == (mine.results.path / here.folder / name).read_bytes()


def test_nodes_with_another_version_are_told_and_not_used(
    machines: Cluster, talks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Hello(host="here", pipeline="0.1+another", libraries={})
    monkeypatch.setattr(cluster, "hello", lambda: own)
    _, recipe = archive_at(tmp_path / "cluster")
    told: list[str] = []
    workers = RayWorkers(recipe, machines.address, 1, told.append)
    with pytest.raises(Failure, match="no node of the cluster can be used") as caught:
        workers.run(talks, lambda report: pytest.fail("nothing is done"), lambda: False)
    assert "this machine has 0.1+another; install the same" in str(caught.value)
    assert "\n" not in str(caught.value)
    # Workers that were to start on the node that was lost are told of, too.
    assert len([line for line in told if "install the same" in line]) == 1
    assert not list((tmp_path / "cluster/recordings").iterdir())


@pytest.mark.parametrize(
    ("address", "told"),
    [("127.0.0.1:1", "nobody answers there"), ("here", "expected auto or HOST:PORT")],
)
def test_a_cluster_that_is_not_there_is_refused_in_one_line(
    address: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    _, recipe = archive_at(tmp_path / "cluster")
    with pytest.raises(InputError, match=told) as caught:
        RayWorkers(recipe, address, None, lambda line: None)
    assert "\n" not in str(caught.value)
