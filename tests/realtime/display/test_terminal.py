"""Questions and progress on the terminal."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from gscon_live.realtime.display.terminal import Downloads

PROGRAM = """
import sys
from pathlib import Path
from gscon_live.realtime.display.terminal import Downloads
downloads = Downloads([Path(sys.argv[1])], interval=0.02)
print(downloads.allowed("the model", 490))
with downloads.shown("the model", 1):
    (Path(sys.argv[1]) / "part.incomplete").write_bytes(bytes(400_000))
    import time
    time.sleep(1.5)
"""


@pytest.mark.parametrize(("answer", "expected"), [("", "True"), ("y", "True"), ("n", "False")])
def test_on_a_terminal_the_user_is_asked_with_the_size_and_sees_the_progress(
    answer: str, expected: str, tmp_path: Path
) -> None:
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdin=terminal, stdout=subprocess.PIPE, stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:  # fmt: skip
        os.close(terminal)
        os.write(master, f"{answer}\n".encode())
        printed = b""
        while True:
            try:
                block = os.read(master, 4096)
            except OSError:  # the program has ended
                break
            printed += block
            if not block:
                break
        assert process.stdout is not None
        assert process.stdout.read().decode().split() == [expected]
    os.close(master)
    assert b"about 490 MB" in printed
    assert b"0.4/1.0 MB" in printed


def test_without_a_terminal_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    downloads = Downloads([tmp_path])
    assert not downloads.allowed("the model", 490)
    with downloads.shown("the model", None):
        pass
    assert capsys.readouterr().err == ""
