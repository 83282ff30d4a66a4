"""Recordings at addresses: of the web and of fsspec, with the results of the files themselves."""

import functools
import http.server
import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from sessions import cut, run, settings

from gscon_live.common.errors import InputError
from gscon_live.realtime.archive import remote
from gscon_live.realtime.archive.build import work_to_do
from gscon_live.realtime.archive.entries import Entry, Failed
from gscon_live.realtime.archive.inputs import expand
from gscon_live.realtime.archive.keys import Keys
from gscon_live.realtime.archive.station import Recipe, Station
from gscon_live.realtime.archive.store import EVENTS, Archive

COMMAND = "gscon_live.realtime.archive"


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut(tmp_path_factory.mktemp("talks") / "talk.mkv", 5.0)


@pytest.fixture
def web(talk: Path) -> Iterator[str]:
    """The address of a server with the recording."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = functools.partial(Handler, directory=str(talk.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def bucket(talk: Path) -> Iterator[str]:
    """A folder of fsspec's memory, as a bucket would be."""
    files = fsspec.filesystem("memory")
    files.pipe("/talks/day/talk.mkv", talk.read_bytes())
    files.pipe("/talks/day/talk.vtt", talk.with_suffix(".vtt").read_bytes())
    files.pipe("/talks/notes.txt", b"no recording")
    files.pipe("/talks/.hidden.mkv", b"no recording")
    yield "memory://talks"
    files.rm("/talks", recursive=True)


def archive_at(path: Path) -> tuple[Archive, Recipe]:
    archive = Archive(path)
    archive.begin()
    return archive, Recipe(settings=settings(), captions="auto", out=str(path))


def names_left_out(raw: bytes, name: str) -> list[bytes]:
    """The lines of events; the first has the recording's name."""
    return raw.replace(name.encode(), b"talk.mkv").splitlines()


def test_the_web_gives_the_events_of_replay_and_is_not_read_twice(
    web: str, talk: Path, tmp_path: Path
) -> None:
    address, out = f"{web}/talk.mkv", tmp_path / "archive"
    done = run(COMMAND, address, f"{web}/gone.mkv", "--allow-url", "--out", out, "--workers", 1)
    assert done.returncode == 1
    assert "1 of 2 failed" in done.stderr
    assert "the server says 404" in done.stderr
    archive = Archive(out)
    events = (archive.results.path / archive.done[address].folder / EVENTS).read_bytes()
    replayed = run("gscon_live.realtime.replay", address, "--allow-url", "--quiet", "--events",
                   tmp_path / "events.jsonl")  # fmt: skip
    assert replayed.returncode == 0, replayed.stderr
    assert events == (tmp_path / "events.jsonl").read_bytes()
    assert b"\n" in events
    assert not list(out.glob("recordings/.unfinished-*"))
    again = run(COMMAND, address, "--allow-url", "--out", out, "--workers", 1)
    assert again.returncode == 0, again.stderr
    assert "1 of 1 recordings are done already" in again.stderr


def test_a_bucket_is_a_folder_whose_captions_are_read(
    bucket: str, talk: Path, tmp_path: Path
) -> None:
    given = expand([bucket, f"{bucket}/**/*.mkv"], allow_url=True)
    assert given.recordings == ["memory:///talks/day/talk.mkv"]
    archive, recipe = archive_at(tmp_path / "archive")
    place = Station(recipe)
    (address,) = given.recordings
    entry = place.do(address, lambda share: None)
    assert isinstance(entry, Entry)
    assert entry.facts.has_captions
    local = place.do(str(talk), lambda share: None)
    assert isinstance(local, Entry)
    there, here = ((archive.results.path / e.folder / EVENTS).read_bytes() for e in (entry, local))
    assert names_left_out(there, address) == here.splitlines()
    archive.add(entry)
    keys = Keys(recipe.settings, "auto")
    assert work_to_do(archive, given, recipe, keys) == ({}, 1)
    # Other captions are other content.
    fsspec.filesystem("memory").pipe("/talks/day/talk.vtt", b"WEBVTT\n")
    todo = work_to_do(archive, given, recipe, keys)
    assert todo == ({address: talk.stat().st_size}, 0)


def test_a_file_url_is_a_file(talk: Path) -> None:
    assert expand([f"file://{talk}"]).recordings == [str(talk)]
    assert expand([f"file://{talk.parent}"]).recordings == [str(talk)]
    (talk.parent / "list.txt").write_text(f"file://{talk}\n")
    assert expand([], [str(talk.parent / "list.txt")]).recordings == [str(talk)]


@pytest.mark.parametrize(
    ("address", "mention"),
    [
        ("s3://bucket/talk.mkv", "s3:// needs the library s3fs; run pip install s3fs"),
        ("gs://bucket/talk.mkv", "gs:// needs the library gcsfs; run pip install gcsfs"),
        ("nonesuch://talk.mkv", "the protocol nonesuch is unknown; give http"),
        ("memory://gone/talk.mkv", "no such file or folder; check the address"),
        ("https://ada:secret@example.org/a.mkv", "has a password in it"),
        ("file:///gone/talk.mkv", "no such file or folder; check the address"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_in_one_line(
    address: str, mention: str, tmp_path: Path
) -> None:
    if importlib.util.find_spec({"s3": "s3fs", "gs": "gcsfs"}.get(address[:2], "") or "none"):
        pytest.skip("the library is installed")
    with pytest.raises(InputError) as caught:
        expand([address], allow_url=True)
    assert mention in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    # In a list, it does not stop the rest.
    (tmp_path / "list.txt").write_text(f"{address}\n")
    given = expand([], [str(tmp_path / "list.txt")], allow_url=True)
    assert given.recordings == []
    ((path, reason),) = given.problems
    assert path == address.replace("ada:secret@", "")
    assert "list.txt" in reason
    assert "secret" not in reason


def test_addresses_are_opened_only_where_they_are_allowed(tmp_path: Path) -> None:
    for address in ("s3://bucket/talk.mkv", "http://127.0.0.1:1/talk.mkv"):
        with pytest.raises(InputError, match="--allow-url"):
            expand([address])
        (tmp_path / "list.txt").write_text(f"{address}\n")
        with pytest.raises(InputError, match="--allow-url"):
            expand([], [str(tmp_path / "list.txt")])


def test_where_nobody_answers_it_is_a_failure_in_one_line(tmp_path: Path) -> None:
    _, recipe = archive_at(tmp_path / "archive")
    assert remote.stamps(["http://127.0.0.1:1/talk.mkv"]) == {"http://127.0.0.1:1/talk.mkv": ""}
    end = Station(recipe).do("http://127.0.0.1:1/talk.mkv", lambda share: None)
    assert isinstance(end, Failed)
    assert "127.0.0.1:1/talk.mkv" in end.reason
    assert "\n" not in end.reason
    assert not list((tmp_path / "archive/recordings").iterdir())
