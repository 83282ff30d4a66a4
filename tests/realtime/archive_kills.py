"""Kills `archive` again and again, and compares what it leaves in the end with `replay`.

    make kills RECORDINGS=200 KILLS=10 SEED=7

Makes short recordings, builds their archive, and kills it with SIGKILL at random moments: now all
its processes at once, now a single worker. After each kill of all it looks for files that are
half-written, and starts the same command again. At the end, the results of every recording must be
those of `replay`, byte for byte. The seed decides on the recordings and on the kills.
"""

import argparse
import csv
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pyarrow.parquet
from excerpts import excerpts
from sessions import Family, start

from gscon_live.realtime.archive import columns
from gscon_live.realtime.archive.store import EVENTS, RECORD, REPORT, TABLE, Archive
from gscon_live.realtime.convert.formats import FORMATS, Request
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.corrections import Corrections

ARCHIVE, REPLAY = "gscon_live.realtime.archive", "gscon_live.realtime.replay"
#: Recordings that one `replay` reads.
BATCH = 10
#: Seconds of a kill's moment after the number of results is there that was drawn for it.
AFTER = 2.0

Say = Callable[[str], None]


class Kills:
    """What was killed: all processes of a command, or a worker."""

    def __init__(self) -> None:
        self.of_all = self.of_workers = self.starts = 0


