"""What a user names as recordings: files, folders, patterns, named pipes, standard input, URLs."""

import glob
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.realtime.capture import caption_files

#: The word for standard input.
STANDARD_INPUT = "-"
#: Endings of recordings. In folders and patterns, other files are left out.
_VIDEO = "3gp asf avi dv f4v flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv"
_AUDIO = "aac ac3 aif aiff amr au caf flac m4a mka mp3 oga ogg opus rf64 w64 wav weba wma"
ENDINGS = frozenset(f".{name}" for name in [*_VIDEO.split(), *_AUDIO.split()])
#: Names that a notice lists at most.
_LISTED = 3

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class RecordingInput(NamedTuple):
    """A recording that the user named.

    Args:
        path: the file or the named pipe; None for standard input and URLs.
        name: how events and messages call it: the file's name without its folder, valid UTF-8.
        address: `-` for standard input, a URL, or empty.
    """

    path: Path | None
    name: str
    address: str = ""

    @property
    def is_stream(self) -> bool:
        """Whether it can be read only once, from its beginning to its end."""
        return self.path is None or is_pipe(self.path)


def is_pipe(path: Path) -> bool:
    """Whether a path is a named pipe."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def has_ending(path: Path | str) -> bool:
    """Whether a name ends as recordings do."""
    return os.path.splitext(path)[1].lower() in ENDINGS


def is_url(word: str) -> bool:
    """Whether a word is the address of something: `https://host/talk.mp4`."""
    return _URL.match(word) is not None


def shown_name(path: Path | str) -> str:
    """The name of a file without its folder, as valid UTF-8: bytes that are none become U+FFFD."""
    return os.fsencode(os.path.basename(path)).decode("utf-8", "replace")


def is_recording(path: str) -> bool:
    """Whether a file of a folder or a pattern is taken: visible, and with a recording's ending."""
    name = os.path.basename(path)
    return not name.startswith(".") and has_ending(name)


def files_in(
    folder: str, on_error: Callable[[OSError], None], *, deep: bool, leave_out: str | None = None
) -> Iterator[str]:
    """The visible files in a folder, and with `deep` those in all visible folders below; without
    it, those folders too. Those of a folder are sorted.

    Args:
        folder: where to look.
        on_error: gets the error of each folder that cannot be read.
        deep: whether to look into the folders in it.
        leave_out: the real path of a folder that is not looked into.
    """
    for here, folders, files in os.walk(folder, onerror=on_error):
        below = [os.path.join(here, name) for name in sorted(folders) if name[:1] != "."]
        inside = [os.path.join(here, name) for name in files if name[:1] != "."]
        if os.path.realpath(here) == leave_out:
            folders[:] = inside = []
        elif deep:
            folders[:] = [
                os.path.basename(path) for path in below if os.path.realpath(path) != leave_out
            ]
        else:
            folders[:] = []
            inside += below
        yield from sorted(inside)


def matches(pattern: str) -> list[str]:
    """What a pattern matches, sorted; `**` stands for all folders below."""
    return sorted(glob.glob(pattern, recursive=True))


def separate(words: Sequence[str], groups: Collection[str]) -> tuple[list[str], list[str]]:
    """The recordings among words of the command line, and the settings. A file that exists may have
    `=` in its name.

    Args:
        words: paths, patterns, URLs, and settings as `key=value`.
        groups: the first parts of the keys of all settings.
    """
    overrides = [
        word for word in words if cli.is_override(word) and not names_recording(word, groups)
    ]
    return [word for word in words if word not in overrides], overrides


def names_recording(word: str, groups: Collection[str]) -> bool:
    """Whether a word of the form `key=value` is a recording or a pattern rather than a setting.

    Args:
        word: the word of the command line.
        groups: the first parts of the keys of all settings.
    """
    if re.split("[.=]", word, maxsplit=1)[0] in groups:
        return False
    if os.path.exists(word) or has_ending(word):
        return True
    return glob.has_magic(word) and bool(matches(word))


def expand(words: Iterable[str], allow_url: bool) -> tuple[list[RecordingInput], list[str]]:
    """The recordings that words of the command line name, in their order, and notices.

    Folders and patterns give their recordings sorted by name. A file that does not exist is kept:
    whoever opens it says so.

    Args:
        words: paths, patterns, URLs, `-`.
        allow_url: whether URLs may be opened.

    Raises:
        InputError: a URL that may not be opened, no recording in a folder or for a pattern, or
            standard input twice.
    """
    inputs: list[RecordingInput] = []
    notices: list[str] = []
    for word in words:
        if word == STANDARD_INPUT:
            if any(earlier.address == STANDARD_INPUT for earlier in inputs):
                raise InputError("standard input can be read only once; give '-' once")
            inputs.append(RecordingInput(None, "standard input", STANDARD_INPUT))
        elif is_url(word):
            inputs.append(_of_url(word, allow_url))
        elif os.path.isdir(word):
            inputs += _recordings(word, list(files_in(word, _refuse, deep=False)), notices)
        elif glob.has_magic(word) and not os.path.exists(word):
            inputs += _recordings(word, matches(word), notices)
        else:
            inputs.append(RecordingInput(Path(word), shown_name(word)))
    return inputs, notices


def check_allowed(address: str, allow_url: bool) -> None:
    """Raises `InputError` for a URL where none may be opened."""
    if not allow_url:
        raise InputError(
            f"recording {shown_address(address)}: URLs are opened only with --allow-url "
            "(in Python: allow_url=True); add it, or download the file"
        )


def file_of_url(address: str) -> str | None:
    """The path of a `file:` URL; None for all others."""
    parts = urlsplit(address)
    return url2pathname(parts.path) if parts.scheme.lower() == "file" else None


def _of_url(address: str, allow_url: bool) -> RecordingInput:
    path = file_of_url(address)
    if path is not None:
        return RecordingInput(Path(path), shown_name(path))
    check_allowed(address, allow_url)
    return RecordingInput(None, shown_address(address), address)


def shown_address(address: str) -> str:
    """A URL without the password and the query, which may be secret."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    shown = f"{parts.scheme}://{host}{parts.path}"
    return shown.encode("utf-8", "replace").decode()


def _refuse(error: OSError) -> None:
    raise InputError(
        f"recordings {error.filename}: {error.strerror}; change its permissions or give another "
        "folder"
    ) from error


def _recordings(word: str, paths: Sequence[str], notices: list[str]) -> list[RecordingInput]:
    """The recordings among paths; the others are said in a notice. Captions are no recordings, but
    are read with them."""
    visible = [path for path in paths if not os.path.basename(path).startswith(".")]
    chosen = [path for path in visible if is_recording(path) and not os.path.isdir(path)]
    if not chosen:
        what = "no video or audio file in this folder" if os.path.isdir(word) else "no such file"
        raise InputError(f"recordings {word}: {what}; give the path of a video or audio file")
    captions = caption_files.ENDINGS
    left = [p for p in visible if p not in chosen and Path(p).suffix.lower() not in captions]
    if left:
        names = ", ".join(shown_name(path) for path in left[:_LISTED])
        more = f" and {len(left) - _LISTED} more" if len(left) > _LISTED else ""
        read = f"{len(chosen)} recording{'s' * (len(chosen) != 1)}"
        notices.append(f"{word}: {read}; not read: {names}{more}")
    return [RecordingInput(Path(path), shown_name(path)) for path in chosen]
