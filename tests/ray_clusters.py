"""Ray clusters of several nodes on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import ray
from ray.cluster_utils import Cluster

#: Bytes of each node's object store.
MEMORY = 80 << 20


@contextmanager
def two_nodes(**environment: str) -> Iterator[Cluster]:
    """A head without processors, and two nodes with one each. At the end, this process is connected
    to none.

    Args:
        environment: more environment variables of the nodes.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Otherwise Ray's workers give way to everything else, and starve on a busy machine.
        patch.setenv("RAY_worker_niceness", "0")
        for name, value in environment.items():
            patch.setenv(name, value)
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False
            },
        )  # fmt: skip
        for _ in range(2):
            cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
        yield cluster
        ray.shutdown()
        cluster.shutdown()