def build(
    folder: Path, out: Path, count: int, kills: int, generator: random.Random, say: Say,
    workers: int = 2,
) -> Kills:  # fmt: skip
    """Builds an archive of `count` recordings, killed `kills` times.

    A kill comes up to `AFTER` seconds after a random number of recordings is done, so also while
    the program starts, and while it writes the tables. One that comes after the end is drawn again
    for an earlier moment.
    """
    done = Kills()
    moments = sorted(generator.randrange(count + 1) for _ in range(kills))
    kinds = [generator.choice(("all", "worker")) for _ in moments]
    if kills:
        # Both kinds, whatever the seed.
        kinds[0], kinds[-1] = "worker", "all"
    while True:
        process = start(ARCHIVE, folder, "--out", out, "--workers", workers, "--quiet")
        done.starts += 1
        family = Family(process.pid)
        killed = False
        while moments and not killed:
            if not _reach(out, moments[0], process, generator.uniform(0.0, AFTER)):
                break
            if kinds[0] == "worker":
                worker = _a_worker(family, process.pid, generator)
                if worker is None:
                    time.sleep(0.1)
                    if process.poll() is not None:
                        break
                    continue
                worker.kill()
                done.of_workers += 1
            else:
                # The session's processes may be in several groups.
                for member in family.look():
                    member.kill()
                killed = True
                done.of_all += 1
            say(f"{len(results(out))} of {count} done: killed {kinds[0]}")
            del moments[0], kinds[0]
        _, errors = process.communicate()
        left = family.left()
        assert left == [], f"processes that nobody ended: {left}"
        check_whole(out)
        if killed:
            continue
        assert process.returncode == 0, errors
        if not moments:
            return done
        # It was faster than the kill: the last results are taken away, and it goes on from there.
        _take_away(out, max(1, count // 20), generator)
        moments = [min(moment, len(results(out))) for moment in moments]


def _reach(out: Path, moment: int, process: Any, after: float) -> bool:
    """Waits until so many results are there, and some time more; false where the program ended."""
    while len(results(out)) < moment:
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    time.sleep(after)
    return process.poll() is None


def _a_worker(family: Family, leader: int, generator: random.Random) -> psutil.Process | None:
    """A process that works on a recording: on Linux, a child of the fork server."""
    members = {process.pid: process for process in family.look()}
    workers = []
    for process in members.values():
        try:
            parent = process.ppid()
        except psutil.NoSuchProcess:
            continue
        if parent in members and parent != leader:
            workers.append(process)
    return generator.choice(sorted(workers, key=lambda p: p.pid)) if workers else None


def _take_away(out: Path, count: int, generator: random.Random) -> None:
    for folder in generator.sample(results(out), count):
        (folder / RECORD).unlink()


def results(out: Path) -> list[Path]:
    """The folders of results that count as done."""
    return sorted(path.parent for path in out.glob(f"recordings/[!.]*/{RECORD}"))


def check_whole(out: Path) -> None:
    """Fails where a file with a final name is half-written."""
    if not out.is_dir():
        return
    for folder in results(out):
        json.loads((folder / RECORD).read_bytes())
        lines = (folder / EVENTS).read_bytes()
        assert lines.endswith(b"\n"), folder
        events = [schema.decode(line) for line in lines.splitlines()]
        assert isinstance(events[-1], schema.SessionEnded), folder
        assert events[-1].complete, folder
        assert (folder / REPORT).read_bytes().rstrip().endswith(b"</html>"), folder
        _check_table(folder / TABLE)
    for name in columns.TABLES:
        if (out / f"{name}.csv").exists():
            _check_table(out / f"{name}.csv")
        if (out / f"{name}.parquet").exists():
            pyarrow.parquet.read_table(out / f"{name}.parquet")
    if (out / "index.html").exists():
        assert (out / "index.html").read_bytes().rstrip().endswith(b"</html>")
    if (out / "archive.jsonl").exists():
        Archive(out)


def _check_table(path: Path) -> None:
    assert path.read_bytes().endswith(b"\r\n"), path
    with path.open(encoding="utf-8", newline="") as file:
        assert len({len(row) for row in csv.reader(file)}) == 1, path


def compare(recordings: Sequence[Path], out: Path, folder: Path, say: Say) -> None:
    """Replays all recordings, and fails where the archive has other bytes for one.

    `replay` gives the events; their table and their report are written from them, as `replay` and
    `convert` do.
    """
    entries = Archive(out).done
    assert sorted(entries) == sorted(map(str, recordings))
    for begin in range(0, len(recordings), BATCH):
        batch = recordings[begin : begin + BATCH]
        events = folder / f"events {begin}.jsonl"
        # However long it takes: the machine may be busy.
        process = start(REPLAY, *batch, "--quiet", "--events", events)
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        sessions: list[list[bytes]] = []
        for line in events.read_bytes().splitlines(keepends=True):
            if b'"session.started"' in line:
                sessions.append([])
            sessions[-1].append(line)
        for path, lines in zip(batch, sessions, strict=True):
            place = out / "recordings" / entries[str(path)].folder
            assert (place / EVENTS).read_bytes() == b"".join(lines), path
            decoded = [schema.decode(line) for line in lines]
            request = Request(Path(EVENTS), decoded, None, decoded, Corrections())
            assert (place / TABLE).read_bytes() == FORMATS["csv"].write(request), path
            assert (place / REPORT).read_bytes() == FORMATS["report"].write(request), path
        say(f"{begin + len(batch)} of {len(recordings)} are as replay's, byte for byte")
    assert not list(out.glob("recordings/.unfinished-*"))
    assert len(results(out)) == len(recordings)


def main() -> int:
    """Runs it, and prints what was done as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="0: a new one, which is printed")
    chosen = parser.parse_args()
    seed = chosen.seed or random.SystemRandom().randrange(1, 10**6)
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {line}", file=sys.stderr, flush=True)

    say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="gscon-kills-") as name:
        folder = Path(name)
        # No transcriber of this machine is taken, so that the work is the same everywhere.
        for place in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "HF_HOME"):
            os.environ[place] = str(folder / "cache")
        os.environ["HF_HUB_OFFLINE"] = "1"
        (folder / "talks").mkdir()
        recordings = excerpts(folder / "talks", chosen.recordings, seed)
        say(f"{len(recordings)} recordings")
        kills = build(
            folder / "talks", folder / "archive", len(recordings), chosen.kills,
            random.Random(seed), say, chosen.workers,
        )  # fmt: skip
        say("built")
        compare(recordings, folder / "archive", folder, say)
    print(
        msgspec.json.encode(
            {
                "seed": seed,
                "recordings": len(recordings),
                "kills_of_all": kills.of_all,
                "kills_of_a_worker": kills.of_workers,
                "starts": kills.starts,
                "equal": len(recordings),
                "seconds": round(time.monotonic() - begun),
            }
        ).decode()
    )
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
