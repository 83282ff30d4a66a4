"""The outputs of a live session or a replay, planned and checked before anything is read."""

from collections.abc import Sequence
from pathlib import Path

from gscon_live.common.errors import InputError
from gscon_live.common.outputs import Outputs
from gscon_live.realtime.capture import caption_files
from gscon_live.realtime.display import report_page
from gscon_live.realtime.events import endpoint, sinks


def check_outputs(
    *,
    config: str | None = None,
    inputs: Sequence[tuple[Path, str]] = (),
    recordings: Sequence[Path] = (),
    count: int | None = None,
    events: str | None = None,
    report: str | None = None,
    record: str | None = None,
    publish: str | None = None,
) -> None:
    """Refuses outputs that would destroy something or cannot be written.

    Args:
        config: the name or path of the configuration.
        inputs: other files that are read, and what they are.
        recordings: the files among the recordings that are replayed.
        count: the number of recordings, with those that are no files; None: only these files.
        events: the file of the events.
        report: the page.
        record: the folder of a live session's recording.
        publish: the address of the event stream.

    Raises:
        InputError: an output is an input, captions of a recording, another output, a file that
            somebody else made, or cannot be written.
    """
    plan = Outputs()
    if config is not None and Path(config).is_file():
        plan.reads(config, "the configuration")
    for path, what in inputs:
        plan.reads(path, what)
    for recording in recordings:
        plan.reads(recording, "the recording")
        for path in caption_files.sidecars(recording):
            plan.reads(path, f"the captions of {recording.name}")
    if events is not None:
        kind = sinks.kind_for(events)
        plan.writes(events, "--events", kind.ours)
    if report is not None:
        plan.writes(report, "--report", report_page.ours, report_page.ENDINGS)
    if record is not None:
        plan.makes(record, "--record", "session.mkv", "events.jsonl")
    socket = None if publish is None else endpoint.socket_path(publish)
    if socket is not None:
        plan.binds(socket, "--publish")
    plan.check()
    if events is not None:
        _check_future_captions(Path(events), recordings)
        _check_one_timeline(Path(events), len(recordings) if count is None else count)


def _check_future_captions(events: Path, recordings: Sequence[Path]) -> None:
    """Refuses a new file that the next replay would take for the recording's captions."""
    for recording in recordings:
        if caption_files.is_sidecar(events, recording):
            raise InputError(
                f"--events {events}: the next replay would take it for the captions of "
                f"{recording.name}; give another name or folder"
            )


def _check_one_timeline(events: Path, count: int) -> None:
    """Refuses captions of several recordings: their times begin anew in each."""
    if count > 1 and events.suffix.lower() == ".vtt":
        raise InputError(
            f"--events {events}: captions belong to one recording; replay the {count} "
            "one at a time, or give a .csv or .jsonl file"
        )
