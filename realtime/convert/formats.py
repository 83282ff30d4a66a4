"""The formats into which events are converted."""

import importlib.util
import io
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from gscon_live.common.errors import InputError
from gscon_live.common.extras import MissingExtra
from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.archive import columns
from gscon_live.realtime.convert import annotations
from gscon_live.realtime.convert.lanes import session_of, words_of
from gscon_live.realtime.events import schema, sinks
from gscon_live.realtime.events.corrections import Corrections, path_for
from gscon_live.realtime.events.in_words import printable, short_answer
from gscon_live.realtime.events.schema import AnyEvent


class Request(NamedTuple):
    """What is to be converted: the file, its events as people corrected them, the address of the
    recording if it was given, the events as they are in the file, and the corrections."""

    path: Path
    events: Sequence[AnyEvent]
    media: str | None
    original: Sequence[AnyEvent]
    corrections: Corrections


class Format(NamedTuple):
    """A format.

    `ours` tells by the path and the first bytes of a file whether this project wrote it; of formats
    that people edit it never is, so that no work of theirs is lost. `needs` are modules, and the
    extra that brings them.
    """

    ending: str
    summary: str
    write: Callable[[Request], bytes]
    ours: Callable[[Path, bytes], bool]
    needs: tuple[str, ...] = ()
    extra: str = "archive"

    def check(self) -> None:
        """Raises `MissingExtra` where a library is not installed."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        if absent:
            raise MissingExtra(
                f"this format needs the extra {self.extra!r}: {', '.join(absent)} is not "
                f"installed; run pip install 'gscon-live[{self.extra}]'"
            )


def _never(path: Path, head: bytes) -> bool:
    return False


def _through(sink: str) -> Callable[[Request], bytes]:
    """Writes through a sink of the project."""

    def write(request: Request) -> bytes:
        if sink == "vtt":
            session_of(request.events, request.path)
        stream = io.StringIO(newline="")
        with closing(sinks.of_name(sink)(stream)) as output:
            for event in request.events:
                output.write(event)
        return stream.getvalue().encode("utf-8", errors="replace")

    return write


def _parquet(request: Request) -> bytes:
    table = _through("csv")(request).decode()
    rows = columns.csv_rows(io.StringIO(table, newline=""))
    stream = io.BytesIO()
    columns.write_parquet(stream, "utterances", sinks.Csv.COLUMNS, rows)
    return stream.getvalue()


def _is_our_parquet(path: Path, head: bytes) -> bool:
    import pyarrow
    import pyarrow.parquet

    try:
        metadata = pyarrow.parquet.read_schema(path).metadata
    except (OSError, pyarrow.ArrowException):
        return False
    return columns.MARK in (metadata or {})


#: The beginning of our SubRip captions: a first cue with an emotion.
_OUR_SRT = re.compile(
    rb"\d+\n[\d:,]+ --> [\d:,]+\n[^\n]*\[(%s)\?? \d+ %%\]" % "|".join(EMOTIONS).encode()
)


def _srt(request: Request) -> bytes:
    cues = []
    utterances = session_of(request.events, request.path).utterances
    for number, event in enumerate(utterances, 1):
        start = max(round(event.utterance.start * 1000), 0)
        end = max(round(event.utterance.end * 1000), start + 1)
        speaker = printable(" ".join(event.utterance.speaker.split()))
        words = f"{speaker}: [{short_answer(event)}] {words_of(event)}".rstrip()
        cues.append(f"{number}\n{_time(start)} --> {_time(end)}\n{words}\n\n")
    return "".join(cues).encode("utf-8", errors="replace")


def _time(time: int) -> str:
    """A time in milliseconds as hh:mm:ss,mmm."""
    seconds, milliseconds = divmod(time, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{milliseconds:03}"


def _report(request: Request) -> bytes:
    from gscon_live.realtime.display import report_page

    started = next((e for e in request.events if isinstance(e, schema.SessionStarted)), None)
    title = started.source if started else request.path.stem
    name = path_for(request.path).name
    beside = report_page.Beside(corrections=request.corrections, corrections_name=name)
    page = report_page.render(request.original, title, beside)
    return page.encode("utf-8", errors="replace")


def _is_our_report(path: Path, head: bytes) -> bool:
    from gscon_live.realtime.display import report_page

    return report_page.ours(head)


def _elan(request: Request) -> bytes:
    return annotations.elan(session_of(request.events, request.path), request.media)


def _praat(request: Request) -> bytes:
    return annotations.praat(session_of(request.events, request.path))


def _label_studio(request: Request) -> bytes:
    return annotations.label_studio(session_of(request.events, request.path), request.media)


FORMATS: dict[str, Format] = {
    "csv": Format(
        ".csv", "a table of utterances", _through("csv"), lambda _, head: sinks.Csv.ours(head)
    ),
    "parquet": Format(".parquet", "the same with types", _parquet, _is_our_parquet, ("pyarrow",)),
    "srt": Format(
        ".srt", "SubRip captions", _srt, lambda _, head: _OUR_SRT.match(head) is not None
    ),
    "vtt": Format(
        ".vtt", "WebVTT captions", _through("vtt"), lambda _, head: sinks.WebVtt.ours(head)
    ),
    "eaf": Format(".eaf", "for ELAN", _elan, _never, ("pympi",)),
    "TextGrid": Format(".TextGrid", "for Praat", _praat, _never, ("praatio",)),
    "label-studio": Format(".json", "predictions for Label Studio", _label_studio, _never),
    "report": Format(
        ".html", "a page to read in a browser", _report, _is_our_report, ("jinja2",), "live"
    ),
}


def format_of(name: str) -> Format:
    """A format by name. Raises `InputError` for an unknown one."""
    if name not in FORMATS:
        raise InputError(f"--to {name}: unknown format; give one of {', '.join(FORMATS)}")
    return FORMATS[name]
