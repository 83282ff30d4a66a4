"""Chooses the source of the words: captions, a Whisper model, or none."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

import msgspec
from faster_whisper import available_models
from faster_whisper.utils import download_model

from gscon_live.common.errors import Failure, InputError
from gscon_live.common.suggestions import did_you_mean
from gscon_live.realtime.listen import whisper_models
from gscon_live.realtime.pipeline.settings import Transcription

#: The models that `auto` looks for, the largest first. Larger ones do not keep up on most machines.
AUTOMATIC = ("small", "base", "tiny.en")
#: The model that `auto` offers to fetch where there is none.
OFFERED = "base"
#: What a download from the hub takes, where it was measured.
_MEGABYTES = {"small": 490}

_REMEDY = (
    "fetch a model with `gscon-live setup`, give a faster-whisper model directory or name with "
    "--transcriber, captions with --captions, or go without words with --transcriber off"
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


class Downloads(Protocol):
    """Asks the user about a download, and shows how far it is."""

    def allowed(self, what: str, megabytes: int) -> bool:
        """Whether something may be downloaded that nobody asked for by name."""
        ...

    def shown(self, what: str, megabytes: int | None) -> AbstractContextManager[object]:
        """Shows the progress of a download while it runs; its size may be unknown."""
        ...


class Unshown:
    """Nobody is asked, and nothing is shown."""

    def allowed(self, what: str, megabytes: int) -> bool:
        """Nothing is."""
        return False

    def shown(self, what: str, megabytes: int | None) -> AbstractContextManager[object]:
        """Shows nothing."""
        return nullcontext()


def choose(
    settings: Transcription,
    has_captions: bool,
    say: Callable[[str], None] = lambda _: None,
    downloads: Downloads | None = None,
) -> Words:
    """Chooses the source of the words by `settings.transcriber` and what is available.

    Args:
        settings: see `Transcription.transcriber`. Only a model without `auto:` is
            used although there are captions.
        has_captions: whether the recording has captions that may be used.
        say: gets a line for the user before a download.
        downloads: is asked before a model that nobody named is fetched, and shows all downloads.

    Raises:
        InputError: the chosen model or directory does not exist.
    """
    wanted = settings.transcriber
    automatic = is_automatic(settings)
    downloads = downloads or Unshown()
    if not automatic and wanted != "off":
        return Words(model=_find(wanted, say, downloads))
    if has_captions:
        return Words(captions=True)
    if not automatic:
        return Words()
    model = _named(settings)
    try:
        directory = _find(model, say, downloads) if model else _largest_here(say, downloads)
    except _NotAvailable:
        directory = None
    if directory is not None:
        return Words(model=directory)
    missing = f"no faster-whisper model {model!r}" if model else "no Whisper model"
    return Words(
        notice=f"no captions and {missing} here: going on with voice and face, without words; "
        f"{_REMEDY}"
    )


def check(settings: Transcription) -> None:
    """Refuses a transcriber that does not exist, without loading or downloading it.

    Raises:
        InputError: it is neither a directory with a model nor the name of one.
    """
    model = _named(settings)
    if model and _directory(model) is None:
        _check_name(model)


def here(settings: Transcription) -> str | None:
    """The directory of the Whisper model of some settings, if it is on this machine; else None."""
    model = _named(settings)
    if model:
        return _directory(model) or _on_this_machine(model)
    if settings.transcriber == "off":
        return None
    return next(filter(None, map(_on_this_machine, AUTOMATIC)), None)


def present() -> list[tuple[str, str]]:
    """Names and directories of the models of `auto` on this machine, the largest first."""
    every = [(name, _on_this_machine(name)) for name in AUTOMATIC]
    return [(name, directory) for name, directory in every if directory is not None]


def folders() -> tuple[Path, Path]:
    """Where models arrive: the hub's cache, and the folder of fetched ones."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE), whisper_models.folder()


def is_automatic(settings: Transcription) -> bool:
    """Whether captions come before the transcriber."""
    return settings.transcriber == "auto" or settings.transcriber.startswith("auto:")


def _named(settings: Transcription) -> str:
    """The model that the settings name; empty for `auto` and `off`."""
    if is_automatic(settings):
        return settings.transcriber.removeprefix("auto").removeprefix(":")
    return "" if settings.transcriber == "off" else settings.transcriber


def _find(wanted: str, say: Callable[[str], None], downloads: Downloads) -> str:
    """The directory of a model, which is given by directory or name."""
    return _directory(wanted) or _by_name(wanted, say, downloads)


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
            f"{did_you_mean(name, available_models())}names are {', '.join(available_models())}"
        )


def _largest_here(say: Callable[[str], None], downloads: Downloads) -> str | None:
    """The directory of the largest model of `AUTOMATIC` on this machine; without any, of the one
    that is offered, if the user agrees."""
    present = here(Transcription())
    if present is not None:
        return present
    model = whisper_models.MODELS[OFFERED]
    what = f"Whisper {OFFERED}"
    if not downloads.allowed(what, model.megabytes):
        return None
    try:
        with downloads.shown(what, model.megabytes):
            return str(whisper_models.fetch(OFFERED, say))
    except Failure as failure:
        say(str(failure))
        return None


def _on_this_machine(name: str) -> str | None:
    """The directory of a model by name: fetched as packages, or in the hub's cache."""
    path = whisper_models.find(name)
    if path is not None:
        return str(path)
    try:
        return str(download_model(name, local_files_only=True))
    except Exception:  # it is not cached: the hub's client raises many kinds of errors
        return None


def _by_name(name: str, say: Callable[[str], None], downloads: Downloads) -> str:
    _check_name(name)
    path = _on_this_machine(name)
    if path is not None:
        return path
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        raise _NotAvailable(
            f"transcriber {name!r} is not cached and HF_HUB_OFFLINE is set; {_REMEDY}"
        )
    what, megabytes = f"the faster-whisper model {name!r}", _MEGABYTES.get(name)
    size = "" if megabytes is None else f"about {megabytes} MB, "
    say(f"downloading {what} ({size}once); --transcriber off goes without")
    try:
        with downloads.shown(what, megabytes):
            return str(download_model(name))
    except Exception as error:  # no network: many kinds of errors, too
        first = " ".join(str(error).split())[:120]
        raise _NotAvailable(
            f"transcriber {name!r}: not on this machine, and it could not be downloaded "
            f"({type(error).__name__}: {first}); {_REMEDY}"
        ) from error
