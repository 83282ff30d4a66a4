"""The memory of a session's processes, and whether it grows."""

import contextlib
import statistics
from collections.abc import Sequence
from pathlib import Path

import psutil
from sessions import Family

MEBIBYTE = 1 << 20


def held(family: Family) -> int:
    """Bytes of all processes that are not those of files, shared ones by their share."""
    total = 0
    for process in family.look():
        with contextlib.suppress(OSError, psutil.Error):
            total += _own(process.pid)
    return total


def _own(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines[1:])
    return sum(
        int(fields[name].split()[0]) * 1024 for name in ("Pss_Anon", "Pss_Shmem") if name in fields
    )


def growth(memory: Sequence[tuple[float, float]], warm_up: float) -> float | None:
    """By how much memory grew after the warm-up: the median of the last fifth of the readings less
    that of the first fifth. None where there are too few.

    Args:
        memory: readings of (seconds, amount).
        warm_up: seconds that do not count.
    """
    settled = [used for time, used in memory if time >= warm_up]
    fifth = len(settled) // 5
    if fifth < 3:
        return None
    return statistics.median(settled[-fifth:]) - statistics.median(settled[:fifth])
