"""No output of a command destroys what somebody else made."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gscon_live.common.errors import InputError
from gscon_live.common.files import (
    check_folder,
    check_output,
    make_private_folder,
    private,
    replacing,
    write_output,
)
from gscon_live.common.outputs import Outputs, check_socket

OURS = b"ours\n"


def ours(head: bytes) -> bool:
    return head.startswith(OURS)


def plan(*outputs: tuple[str, Path], reads: Path | None = None) -> Outputs:
    made = Outputs()
    if reads is not None:
        made.reads(reads, "the recording")
    for option, path in outputs:
        made.writes(path, option, ours)
    return made


@pytest.mark.fault
@pytest.mark.parametrize("link", ["itself", "symbolic", "hard", "through a folder", "relative"])
def test_an_output_that_is_an_input_is_refused_by_whatever_name(
    link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An output that is an input, also through a link or another spelling: refused."""
    recording = tmp_path / "talk.mkv"
    recording.write_bytes(OURS)  # not even what we made is destroyed while it is read
    output = tmp_path / "out.html"
    if link == "itself":
        output = recording
    elif link == "symbolic":
        output.symlink_to(recording)
    elif link == "hard":
        output.hardlink_to(recording)
    elif link == "through a folder":
        (tmp_path / "folder").symlink_to(tmp_path)
        output = tmp_path / "folder" / "talk.mkv"
    else:
        monkeypatch.chdir(tmp_path)
        output = Path("talk.mkv")
    with pytest.raises(InputError, match=r"^--report .* is the recording, which would be lost"):
        plan(("--report", output), reads=recording).check()
    assert recording.read_bytes() == OURS


@pytest.mark.fault
def test_two_outputs_have_two_files_also_where_neither_exists(tmp_path: Path) -> None:
    """Two outputs with one path: refused, also where no file is there yet."""
    (tmp_path / "link.html").symlink_to(tmp_path / "new.html")
    for other in ("new.html", "link.html", "../" + tmp_path.name + "/new.html"):
        made = plan(("--events", tmp_path / "new.html"), ("--report", tmp_path / other))
        with pytest.raises(InputError, match="--events writes there, too"):
            made.check()
    plan(("--events", tmp_path / "a"), ("--report", tmp_path / "b")).check()
    plan(("--events", Path(os.devnull)), ("--report", Path(os.devnull))).check()


@pytest.mark.fault
def test_what_we_wrote_may_be_overwritten_and_nothing_else(tmp_path: Path) -> None:
    """An output over a file that somebody else wrote: refused; our own is replaced."""
    path = tmp_path / "out"
    for content, allowed in ((OURS + b"more", True), (b"", True), (b"mine\n", False)):
        path.write_bytes(content)
        if allowed:
            plan(("--report", path)).check()
        else:
            with pytest.raises(InputError, match="was not written by this command"):
                plan(("--report", path)).check()
        assert path.read_bytes() == content


def test_an_ending_says_what_is_written(tmp_path: Path) -> None:
    made = Outputs()
    made.writes(tmp_path / "out.pdf", "--report", ours, (".html", ".htm"))
    with pytest.raises(InputError, match=r"out\.pdf: it is written as \.html or \.htm"):
        made.check()
    made = Outputs()
    made.writes(tmp_path / "out.HTML", "--report", ours, (".html", ".htm"))
    made.writes(Path(os.devnull), "--other", ours, (".html",))
    made.check()
    assert list(tmp_path.iterdir()) == []


def test_files_in_a_new_folder_are_outputs_too(tmp_path: Path) -> None:
    made = plan(("--events", tmp_path / "kept" / "events.jsonl"))
    made.makes(tmp_path / "kept", "--record", "events.jsonl")
    with pytest.raises(InputError, match="--events writes there, too"):
        made.check()
    made = plan(("--events", tmp_path / "kept"))
    made.makes(tmp_path / "kept", "--record", "events.jsonl")
    with pytest.raises(InputError, match="--events writes there, too"):
        made.check()


@pytest.mark.fault
def test_a_socket_takes_the_place_of_an_old_socket_and_of_nothing_else(tmp_path: Path) -> None:
    """`--publish ipc://FILE` over a file or a running program's socket: refused."""
    check_socket(tmp_path / "new")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for path, why in (
        (tmp_path / "file", "something else is there"),
        (tmp_path / "link", "something else is there"),
        (tmp_path, "something else is there"),
        (tmp_path / "none" / "socket", "its folder does not exist"),
    ):
        with pytest.raises(InputError, match=why):
            check_socket(path)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        bound.listen()
        with pytest.raises(InputError, match="another program publishes there"):
            check_socket(tmp_path / "socket")
    check_socket(tmp_path / "socket")


@pytest.mark.fault
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where nobody may write")
def test_a_place_where_nothing_can_be_written_is_refused_before_the_work() -> None:
    """An output where nothing can be written: refused before the work."""
    with pytest.raises(InputError, match="nothing can be written in its folder"):
        check_output("/proc/out.html")
    with pytest.raises(InputError, match="nothing can be written in its folder"):
        check_folder("/proc/runs/mine")


def test_a_place_where_this_user_may_not_write_is_refused_before_the_work(tmp_path: Path) -> None:
    """Another user tries, where the tests run as root, who may write everywhere."""
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "old.html").write_bytes(OURS)
    (folder / "old.html").chmod(0o444)
    folder.chmod(0o555)
    code = (
        "import os, sys\n"
        "from gscon_live.common.errors import InputError\n"
        "from gscon_live.common.files import check_output\n"
        "os.chdir(sys.argv[1])\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "for name in ('new.html', 'old.html'):\n"
        "    try: check_output(name)\n"
        "    except InputError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    new, old = done.stdout.splitlines()
    assert "new.html: nothing can be written in its folder (Permission denied)" in new
    assert "old.html: is not writable" in old


def test_a_link_stays_and_its_file_is_replaced_with_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "page.html"
    target.write_bytes(b"old")
    target.chmod(0o600)
    link = tmp_path / "page.html"
    link.symlink_to(target)
    write_output(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["page.html"]


def test_a_device_is_written_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    write_output(pipe, b"page")
    assert reader.communicate()[0] == b"page"
    assert pipe.is_fifo()


@pytest.mark.fault
def test_a_link_that_somebody_puts_beside_an_output_is_never_followed(tmp_path: Path) -> None:
    """A link beside an output that waits for its temporary file: never followed.

    The temporary file has a name that nobody knows, in a folder that nobody else may enter.
    """
    seen = []
    for _ in range(2):
        with replacing(tmp_path / "page.html", alone=False) as unfinished:
            assert unfinished.parent.stat().st_mode & 0o777 == 0o700
            unfinished.write_bytes(b"page")
            seen.append(unfinished)
    assert seen[0] != seen[1]


def test_what_a_killed_process_has_left_goes_with_the_next_writing(tmp_path: Path) -> None:
    (tmp_path / ".state.bin.unfinished-abc").mkdir()
    (tmp_path / ".state.bin.unfinished-abc" / "state.bin").write_bytes(b"half")
    with replacing(tmp_path / "state.bin") as unfinished:
        unfinished.write_bytes(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["state.bin"]


def test_what_is_private_is_so_whatever_the_umask(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o755)
    for folder in (tmp_path / "deep" / "new", tmp_path / "empty"):
        make_private_folder(folder)
        assert folder.stat().st_mode & 0o777 == 0o700
    with open(tmp_path / "words", "w", opener=private, encoding="utf-8") as file:
        file.write("words")
    assert (tmp_path / "words").stat().st_mode & 0o777 == 0o600
