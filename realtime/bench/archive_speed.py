"""How fast an archive is built on this machine, beside one process that does the same."""

import time
from pathlib import Path

import msgspec

from gscon_live.common.errors import Failure
from gscon_live.realtime.archive import index_page, pool, tables
from gscon_live.realtime.archive.entries import Entry, Failed
from gscon_live.realtime.archive.pool import LocalWorkers, Report
from gscon_live.realtime.archive.station import Recipe, Station
from gscon_live.realtime.archive.store import Archive
from gscon_live.realtime.bench import media
from gscon_live.realtime.pipeline.settings import Settings

#: Recordings for each worker, so that the last one is not long alone.
_EACH = 3
#: Recordings of the archive whose tables are written.
_TABLED = 1000
#: Seconds of a recording for which all models are loaded: it has an utterance.
_SHORT = 4.0


def archive(settings: Settings, folder: Path, minutes: float) -> dict[str, float]:
    """Builds an archive of the sample, repeated, with as many workers as pay and with one.

    The loading of models counts, and the start of the program does not. The figures:
    `archive_hours_per_hour` is hours of recording an hour; `archive_times_one_process` is how many
    times as fast that is as one worker; `archive_processor_s_per_hour` is the processor time of the
    stages for an hour of recording, where the models are loaded; `archive_over_stages` is the time
    of all workers over that of the stages; `archive_megabytes_per_hour` is what an hour's results
    take on the disk; `archive_tables_s_per_hour` is the processor time of the tables and the index
    for an hour, in an archive of a thousand such recordings.

    Args:
        settings: those of the recordings.
        folder: where recordings and archives are written.
        minutes: length of all recordings together.
    """
    quiet = msgspec.structs.replace(
        settings, publish=msgspec.structs.replace(settings.publish, endpoint=None)
    )
    workers = pool.workers_that_pay(10**6, None)
    count = _EACH * workers
    talks = [
        str(media.repeated(folder / f"talk {number}.mkv", minutes * 60 / count))
        for number in range(count)
    ]
    # The first starts the server from which all workers are forked.
    _built(quiet, folder / "first", [_short(folder)], 1)
    entries: list[Entry] = []
    seconds = _built(quiet, folder / "many", talks, workers, entries)
    hours = sum(entry.summary.duration for entry in entries) / 3600
    alone = _built(quiet, folder / "one", talks, 1)
    stages = _stages(quiet, folder / "stages", talks[0]) * count
    return {
        "archive_hours_per_hour": hours * 3600 / seconds,
        "archive_workers": workers,
        "archive_times_one_process": alone / seconds,
        "archive_processor_s_per_hour": stages / hours,
        "archive_over_stages": seconds * workers / stages,
        "archive_megabytes_per_hour": _bytes(folder / "many") / hours / 1e6,
        "archive_tables_s_per_hour": _tables(folder / "many", entries) / hours,
    }


def _recipe(settings: Settings, out: Path) -> Recipe:
    Archive(out).begin()
    return Recipe(settings=settings, captions="auto", out=str(out))


def _built(
    settings: Settings,
    out: Path,
    talks: list[str],
    workers: int,
    entries: list[Entry] | None = None,
) -> float:
    """Builds an archive; gives the seconds that it took, and adds what is done to `entries`."""

    def take(report: Report) -> None:
        if isinstance(report, Failed):
            raise Failure(report.reason)
        if isinstance(report, Entry) and entries is not None:
            entries.append(report)

    recipe = _recipe(settings, out)
    begun = time.perf_counter()
    LocalWorkers(recipe, workers).run(talks, take, lambda: False)
    return time.perf_counter() - begun


def _bytes(out: Path) -> int:
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def _tables(out: Path, entries: list[Entry]) -> float:
    """The seconds of processor time for tables and index of recordings like these."""
    archive = Archive(out)
    copies = max(1, _TABLED // len(entries))
    for copy in range(copies):
        for entry in entries:
            path = f"{entry.path} {copy}"
            archive.done[path] = msgspec.structs.replace(entry, path=path)
    begun = time.process_time()
    index_page.write_index(archive, tables.write_tables(archive))
    return (time.process_time() - begun) / copies


def _stages(settings: Settings, out: Path, talk: str) -> float:
    """The seconds of processor time for a recording, where the models are loaded."""
    place = Station(_recipe(settings, out))
    place.do(_short(out.parent), lambda share: None)
    begun = time.process_time()
    place.do(talk, lambda share: None)
    return time.process_time() - begun


def _short(folder: Path) -> str:
    """A recording for which all models are loaded."""
    return str(media.repeated(folder / "short.mkv", _SHORT))
