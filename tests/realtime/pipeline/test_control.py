"""A worker wakes for messages and commands, and reports less often while there are none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from sessions import wait_for

from gscon_live.realtime.pipeline.control import (
    IDLE_REPORT_EVERY,
    REPORT_EVERY,
    Line,
    Start,
    Status,
    Switchboard,
)

SERVICE = "segment"


class Ends:
    """Both ends of a control connection, and a worker's inbox with its sender."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", folder: Path) -> None:
        self.switchboard = Switchboard(context, f"ipc://{folder / 'control'}")
        self.line = Line(context, f"ipc://{folder / 'control'}", SERVICE)
        self.inbox, self.sender = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        self.inbox.bind(f"ipc://{folder / 'inbox'}")
        self.sender.connect(f"ipc://{folder / 'inbox'}")
        self.line.watch(self.inbox)

    def reports(self) -> list[Status]:
        found: list[Status] = wait_for(self.switchboard.statuses)
        return found


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield Ends(context, tmp_path)
    context.destroy(linger=0)


def test_a_command_wakes_a_worker(ends: Ends) -> None:
    assert not ends.line.wait(0.0)
    ends.line.report("ready")
    assert [report.state for report in ends.reports()] == ["ready"]
    ends.switchboard.command(SERVICE, Start(5.0))
    assert ends.line.wait(40.0)
    assert ends.line.wait_for_start() == 5.0
    assert not ends.line.wait(0.0)


def test_a_message_wakes_a_worker_and_is_no_command(ends: Ends) -> None:
    ends.sender.send(b"sound")
    assert not ends.line.wait(40.0)
    assert ends.inbox.recv(zmq.NOBLOCK) == b"sound"


def test_a_worker_without_messages_reports_less_often(ends: Ends) -> None:
    assert ends.line.due_in(0) == 0.0

    def less_often() -> bool:
        ends.line.report("running", handled=3)
        return ends.line.due_in(4) < ends.line.due_in(3)

    assert wait_for(less_often)
    assert ends.line.due_in(3) <= IDLE_REPORT_EVERY
    assert ends.line.due_in(4) <= REPORT_EVERY


def test_a_report_that_nobody_takes_is_not_tried_again_at_once(tmp_path: Path) -> None:
    """Else a worker would spin while the session stands still."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    line = Line(context, f"ipc://{tmp_path / 'nobody'}", SERVICE)

    def rests() -> bool:
        wait_for(lambda: line.due_in(0) == 0.0)
        line.report("running")
        return line.due_in(0) > 0.0

    for _ in range(1000):  # far more than the queue takes
        line.report("running")
    assert any(rests() for _ in range(3))
    context.destroy(linger=0)
