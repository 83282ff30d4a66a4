"""A place of work: does recordings one after the other, in one process with one set of models."""

import contextlib
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import msgspec

from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.archive import remote, views
from gscon_live.realtime.archive.details import Details
from gscon_live.realtime.archive.entries import Entry, Facts, Failed
from gscon_live.realtime.archive.keys import Keys
from gscon_live.realtime.archive.store import (
    DETAILS,
    EVENTS,
    RECORD,
    VOICES,
    Results,
    details_name,
    folder_name,
    voices_name,
)
from gscon_live.realtime.archive.versions import library_versions, views_version
from gscon_live.realtime.archive.voices import Voices
from gscon_live.realtime.capture import caption_files
from gscon_live.realtime.capture.recording_inputs import is_url, shown_address, shown_name
from gscon_live.realtime.display.terminal import Notices
from gscon_live.realtime.events import sinks
from gscon_live.realtime.events.schema import AnyEvent
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.session.inline import replay_inline
from gscon_live.realtime.session.model_info import model_info
from gscon_live.realtime.session.models import Models
from gscon_live.realtime.session.recorded import open_recording, plan_of

#: Gets the share of a recording that is done, 0 to 1. May raise an exception to stop the work.
OnProgress = Callable[[float], None]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How all recordings of an archive are done.

    `captions` is "auto" or "off", `out` the folder of the archive, as all workers see it, `details`
    whether there are tables of seconds and frames, and `people` whether speakers are found again
    over recordings.
    """

    settings: Settings
    captions: str
    out: str
    details: bool = False
    people: bool = False


class _Extra(Protocol):
    """Listens to a replay, and writes what was asked for besides the results."""

    def take(self, message: object) -> None: ...
    def write(self, events: Sequence[AnyEvent]) -> None: ...
    def close(self) -> None: ...


class _Kept(Notices):
    """Keeps the lines for the user, to tell them with the recording's result."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


