"""A running outlet beside a publisher, as a user starts it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateways import Station
from sessions import start

#: LSL looks for streams on this machine alone, so that no test hears another's on the network.
_LOOPBACK = """
[ports]
IPv6 = disable
[multicast]
ResolveScope = machine
MachineAddresses = {127.0.0.1}
[lab]
KnownPeers = {127.0.0.1}
SessionID = %s
"""


def lsl_of_this_machine(folder: Path) -> dict[str, str]:
    """The environment in which LSL stays on this machine, and within this test."""
    path = folder / "lsl_api.cfg"
    path.write_text(_LOOPBACK % f"test-{os.getpid()}-{folder.name}")
    return {"LSLAPICFG": str(path)}


@contextmanager
def running(
    folder: Path, session: str, *words: object, environment: dict[str, str] | None = None
) -> Iterator[tuple[Station, "subprocess.Popen[str]"]]:
    """A publisher with an outlet of it that is ready and ends with the session."""
    with Station(f"ipc://{folder / 'events'}", session) as station:
        kind, *options = words
        process = start(
            "gscon_live", "outlet", kind, station.endpoint, "--once", *options,
            environment=environment,
        )  # fmt: skip
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if line == f"{kind}: ready\n":
                    break
            else:
                raise AssertionError("the outlet ended before it was ready")
            yield station, process
        finally:
            process.terminate()
            process.communicate(timeout=30)
