"""Builds an archive: finds what is to be done, has it done, and writes tables and index."""

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gscon_live.common.errors import InputError
from gscon_live.realtime.archive import index_page, remote, tables
from gscon_live.realtime.archive.entries import Entry, Failed
from gscon_live.realtime.archive.inputs import Inputs
from gscon_live.realtime.archive.keys import Keys
from gscon_live.realtime.archive.pool import Reached, Report, Workers
from gscon_live.realtime.archive.progress import ArchiveProgress
from gscon_live.realtime.archive.station import Recipe, stamp_of
from gscon_live.realtime.archive.store import Archive, details_name, voices_name
from gscon_live.realtime.archive.versions import views_version
from gscon_live.realtime.archive.voices import people
from gscon_live.realtime.capture.recording_inputs import is_url

#: Recordings in an archive up to which a stopped run still writes tables and index.
_QUICK = 1000


class Work(NamedTuple):
    """What is to be done: bytes by path, the largest first; and the number that is done."""

    sizes: dict[str, int]
    done: int


def work_to_do(archive: Archive, inputs: Inputs, recipe: Recipe, keys: Keys) -> Work:
    """The recordings without up-to-date results.

    A recording whose size and time of change are as they were is not read. The largest come first,
    so that no long one is left for the end while other workers have nothing to do.
    """
    sizes: dict[str, int] = {}
    done = 0
    addresses = remote.stamps([path for path in inputs.recordings if is_url(path)])
    for path in inputs.recordings:
        if _is_done(archive, path, recipe, keys, addresses.get(path)):
            archive.forget_failure(path)
            done += 1
            continue
        try:
            sizes[path] = (
                remote.size_in(addresses[path]) if path in addresses else os.stat(path).st_size
            )
        except OSError:
            sizes[path] = 0  # the worker says what is wrong
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return Work(dict(ordered), done)


def _is_done(archive: Archive, path: str, recipe: Recipe, keys: Keys, stamp: str | None) -> bool:
    """Whether up-to-date results are there; `stamp` is that of an address."""
    entry = archive.done.get(path)
    if entry is None or entry.views != views_version() or not archive.results.there(entry.folder):
        return False
    if recipe.details and not archive.details.there(details_name(entry.folder)):
        return False
    if recipe.people and not archive.voices.there(voices_name(entry.folder)):
        return False
    try:
        now = stamp_of(path, recipe.captions) if stamp is None else stamp
        # Where nobody tells whether an address has changed, it is read.
        return now == entry.stamp != "" and keys.of(entry.facts) == entry.key
    except (OSError, InputError):
        return False


def build(
    archive: Archive,
    inputs: Inputs,
    work: Work,
    workers: Workers,
    stopping: Callable[[], bool],
    shown: bool,
) -> bool:
    """Has the work done, and writes tables and index. Returns whether it was not stopped.

    Args:
        archive: gets the results.
        inputs: what was given; its problems become failures.
        work: what is to be done.
        workers: who does it.
        stopping: whether to stop now.
        shown: whether progress is shown; failures always are.

    Raises:
        Failure: the archive cannot be written, or no worker can work.
    """
    for path in list(archive.failed):
        if path in work.sizes or not (is_url(path) or os.path.isfile(path)):
            archive.forget_failure(path)
    with ArchiveProgress(work.sizes, shown) as progress:
        for problem in inputs.problems:
            archive.add(Failed(path=problem.path, reason=f"{problem.path}: {problem.reason}"))

        def take(report: Report) -> None:
            if isinstance(report, Reached):
                progress.reach(report.path, report.share)
                return
            archive.add(report)
            if isinstance(report, Failed):
                progress.failed(report.path, report.reason)
            else:
                progress.done(report.path, _line(report))

        workers.run(list(work.sizes), take, stopping)
    stopped = stopping()
    archive.refresh()
    archive.clear_unfinished()
    if not stopped:
        archive.clear_superseded()
    if not stopped or len(archive.done) <= _QUICK:
        who = people(archive)
        index_page.write_index(archive, tables.write_tables(archive, who), who)
    return not stopped


def failures_of(archive: Archive, inputs: Inputs) -> Sequence[str]:
    """The paths among the inputs that have failed."""
    paths = [*inputs.recordings, *(problem.path for problem in inputs.problems)]
    return [path for path in paths if path in archive.failed]


def _line(entry: Entry) -> str:
    summary = entry.summary
    minutes, seconds = divmod(round(summary.duration), 60)
    return f"{entry.facts.name}: {summary.utterances} utterances in {minutes}:{seconds:02}"
