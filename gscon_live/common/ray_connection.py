"""The connection to a Ray cluster that exists already."""

import contextlib
import logging
import socket
import sys
from collections.abc import Iterator
from typing import Any

from gscon_live.common import signals
from gscon_live.common.errors import InputError


def _check_reachable(address: str) -> None:
    """Refuses an address at which nobody listens; Ray itself tries for minutes.

    Raises:
        InputError: that is so, or it is no address.
    """
    if address == "auto":
        return
    name, _, port = address.removeprefix("ray://").rpartition(":")
    if not name or not port.isdecimal():
        raise InputError(f"--ray {address}: expected auto or HOST:PORT, for example 10.0.0.1:6379")
    try:
        socket.create_connection((name.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--ray {address}: nobody answers there ({error}); start a cluster with ray start "
            "--head, or leave --ray out"
        ) from error


def _connect(address: str) -> Any:
    """The library, connected to a cluster at an address, or "auto".

    Raises:
        InputError: there is no such cluster, or it runs other versions of Ray or Python.
    """
    import ray

    if not ray.is_initialized():
        _check_reachable(address)
        try:
            # Ray's own handler would end the program at once.
            with signals.restored():
                ray.init(
                    address=address,
                    log_to_driver=False,
                    configure_logging=False,
                    logging_level=logging.ERROR,
                )
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            text = " ".join(str(error).split())
            if "ersion mismatch" in text:
                raise InputError(f"--ray {address}: {text[:300]}; install the same") from error
            raise InputError(
                f"--ray {address}: no Ray cluster there ({text[:120]}); start one with ray start "
                "--head, or leave --ray out"
            ) from error
    return ray


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """The library, connected to a cluster at an address, or "auto", until the end of the block.

    What Ray says of the cluster meanwhile, for example of a node without memory, goes to standard
    error: standard output is for results.

    Raises:
        InputError: there is no such cluster, or it runs other versions of Ray or Python.
    """
    with contextlib.redirect_stdout(sys.stderr):
        ray = _connect(address)
        try:
            yield ray
        finally:
            ray.shutdown()
