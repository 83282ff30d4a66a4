"""Recordings of any name and from any place give the same events, called by a readable name."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sessions import ROOT, cut

from gscon_live.common import cli
from gscon_live.realtime import replay


@pytest.mark.fault
def test_recordings_of_any_name_and_from_standard_input_give_the_same_events(
    tmp_path: Path,
) -> None:
    """Names with `=`, with `-` in front, not UTF-8, a link, and `-`: the same events from all."""
    clip = cut(tmp_path / "talk.mkv", 4.0)
    named = [b"take=1.mkv", b"-x.mkv", b"gr\xfc\xdfe.mkv"]
    for name in named:
        os.link(clip, os.path.join(os.fsencode(tmp_path), name))
    os.symlink("talk.mkv", tmp_path / "link.mkv")
    command = [sys.executable, "-m", "gscon_live.realtime.replay"]
    words = [b"take=1.mkv", b"-", named[2], b"link.mkv", b"--events", b"out.jsonl"]
    words += [b"--captions", b"talk.vtt"]
    done = subprocess.run(
        [*command, *words, b"--quiet", b"--report", b"out.html", b"--", b"-x.mkv"],
        cwd=tmp_path,
        input=clip.read_bytes(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out.jsonl").read_bytes().decode("utf-8").splitlines()
    sessions: list[list[dict[str, object]]] = []
    for event in map(json.loads, lines):
        if event["type"] == "session.started":
            sessions.append([])
        sessions[-1].append(event)
    sources = [events[0].pop("source") for events in sessions]
    expected = ["take=1.mkv", "standard input", "gr\ufffd\ufffde.mkv", "link.mkv", "-x.mkv"]
    assert sources == expected
    assert len(sessions[0]) > 2
    assert all(events == sessions[0] for events in sessions)
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "gr\ufffd\ufffde.mkv" in page
    # The page plays the files; standard input is gone.
    played = re.findall('data-media="(.*?)"', page)
    assert played == ["take%3D1.mkv", "gr%FC%DFe.mkv", "link.mkv", "-x.mkv"]


@pytest.mark.fault
@pytest.mark.parametrize("words", [["https://host/talk.mp4"], ["talk.mkv", "rtsp://cam/live"]])
def test_a_url_is_refused_before_anything_is_read(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A URL as a recording: one line with the address as given, and `--allow-url`; exit code 2."""
    assert cli.run(replay.main, words) == 2
    printed = capsys.readouterr().err
    assert f"recording {words[-1]}:" in printed
    assert "--allow-url" in printed
    assert printed.count("\n") == 1
