"""Ctrl-C in the middle of a training."""

from collections.abc import Iterator
from contextlib import contextmanager

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