class Station:
    """Does recordings: events, report, table, all of them or nothing.

    Args:
        recipe: how they are done.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._models = Models()
        self._keys = Keys(recipe.settings, recipe.captions)
        self._results = Results(Path(recipe.out))
        self._details = Results(Path(recipe.out), DETAILS)
        self._voices = Results(Path(recipe.out), VOICES)

    def do(self, path: str, on_progress: OnProgress) -> Entry | Failed:
        """The results of a recording, which are computed unless they are there. What `on_progress`
        raises ends the work, and leaves nothing half-written."""
        try:
            return self._do(path, on_progress)
        except (InputError, Failure) as error:
            return Failed(path=path, reason=" ".join(str(error).split()))
        except (OSError, ValueError) as error:
            # A file that vanished meanwhile, or a name that is no text.
            detail = " ".join(str(error).split())
            return Failed(path=path, reason=f"{path}: {detail}; check the file and its name")

    def _do(self, path: str, on_progress: OnProgress) -> Entry:
        stamp = stamp_of(path, self._recipe.captions)
        if not is_url(path):
            return self._do_file(path, path, shown_name(path), stamp, on_progress)
        with self._results.scratch() as folder:
            name = shown_address(path)
            file = str(remote.copy(path, folder, self._recipe.settings.recording.url_limit))
            try:
                return self._do_file(file, path, name, stamp, on_progress)
            except (InputError, Failure) as error:
                raise type(error)(str(error).replace(file, name)) from error

    def _do_file(
        self, file: str, path: str, name: str, stamp: str, on_progress: OnProgress
    ) -> Entry:
        """The results of a file on this machine; `path` is where the recording is, `name` how
        events call it."""
        settings, captions = self._recipe.settings, self._recipe.captions
        notices = _Kept()
        recorded = open_recording(file, settings, captions, notices)
        facts = Facts(
            name=name,
            content=recorded.content,
            duration=round(recorded.duration, 3),
            has_audio=recorded.has_audio,
            has_video=recorded.has_video,
            has_captions=recorded.has_captions,
        )
        plan, duration = plan_of(recorded, settings, None, notices)
        key = self._keys.of(facts)
        folder = folder_name(name, key)
        missing = self._missing(folder, name)
        if missing or not self._results.there(folder):
            with contextlib.ExitStack() as stack:
                place = stack.enter_context(self._results.placing(folder))
                extras: list[tuple[Path, _Extra]] = []
                for results, own, make in missing:
                    # Placed before the results: who sees these sees what else was asked for.
                    extra_place = stack.enter_context(results.placing(own))
                    extras.append((extra_place, stack.enter_context(closing(make(extra_place)))))

                def listen(message: object) -> None:
                    for _, extra in extras:
                        extra.take(message)

                with closing(sinks.JsonLines(place / EVENTS)) as events:
                    replay_inline(
                        plan,
                        [events],
                        self._models,
                        model=model_info(settings.recognition),
                        source=name,
                        on_tick=lambda time: on_progress(min(time / max(duration, 1e-3), 1.0)),
                        on_message=listen if extras else None,
                    )
                views.write_views(place, name)
                self._write_record(place, path, key, facts, notices.lines)
                spoken = views.read_events(place) if extras else []
                for extra_place, extra in extras:
                    extra.write(spoken)
                    self._write_record(extra_place, path, key, facts, [])
        return entry_of(self._results, path, stamp, key, facts)

    def _missing(
        self, folder: str, name: str
    ) -> list[tuple[Results, str, Callable[[Path], "_Extra"]]]:
        """What was asked for besides the results and is not there: where it will be, its folder,
        and what writes it."""
        recipe = self._recipe
        asked: list[tuple[bool, Results, str, Callable[[Path], _Extra]]] = [
            (
                recipe.details,
                self._details,
                details_name(folder),
                lambda place: Details(place, name),
            ),
            (recipe.people, self._voices, voices_name(folder), Voices),
        ]
        return [
            (results, own, make)
            for wanted, results, own, make in asked
            if wanted and not results.there(own)
        ]

    def _write_record(
        self, place: Path, path: str, key: str, facts: Facts, notices: list[str]
    ) -> None:
        record = {
            "path": path,
            "key": key,
            "inputs": self._keys.inputs(facts),
            "facts": facts,
            "views": views_version(),
            "libraries": library_versions(),
            "notices": notices,
        }
        (place / RECORD).write_bytes(
            msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
        )


def entry_of(results: Results, path: str, stamp: str, key: str, facts: Facts) -> Entry:
    """The journal's entry for results that are there. Report and table are written again where an
    earlier version of the code wrote them.

    Raises:
        InputError: the results are damaged.
    """
    folder = folder_name(facts.name, key)
    place = results.path / folder
    try:
        record = msgspec.json.decode((place / RECORD).read_bytes())
        if record["views"] != views_version():
            views.write_views(place, facts.name)
            record["views"] = views_version()
            encoded = msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
            unfinished = place / f".{RECORD}"
            unfinished.write_bytes(encoded)
            unfinished.replace(place / RECORD)
        summary = views.summarised(views.read_events(place), record["notices"])
    except (msgspec.DecodeError, KeyError, FileNotFoundError) as error:
        raise InputError(f"{place}: is damaged ({error}); delete this folder") from error
    return Entry(
        path=path,
        stamp=stamp,
        key=key,
        folder=folder,
        views=views_version(),
        facts=facts,
        summary=summary,
    )


def stamp_of(place: str, captions: str) -> str:
    """Size and time of the last change of a recording, and of the caption files beside it: where
    both are as they were, the content counts as unchanged. Empty for an address whose server does
    not tell.

    Raises:
        OSError: there is no such file.
    """
    if is_url(place):
        return remote.stamp(place)
    path = Path(place)
    beside = [] if captions == "off" else caption_files.sidecars(path)
    parts = []
    for file in (path, *beside):
        state = os.stat(file)
        parts.append(f"{'' if file is path else file.name}:{state.st_size}:{state.st_mtime_ns}")
    return "|".join(parts)
