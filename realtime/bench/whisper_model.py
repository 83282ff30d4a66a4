"""The Whisper model of a measurement, and the settings of a session with it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.realtime.listen.transcription_source import choose, here
from gscon_live.realtime.pipeline.settings import Settings


def add_arguments(
    parser: argparse.ArgumentParser, model: str = "a Whisper model", archive: str | None = None
) -> None:
    """Adds `model`, `archive` where it is described, `overrides` and `--json`. `model` and
    `archive` say what they are."""
    parser.add_argument("model", help=f"{model}, by name or directory")
    if archive is not None:
        parser.add_argument("archive", type=Path, help=archive)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def chosen_model(model: str, overrides: Sequence[str]) -> tuple[str, Settings]:
    """The directory of a model by name or directory, and the settings of a session with it.

    Raises:
        InputError: a setting is wrong, or there is no such model on this machine.
    """
    settings = _with_model(loader.load("live", Settings, overrides), model)
    directory = choose(settings.transcription, False).model
    if directory is None:
        raise InputError(f"{model}: no Whisper model; give a name or a directory")
    return directory, settings


def model_here(settings: Settings) -> tuple[str, Settings] | None:
    """The directory of the model that is on this machine, and the settings of a session with it;
    None where there is none."""
    model = here(settings.transcription)
    return None if model is None else (model, _with_model(settings, model))


def _with_model(settings: Settings, model: str) -> Settings:
    transcription = msgspec.structs.replace(settings.transcription, transcriber=model)
    return msgspec.structs.replace(settings, transcription=transcription)
