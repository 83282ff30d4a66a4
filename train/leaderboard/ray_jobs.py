"""Trainings of a list on a Ray cluster. Only commands and error lines pass through Ray.

A job is the same command as without Ray, in the same folder, which all nodes share. One whose node
dies is started again on another, and goes on at the last finished epoch.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gscon_live.common.code_version import code_in, hash_of_code
from gscon_live.common.errors import Failure
from gscon_live.common.ray_connection import connected
from gscon_live.configs import loader
from gscon_live.model import labels
from gscon_live.train.leaderboard.run_list import Job

#: Times that a job is started again where its node dies.
_RETRIES = 3
#: Seconds between two looks at a training.
_LOOK_EVERY = 0.2
#: Seconds in which a node ends a training that was stopped.
_STOPPING = 20.0
#: Bytes of standard error that are kept.
_KEPT = 4000
#: The environment that a job takes along: corpora, models, caches, threads.
_TAKEN = ("GSCON_DATA", "GSCON_MODELS", "XDG_CACHE_HOME", "OMP_NUM_THREADS")


def code_version() -> str:
    """A hash of the code and the recipes of this installation."""
    folders = (
        Path(labels.__file__).parent,
        Path(loader.__file__).parent,
        Path(__file__).parents[1],
    )
    return hash_of_code(path for folder in folders for path in code_in(folder, ".py", ".yaml"))


def run_here(
    module: str, arguments: list[str], folder: str, version: str, environment: dict[str, str]
) -> tuple[int, bytes]:
    """Runs a job on a node; gives its exit code and the end of its standard error.

    Args:
        module: the module of the command.
        arguments: its arguments.
        folder: where it runs.
        version: the `code_version` that is asked for.
        environment: variables that it gets besides those of the node.
    """
    host = os.uname().nodename if hasattr(os, "uname") else "a node"
    if code_version() != version:
        return 1, f"error: {host} has another version of gscon-live; install the same".encode()
    if not os.path.isdir(folder):
        return 1, f"error: {host} does not see {folder}; share it among all nodes".encode()
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        try:
            # Short waits, in which Ray can interrupt.
            while process.poll() is None:
                try:
                    process.wait(_LOOK_EVERY)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.terminate()
            process.wait()
        stderr.seek(0)
        return process.returncode, stderr.read()[-_KEPT:]


class RayJobs:
    """Starts jobs on an existing cluster.

    Args:
        address: the cluster's address, or "auto".

    Raises:
        InputError: there is no such cluster, or it runs other versions of Ray or Python.
    """

    def __init__(self, address: str) -> None:
        self._stack = contextlib.ExitStack()
        self._ray = self._stack.enter_context(connected(address))
        self._run = self._ray.remote(num_cpus=1, max_retries=_RETRIES, max_calls=1)(run_here)
        self._version = code_version()

    @property
    def processors(self) -> int:
        """Jobs that the cluster can do at a time."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def start(self, job: Job) -> "RayJob":
        """Starts a job on some node; it waits there until a processor is free."""
        environment = {name: os.environ[name] for name in _TAKEN if name in os.environ}
        reference = self._run.remote(
            job.module, list(job.arguments), os.getcwd(), self._version, environment
        )
        return RayJob(self._ray, reference, job)

    def close(self) -> None:
        """Leaves the cluster."""
        self._stack.close()


class RayJob:
    """A job on a cluster; see `run_list.Started`."""

    def __init__(self, ray: Any, reference: Any, job: Job) -> None:
        self._ray, self._reference, self._job = ray, reference, job

    def ended(self) -> tuple[int, bytes] | None:
        """See `run_list.Started`."""
        ready, _ = self._ray.wait([self._reference], timeout=0)
        if not ready:
            return None
        try:
            end: tuple[int, bytes] = self._ray.get(self._reference)
            return end
        except self._ray.exceptions.RayError as error:
            text = " ".join(str(error).split())
            if "ModuleNotFoundError" in text:
                text = "gscon-live is not installed on a node; install it on all"
            raise Failure(f"{self._job.result}: {text[-300:]}; start the command again") from error

    def stop(self) -> None:
        """See `run_list.Started`."""
        self._ray.cancel(self._reference)

    def finish(self) -> None:
        """See `run_list.Started`."""
        self._ray.wait([self._reference], timeout=_STOPPING)
