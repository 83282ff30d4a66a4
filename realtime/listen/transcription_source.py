"""Chooses the source of the words: captions, a Whisper model, or none."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from faster_whisper import available_models
from faster_whisper.utils import download_model

from gscon_live.common.errors import InputError
from gscon_live.realtime.pipeline.settings import Transcription

#: The faster-whisper model of `auto`.
DEFAULT_MODEL = "small"

_REMEDY = (
    "give a faster-whisper model directory or name with --transcriber, captions with --captions, "
    "or go without words with --transcriber off"
)


class _NotAvailable(InputError):
    """A known model that is not on this machine and cannot be downloaded now."""


class Words(msgspec.Struct, frozen=True):
    """The source of the words: captions, a model directory, or neither.

    `notice` is a line for the user, or None.
    """

    captions: bool = False
    model: str | None = None
    notice: str | None = None


def choose(
    settings: Transcription, has_captions: bool, say: Callable[[str], None] = lambda _: None
) -> Words:
    """Chooses the source of the words by `settings.transcriber` and what is available.

    Args:
        settings: see `Transcription.transcriber`. Only a model without `auto:` is
            used although there are captions.
        has_captions: whether the recording has captions that may be used.
        say: gets a line for the user before a download.

    Raises:
        InputError: the chosen model or directory does not exist.
    """
    wanted = settings.transcriber
    automatic = is_automatic(settings)
    if not automatic and wanted != "off":
        return Words(model=_find(wanted, say))
    if has_captions:
        return Words(captions=True)
    if not automatic:
        return Words()
    model = wanted.removeprefix("auto").removeprefix(":") or DEFAULT_MODEL
    try:
        return Words(model=_find(model, say))
    except _NotAvailable:
        return Words(
            notice=f"no captions and no faster-whisper model {model!r} here: going on "
            f"with voice and face, without words; {_REMEDY}"
        )


def check(settings: Transcription) -> None:
    """Refuses a transcriber that does not exist, without loading or downloading it.

    Raises:
        InputError: it is neither a directory with a model nor the name of one.
    """
    wanted = settings.transcriber
    if is_automatic(settings):
        wanted = wanted.removeprefix("auto").removeprefix(":") or DEFAULT_MODEL
    if wanted != "off" and _directory(wanted) is None:
        _check_name(wanted)


def here(name: str) -> str | None:
    """The directory of a model by name or directory, if it is on this machine; else None."""
    try:
        return _directory(name) or str(download_model(name, local_files_only=True))
    except Exception:  # the hub's client raises many kinds of errors
        return None


def is_automatic(settings: Transcription) -> bool:
    """Whether captions come before the transcriber."""
    return settings.transcriber == "auto" or settings.transcriber.startswith("auto:")


def _find(wanted: str, say: Callable[[str], None]) -> str:
    """The directory of a model, which is given by directory or name."""
    return _directory(wanted) or _by_name(wanted, say)


def _directory(path: str) -> str | None:
    directory = Path(path).expanduser()
    if not directory.is_dir():
        return None
    missing = [name for name in ("model.bin", "config.json") if not (directory / name).is_file()]
    if missing:
        raise InputError(
            f"transcriber directory {path}: no {' and no '.join(missing)} in it; expected a "
            "faster-whisper (CTranslate2) model directory"
        )
    return str(directory)


def _refuse(path: str) -> str:
    raise InputError(f"transcriber directory {path}: there is no such directory; {_REMEDY}")


def _check_name(name: str) -> None:
    if name not in available_models():
        if os.sep in name or name.startswith((".", "~")):
            _refuse(name)
        raise InputError(
            f"transcriber {name!r}: neither a directory nor a faster-whisper model; "
            f"names are {', '.join(available_models())}"
        )


def _by_name(name: str, say: Callable[[str], None]) -> str:
    _check_name(name)
    try:
        return str(download_model(name, local_files_only=True))
    except Exception:  # it is not cached: the hub's client raises many kinds of errors
        pass
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        raise _NotAvailable(
            f"transcriber {name!r} is not cached and HF_HUB_OFFLINE is set; {_REMEDY}"
        )
    say(f"downloading the faster-whisper model {name!r} (once)")
    try:
        return str(download_model(name))
    except Exception as error:  # no network: many kinds of errors, too
        first = " ".join(str(error).split())[:120]
        raise _NotAvailable(
            f"transcriber {name!r}: not on this machine, and it could not be downloaded "
            f"({type(error).__name__}: {first}); {_REMEDY}"
        ) from error
