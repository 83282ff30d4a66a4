"""A place of work: does recordings one after the other, in one process with one set of models."""

import contextlib
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

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
    Results,
    details_name,
    folder_name,
)
from gscon_live.realtime.archive.versions import library_versions, views_version
from gscon_live.realtime.capture import caption_files
from gscon_live.realtime.capture.recording_inputs import is_url, shown_address, shown_name
from gscon_live.realtime.display.terminal import Notices
from gscon_live.realtime.events import sinks
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.session.inline import replay_inline
from gscon_live.realtime.session.model_info import model_info
from gscon_live.realtime.session.models import Models
from gscon_live.realtime.session.recorded import open_recording, plan_of

#: Gets the share of a recording that is done, 0 to 1. May raise an exception to stop the work.
OnProgress = Callable[[float], None]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How all recordings of an archive are done.

    `captions` is "auto" or "off", `out` the folder of the archive, as all workers see it, and
    `details` whether there are tables of seconds and frames.
    """

    settings: Settings
    captions: str
    out: str
    details: bool = False


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
        detailed = details_name(folder)
        missing = self._recipe.details and not self._details.there(detailed)
        if missing or not self._results.there(folder):
            with contextlib.ExitStack() as stack:
                place = stack.enter_context(self._results.placing(folder))
                listener = None
                if missing:
                    # Placed before the results: who sees these sees the details.
                    details_place = stack.enter_context(self._details.placing(detailed))
                    listener = stack.enter_context(closing(Details(details_place, name)))
                with closing(sinks.JsonLines(place / EVENTS)) as events:
                    replay_inline(
                        plan,
                        [events],
                        self._models,
                        model=model_info(settings.recognition),
                        source=name,
                        on_tick=lambda time: on_progress(min(time / max(duration, 1e-3), 1.0)),
                        on_message=None if listener is None else listener.take,
                    )
                views.write_views(place, name)
                self._write_record(place, path, key, facts, notices.lines)
                if listener is not None:
                    listener.write(views.read_events(place))
                    self._write_record(details_place, path, key, facts, [])
        return entry_of(self._results, path, stamp, key, facts)

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
