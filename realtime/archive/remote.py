"""Recordings at addresses: which there are, whether they have changed, and a copy to work on.

`http` and `https` are read as `replay` reads them. All other protocols, such as `s3` and `gs`, are
those of the library fsspec, which needs one more library for most of them.
"""

import errno
import glob
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.capture import caption_files, recording_inputs, streams
from gscon_live.realtime.capture.recording_inputs import RecordingInput, shown_address

#: The protocols that `replay` reads, too.
_WEB = ("http", "https")
#: What tells of a file whether it has changed; file systems have some of these.
_VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "updated", "created")
#: Questions about addresses at a time.
_AT_A_TIME = 16
#: The errors of a full disk.
_FULL = (errno.ENOSPC, errno.EDQUOT)
#: Characters of an error that are shown.
_SHOWN = 160


def addresses(address: str) -> list[str]:
    """The recordings at an address: itself, those in its folder and below, or those that it matches
    as a pattern. An address of the web is always a single recording: the web has no folders.

    Raises:
        InputError: it cannot be read, has a password in it, or nothing is there.
    """
    name = shown_address(address)
    if urlsplit(address).password is not None:
        raise InputError(
            f"{name}: the address has a password in it, which would come into the tables; "
            "give it to the library of the protocol instead"
        )
    if _is_web(address):
        return [address]
    files, place = _file_system(address)
    try:
        if glob.has_magic(place):
            paths = sorted(
                path for path in files.glob(place) if recording_inputs.is_recording(path)
            )
        elif files.isdir(place):
            paths = sorted(
                path for path in files.find(place) if recording_inputs.is_recording(path)
            )
        elif files.exists(place):
            paths = [place]
        else:
            raise InputError(f"{name}: no such file or folder; check the address")
    except Exception as error:
        raise _unreadable(name, error) from error
    return [str(files.unstrip_protocol(path)) for path in paths]


def stamp(address: str) -> str:
    """Size and version of a recording; empty where its place does not tell them, so that it has to
    be read to know whether it has changed.

    Raises:
        OSError: it cannot be read.
    """
    if _is_web(address):
        return _web_stamp(address)
    try:
        files, place = _file_system(address)
        return "|".join(map(_version, [files.info(place), *_captions_beside(files, place)]))
    except InputError as error:
        raise OSError(str(error)) from error
    except Exception as error:
        raise OSError(str(_unreadable(shown_address(address), error))) from error


def stamps(places: Sequence[str]) -> dict[str, str]:
    """The stamps of recordings, several at a time; one that cannot be read has none."""

    def look(address: str) -> str:
        try:
            return stamp(address)
        except OSError:
            return ""  # who works on it says what is wrong

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return dict(zip(places, pool.map(look, places), strict=True))


def size_in(stamp: str) -> int:
    """The bytes of a recording by its stamp; 0 where nobody knows."""
    text = stamp.partition(":")[0]
    return int(text) if text.isdigit() else 0


def copy(address: str, folder: Path, limit: float) -> Path:
    """Copies a recording into a folder, with the captions beside it; gives its path there. Beside
    an address of the web, captions are not looked for.

    Args:
        address: where it is.
        folder: where it goes.
        limit: seconds after which a stream of the web is read no further.

    Raises:
        InputError: it cannot be read.
        Failure: the copy cannot be written.
    """
    name = shown_address(address)
    if _is_web(address):
        return streams.copy_stream(RecordingInput(None, name, address), folder, limit).path
    files, place = _file_system(address)
    target = folder / (recording_inputs.shown_name(place) or "recording")
    try:
        files.get_file(place, str(target))
        for info in _captions_beside(files, place):
            files.get_file(info["name"], str(folder / PurePosixPath(info["name"]).name))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise Failure(
                f"{folder}: {error.strerror}; {name} is copied there first: free space"
            ) from error
        raise _unreadable(name, error) from error
    return target


def _is_web(address: str) -> bool:
    return address.partition("://")[0].lower() in _WEB


def _file_system(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path on it."""
    import fsspec
    from fsspec.registry import known_implementations

    protocol = address.partition("://")[0].lower()
    try:
        files, place = fsspec.core.url_to_fs(address)
    except ImportError as error:
        module = known_implementations[protocol]["class"].partition(".")[0]
        raise InputError(
            f"{shown_address(address)}: {protocol}:// needs the library {module}; "
            f"run pip install {module} on every machine that works"
        ) from error
    except ValueError as error:
        raise InputError(
            f"{shown_address(address)}: the protocol {protocol} is unknown; give http, https, or "
            "a protocol of fsspec such as s3 or gs"
        ) from error
    except Exception as error:
        raise _unreadable(shown_address(address), error) from error
    return files, place


def _unreadable(name: str, error: Exception) -> InputError:
    """What is told of an error; libraries of protocols raise errors of all kinds."""
    if isinstance(error, InputError):
        return error
    detail = " ".join(str(error).split())[:_SHOWN] or type(error).__name__
    return InputError(
        f"{name}: cannot be read ({detail}); check the address, the network and your rights"
    )


def _captions_beside(files: Any, place: str) -> Iterator[dict[str, Any]]:
    recording = PurePosixPath(place)
    for info in files.ls(str(recording.parent), detail=True):
        name = PurePosixPath(info["name"]).name
        if not name.startswith(recording.stem) or info["type"] != "file":
            continue
        if caption_files.has_name_of(Path(name), Path(recording.name)):
            yield info


def _version(info: dict[str, Any]) -> str:
    known = next((info[key] for key in _VERSIONS if info.get(key)), "")
    return f"{info.get('size')}:{known}" if known else ""


def _web_stamp(address: str) -> str:
    request = urllib.request.Request(address, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=streams.STALLED) as answer:
            head = answer.headers
    except urllib.error.HTTPError:
        return ""  # some servers refuse the question, and give the file
    version = head.get("ETag") or head.get("Last-Modified")
    return f"{head.get('Content-Length', '')}:{version}" if version else ""
