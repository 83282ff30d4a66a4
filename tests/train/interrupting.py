"""Trainings that are stopped in the middle."""

import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from gscon_live.train.engine.trainer import State
from gscon_live.train.runs.run_folder import TrainingFolder


@contextmanager
def stopping_after(epoch: int) -> Iterator[None]:
    """Within it, a training is stopped when the state of that epoch is written."""
    write = TrainingFolder.write

    def stopping(folder: TrainingFolder, state: State) -> None:
        write(folder, state)
        if state.epoch == epoch:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingFolder, "write", stopping)
        yield


def ends_with_its_trainings(command: Sequence[str], seconds: float) -> None:
    """Sees that a command which trains the runs `one` and `two` in this folder stops them when it
    gets SIGTERM, and ends within some seconds."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    histories = [Path("runs") / name / "seed-1" / "history.jsonl" for name in ("one", "two")]
    try:
        while not all(path.is_file() for path in histories):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=seconds) == 143
    finally:
        process.kill()
        process.wait()
    sizes = [path.stat().st_size for path in histories]
    time.sleep(1)
    assert [path.stat().st_size for path in histories] == sizes
