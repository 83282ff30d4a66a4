"""A short run of `make kills`: killed and started again, an archive ends as `replay` does."""

import random
from pathlib import Path

import archive_kills
import pytest
from excerpts import excerpts

from gscon_live.realtime.archive.store import RECORD


def test_killed_at_random_moments_and_resumed_it_has_the_results_of_replay(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1, 10**6)
    print(f"seed {seed}")
    (tmp_path / "talks").mkdir()
    recordings = excerpts(tmp_path / "talks", 6, seed)
    assert len({path.read_bytes() for path in recordings}) == 6
    out = tmp_path / "archive"
    kills = archive_kills.build(tmp_path / "talks", out, 6, 2, random.Random(seed), print)
    assert (kills.of_all, kills.of_workers) == (1, 1)
    archive_kills.compare(recordings, out, tmp_path, print)
    # What the program looks for, it finds.
    (first, second, *_) = archive_kills.results(out)
    events = (first / "events.jsonl").read_bytes()
    for half in (events[:-9], events[: events.rindex(b"\n", 0, -1) + 1]):
        (first / "events.jsonl").write_bytes(half)
        with pytest.raises(AssertionError):
            archive_kills.check_whole(out)
    (first / "events.jsonl").write_bytes(events)
    (second / RECORD).write_bytes(b"{")
    with pytest.raises(ValueError, match="Expecting property name"):
        archive_kills.check_whole(out)
