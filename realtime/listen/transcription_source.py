"""Where the words come from: captions, a Whisper model on disk, a model by name, or nowhere."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from faster_whisper import available_models
from faster_whisper.utils import download_model

from gscon_live.common.errors import InputError
from gscon_live.realtime.pipeline.settings import Transcription

#: The faster-whisper model that `auto` takes.
DEFAULT_MODEL = "small"

_REMEDY = (
    "give a faster-whisper model directory or name with --transcriber, captions with --captions, "
    "or go without words with --transcriber off"
)


class _NotToBeHad(InputError):
    """The model is known by name, and neither on this machine nor to be downloaded now."""


class Words(msgspec.Struct, frozen=True):
    """The source of the words: `model` is a directory to load, `captions` that cues are used.

    `notice` is what the user should be told once, or None.
    """

    captions: bool = False
    model: str | None = None
    notice: str | None = None


def choose(
    settings: Transcription, has_captions: bool, say: Callable[[str], None] = lambda _: None
) -> Words:
    """Decides where words come from, by `settings.transcriber` and what there is.

    Args:
        settings: see `Transcription.transcriber`. A model that is asked for without `auto:` goes
            before captions, nothing else does.
        has_captions: the recording comes with captions that may be used.
        say: is told before something takes long (a download).

    Raises:
        InputError: a directory or name was asked for, and it is not there.
    """
    wanted = settings.transcriber
    automatic = wanted == "auto" or wanted.startswith("auto:")
    if not automatic and wanted != "off":
        return Words(model=_find(wanted, say))
    if has_captions:
        return Words(captions=True)
    if not automatic:
        return Words()
    model = wanted.removeprefix("auto").removeprefix(":") or DEFAULT_MODEL
    try:
        return Words(model=_find(model, say))
    except _NotToBeHad:
        return Words(
            notice=f"no captions and no faster-whisper model {model!r} here: going on "
            f"with voice and face, without words; {_REMEDY}"
        )


def _find(wanted: str, say: Callable[[str], None]) -> str:
    """The directory of a model that is given by directory or name."""
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


def _by_name(name: str, say: Callable[[str], None]) -> str:
    if name not in available_models():
        if os.sep in name or name.startswith((".", "~")):
            _refuse(name)
        raise InputError(
            f"transcriber {name!r}: neither a directory nor a faster-whisper model; "
            f"names are {', '.join(available_models())}"
        )
    try:
        return str(download_model(name, local_files_only=True))
    except Exception:  # the hub's client has many ways to say that it is not cached
        pass
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        raise _NotToBeHad(
            f"transcriber {name!r} is not cached and HF_HUB_OFFLINE is set; {_REMEDY}"
        )
    say(f"downloading the faster-whisper model {name!r} (once)")
    try:
        return str(download_model(name))
    except Exception as error:  # likewise, and each kind of network has its own
        first = " ".join(str(error).split())[:120]
        raise _NotToBeHad(
            f"transcriber {name!r}: not on this machine, and it could not be downloaded "
            f"({type(error).__name__}: {first}); {_REMEDY}"
        ) from error
