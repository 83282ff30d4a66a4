"""How `archive --ray` scales over nodes of one processor each, all on this machine.

    make scaling RECORDINGS=24 NODES=3 SEED=7

Builds the archive of the same recordings on clusters of 1 to NODES nodes, and once more with a slow
node: its workers run a fifth of the time. All archives must have the same results, byte for byte.
Prints the seconds, the processor time, and the most that was in Ray's object store, as JSON. Nodes
that share two cores cannot be faster than two cores; on as many machines, each has its own.
"""

import argparse
import contextlib
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import ray
from archive_kills import check_whole, results
from excerpts import excerpts
from ray.cluster_utils import Cluster
from sessions import ROOT, settings

from gscon_live.realtime.archive.cluster import RayWorkers
from gscon_live.realtime.archive.entries import Entry
from gscon_live.realtime.archive.pool import Report
from gscon_live.realtime.archive.station import Recipe
from gscon_live.realtime.archive.store import EVENTS, REPORT, TABLE, Archive

#: Bytes of a node's object store: the least that Ray takes.
STORE = 80 << 20
#: The part of the time that the workers of the slow node run, and its period in seconds.
SLOW, PERIOD = 0.2, 0.5


def workers_of(node: Any) -> list[psutil.Process]:
    """The workers of a node, by the titles that Ray gives them."""
    processes = []
    for kind in node.all_processes.get("raylet", []):
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(kind.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                    if process.cmdline()[0].startswith("ray::Place"):
                        processes.append(process)
    return processes


class Watch:
    """Sums up the processor time of all workers, and slows those of a node down."""

    def __init__(self, cluster: Cluster, slow: Any) -> None:
        self._cluster, self._slow = cluster, slow
        self._seconds: dict[int, float] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def seconds(self) -> float:
        return sum(self._seconds.values())

    def look(self) -> None:
        for node in self._cluster.list_all_nodes():
            for process in workers_of(node):
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    self._seconds[process.pid] = times.user + times.system

    def _work(self) -> None:
        while not self._end.wait(PERIOD * SLOW):
            self.look()
            stopped = workers_of(self._slow) if self._slow is not None else []
            for process in stopped:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()
            self._end.wait(PERIOD * (1 - SLOW))
            for process in stopped:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


@contextlib.contextmanager
def cluster_of(nodes: int) -> Iterator[tuple[Cluster, list[Any]]]:
    """A head without processors, and nodes with one each."""
    machines = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False},
    )
    try:
        added = [machines.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(nodes)]
        ray.init(address=machines.address, log_to_driver=False)
        yield machines, added
    finally:
        ray.shutdown()
        machines.shutdown()


def measure(recordings: list[str], out: Path, nodes: int, slow: bool) -> dict[str, Any]:
    """Builds an archive on a cluster, and says how long it took."""
    archive = Archive(out)
    archive.begin()
    recipe = Recipe(settings=settings(), captions="auto", out=str(out))
    ends: list[Entry] = []
    store = 0.0

    def take(report: Report) -> None:
        nonlocal store
        assert isinstance(report, Entry), report
        ends.append(report)
        archive.add(report)
        there, free = ray.cluster_resources(), ray.available_resources()
        store = max(store, there["object_store_memory"] - free.get("object_store_memory", 0.0))

    with cluster_of(nodes) as (machines, added):
        begun = time.monotonic()
        with Watch(machines, added[-1] if slow else None) as watch:
            RayWorkers(recipe, machines.address, None, lambda line: None).run(
                recordings, take, lambda: False
            )
            elapsed = time.monotonic() - begun
    hours = sum(entry.summary.duration for entry in ends) / 3600
    check_whole(out)
    assert len(results(out)) == len(recordings)
    return {
        "nodes": nodes,
        "slow_node": slow,
        "seconds": round(elapsed, 1),
        "hours_per_hour": round(hours / elapsed * 3600, 1),
        "processor_seconds": round(watch.seconds, 1),
        "object_store_bytes": round(store),
    }


def contents(out: Path) -> dict[str, bytes]:
    """The results of all recordings, by file."""
    return {
        f"{folder.name}/{name}": (folder / name).read_bytes()
        for folder in results(out)
        for name in (EVENTS, REPORT, TABLE)
    }


def main() -> int:
    """Runs it, and prints a line of JSON for each cluster."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=24)
    parser.add_argument("--nodes", type=int, default=3, help="the largest number of nodes")
    parser.add_argument("--seed", type=int, default=0, help="0: a new one, which is printed")
    chosen = parser.parse_args()
    seed = chosen.seed or random.SystemRandom().randrange(1, 10**6)
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="gscon-scaling-") as name:
        folder = Path(name)
        for place in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "HF_HOME"):
            os.environ[place] = str(folder / "cache")
        (folder / "talks").mkdir()
        recordings = [str(p) for p in excerpts(folder / "talks", chosen.recordings, seed)]
        plans = [(nodes, False) for nodes in range(1, chosen.nodes + 1)]
        if chosen.nodes > 1:
            plans.append((chosen.nodes, True))
        expected: dict[str, bytes] | None = None
        for nodes, slow in plans:
            out = folder / f"archive-{nodes}-{slow}"
            print(msgspec.json.encode({"seed": seed, **measure(recordings, out, nodes, slow)})
                  .decode(), flush=True)  # fmt: skip
            expected = expected or contents(out)
            assert contents(out) == expected, f"{nodes} nodes gave other results"
    return 0


if __name__ == "__main__":
    sys.exit(main())
