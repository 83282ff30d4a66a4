"""Standard input, named pipes and URLs are read to their end, and give what a file gives."""

import contextlib
import http.server
import io
import os
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from made_media import click, ffmpeg, make, replay, sound

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.recording_inputs import expand
from gscon_live.realtime.capture.streams import copy_stream


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    return make(folder / "talk.mkv", video=[n / 25 for n in range(25)], audio=[click(1.0)])


@pytest.fixture(scope="module")
def served(media: Path) -> Iterator[str]:
    """The address of a web server for the folder of the recording."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    handler = partial(Quiet, directory=str(media.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def copied(word: str, folder: Path, limit: float = 60.0) -> tuple[Path, list[str]]:
    (given,) = expand([word], True)[0]
    return copy_stream(given, folder, limit)


@pytest.mark.fault
def test_a_named_pipe_gives_the_bytes_that_are_written_into_it(media: Path, tmp_path: Path) -> None:
    """A named pipe, or `<(command)`: read to its end, then replayed as a file is."""
    pipe = tmp_path / "pipe.mkv"
    os.mkfifo(pipe)
    (tmp_path / "copy").mkdir()
    writer = threading.Thread(target=lambda: pipe.write_bytes(media.read_bytes()))
    writer.start()
    path, notices = copied(str(pipe), tmp_path / "copy")
    writer.join()
    assert path.read_bytes() == media.read_bytes()
    assert notices == []
    assert path.name == "pipe.mkv"


class _Input(io.TextIOWrapper):
    def __init__(self, content: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content))
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.fault
def test_standard_input_is_read_to_its_end(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cat talk.mkv | gscon-live replay -`: the events of the file; captions beside it are not."""
    monkeypatch.setattr("sys.stdin", _Input(media.read_bytes()))
    path, _ = copied("-", tmp_path)
    assert path.read_bytes() == media.read_bytes()
    assert path.name == "standard input"


@pytest.mark.fault
@pytest.mark.parametrize(("content", "terminal"), [(b"", False), (b"x", True), (None, False)])
def test_standard_input_without_a_recording_is_refused(
    content: bytes | None, terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard input that is empty, closed or a terminal: one line, exit code 2."""
    stdin = None if content is None else _Input(content, terminal)
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(InputError, match="standard input"):
        copied("-", tmp_path)


@pytest.mark.fault
def test_a_web_address_gives_the_bytes_of_the_file(
    media: Path, served: str, tmp_path: Path
) -> None:
    """A recording on the web, with `--allow-url`: the same bytes, so the same events."""
    path, notices = copied(f"{served}/talk.mkv?token=1", tmp_path)
    assert path.read_bytes() == media.read_bytes()
    assert notices == []


@pytest.mark.fault
@pytest.mark.parametrize("place", ["/nothing.mkv", None])
def test_an_address_that_gives_nothing_is_refused(
    place: str | None, served: str, tmp_path: Path
) -> None:
    """A web address without a file, or without a server: one line, exit code 2."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = served + place if place else f"http://127.0.0.1:{unused.getsockname()[1]}/a.mkv"
        with pytest.raises(InputError, match="check the address"):
            copied(address, tmp_path)


@pytest.mark.fault
def test_a_playlist_is_read_with_its_parts(media: Path, served: str, tmp_path: Path) -> None:
    """An HLS address: its parts are read as one recording."""
    ffmpeg("-i", media, "-c:v", "mpeg2video", "-c:a", "mp2", "-ar", "48000",
           "-hls_time", "1", media.parent / "list.m3u8")  # fmt: skip
    path, _ = copied(f"{served}/list.m3u8", tmp_path)
    source, messages = replay(path)
    assert source.has_video
    assert len(sound(messages)) == pytest.approx(16_000, rel=0.2)


@pytest.mark.fault
def test_a_playlist_from_the_web_opens_no_file_of_this_machine(
    media: Path, served: str, tmp_path: Path
) -> None:
    """A playlist on the web that names a file of this machine: the file is not opened."""
    (media.parent / "evil.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{media}\n#EXT-X-ENDLIST\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError):
        copied(f"{served}/evil.m3u8", tmp_path)


@pytest.mark.fault
@pytest.mark.parametrize("address", ["concat://a|b", "pipe://0", "subfile://x", "nonsense://x"])
def test_an_address_that_is_none_of_the_net_is_refused(address: str, tmp_path: Path) -> None:
    """`concat:`, `pipe:` and other protocols that are no network: refused, `--allow-url` or not."""
    with pytest.raises(InputError, match="cannot be read"):
        copied(address, tmp_path)


@pytest.mark.fault
def test_an_address_that_never_ends_is_read_for_a_limited_time(tmp_path: Path) -> None:
    """A live stream behind a URL: read for `recording.url_limit` seconds, which is said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def serve() -> None:
            client, _ = server.accept()
            with client, contextlib.suppress(OSError):
                client.recv(4096)
                client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                while not stop.wait(0.01):
                    client.sendall(b"\0" * 100)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            port = server.getsockname()[1]
            path, notices = copied(f"http://127.0.0.1:{port}/live", tmp_path, limit=0.5)
        finally:
            stop.set()
            thread.join()
    assert path.stat().st_size > 0
    assert "recording.url_limit" in notices[0]


@pytest.mark.fault
def test_a_full_disk_names_where_the_copy_goes(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No space for the copy of standard input: one line that names the folder, and TMPDIR."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "standard input").symlink_to("/dev/full")
    monkeypatch.setattr("sys.stdin", _Input(media.read_bytes()))
    with pytest.raises(Exception, match="TMPDIR") as caught:
        copied("-", tmp_path)
    assert str(tmp_path) in str(caught.value)
