"""Where events go: files and terminals, as JSON lines, CSV, WebVTT or readable text.

Every sink writes whole lines and flushes after each event, so what a killed session leaves behind
is readable to its last line. A file that was there before is replaced when the first event
arrives, not earlier: a session that never starts destroys nothing.
"""

import csv
import io
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TextIO, cast

from gscon_live.common import registry
from gscon_live.common.errors import Failure, InputError
from gscon_live.common.files import check_output
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent, Modality, Provisional, UtteranceEvent

#: A file to write, or an open text stream, which stays open.
Target = Path | str | TextIO


class Sink(ABC):
    """Takes events one by one. Its class is called with a `Target`."""

    @abstractmethod
    def write(self, event: AnyEvent) -> None:
        """Takes the next event. Raises `Failure` where the disk is full or nothing can be
        written."""

    @abstractmethod
    def close(self) -> None:
        """Completes what was written; nothing may be written after it."""


class SinkType(Protocol):
    """A class of sinks that write to a file, or to a text stream, which stays open."""

    def __call__(self, target: Target, /) -> Sink: ...


#: The project's sinks by name, each with its module and class. A file's ending is the name of its
#: sink; those with an ending of their own are in `_ENDINGS`.
SINKS: dict[str, str] = {
    "text": f"{__name__}.Text",
    "jsonl": f"{__name__}.JsonLines",
    "csv": f"{__name__}.Csv",
    "vtt": f"{__name__}.WebVtt",
}
_ENDINGS = {"txt": "text"}


#: These and those that other packages add by entry point.
_SINKS: registry.Registry[Sink] = registry.Registry("sink", Sink, SINKS, "gscon_live.sinks")


def names() -> list[str]:
    """The names of all sinks."""
    return _SINKS.names()


def of_name(name: str) -> SinkType:
    """The class of a sink. Raises `InputError` where there is none of this name, or another
    package's cannot be used."""
    return cast(SinkType, _SINKS.get(name))


def for_path(path: Path | str) -> Sink:
    """The sink that the file's ending asks for; nothing is written before its first event.

    Raises:
        InputError: the ending is unknown, or no file can be there.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    name = _ENDINGS.get(ending, ending)
    if name not in names():
        own = {sink: end for end, sink in _ENDINGS.items()}
        endings = ", ".join(f".{own.get(sink, sink)}" for sink in names())
        raise InputError(f"{path}: events are written as {endings}; choose one ending")
    return of_name(name)(Path(path))


class _Output:
    """Text lines into a file that is opened at the first of them, or into an open stream."""

    def __init__(self, target: Target, header: str = "") -> None:
        self._path: Path | None = None
        self._stream: TextIO | None = None
        self._header = header
        self._closed = False
        if isinstance(target, (Path, str)):
            self._path = Path(target)
            check_output(self._path)
        else:
            self._stream = target

    def put(self, text: str) -> None:
        if self._closed:
            raise ValueError("the sink is closed")
        try:
            if self._stream is None:
                assert self._path is not None
                # Words may hold what UTF-8 cannot: a lone surrogate becomes a question mark.
                self._stream = self._path.open("w", encoding="utf-8", errors="replace", newline="")
            self._stream.write(self._header + text)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            where = self._path or "output"
            reason = error.strerror or error
            raise Failure(f"{where}: {reason}; check its permissions and the space left") from error
        self._header = ""

    def close(self) -> None:
        if self._path is not None and self._stream is not None:
            self._stream.close()
        self._closed = True


class JsonLines(Sink):
    """All events, one JSON object a line, as published."""

    def __init__(self, target: Target) -> None:
        self._output = _Output(target)

    def write(self, event: AnyEvent) -> None:
        self.write_line(schema.encode(event).decode())

    def write_line(self, line: str) -> None:
        """Writes an encoded event as it is, fields unknown to this version included."""
        self._output.put(line + "\n")

    def close(self) -> None:
        self._output.close()


class Csv(Sink):
    """One row per final utterance, for spreadsheets and statistics; RFC 4180 with a header.

    Words stand there exactly as they were recognised: a spreadsheet that takes a leading `=` for
    a formula must be told to import the column as text.
    """

    COLUMNS = (
        *("session", "id", "start", "end", "speaker", "text", "label", "confidence", "abstained"),
        *(f"p_{emotion}" for emotion in EMOTIONS),
        "text_source",
        *(f"{modality}_present" for modality in MODALITIES),
    )

    def __init__(self, target: Target) -> None:
        self._output = _Output(target, header=_row(self.COLUMNS))

    def write(self, event: AnyEvent) -> None:
        if not isinstance(event, UtteranceEvent):
            self._output.put("")  # a session without utterances still gets its header
            return
        said, felt, by = event.utterance, event.emotion, event.modalities
        self._output.put(
            _row(
                (
                    *(event.session, said.id, said.start, said.end, said.speaker, said.text),
                    *(felt.label, felt.confidence, _bool(felt.abstained)),
                    *(felt.probabilities.get(emotion, "") for emotion in EMOTIONS),
                    said.text_source,
                    *(_bool(getattr(by, modality).present) for modality in MODALITIES),
                )
            )
        )

    def close(self) -> None:
        self._output.close()


class WebVtt(Sink):
    """One caption per final utterance: `<v Ada>[joy 71 %] They said yes!`; `?` where abstained."""

    def __init__(self, target: Target) -> None:
        self._output = _Output(target, header="WEBVTT\n\n")

    def write(self, event: AnyEvent) -> None:
        if not isinstance(event, UtteranceEvent):
            self._output.put("")  # a session without utterances still gets its header
            return
        said = event.utterance
        # A cue has to end after it starts, and a blank line would end it early.
        start = max(round(said.start * 1000), 0)
        end = max(round(said.end * 1000), start + 1)
        words = _escape(f"[{verdict(event)}] {said.text}")
        self._output.put(
            f"{said.id}\n{_stamp(start)} --> {_stamp(end)}\n<v {_escape(said.speaker)}>{words}\n\n"
        )

    def close(self) -> None:
        self._output.close()


class Text(Sink):
    """Readable lines for a terminal.

    With `live`, a provisional event is drawn in place and replaced by what follows; without it,
    provisional events are left out, as is fit for a log.
    """

    def __init__(self, target: Target, live: bool = False) -> None:
        self.live = live
        self._output = _Output(target)
        self._drawn = False

    def write(self, event: AnyEvent) -> None:
        clear = "\r\x1b[2K" if self._drawn else ""
        if isinstance(event, Provisional):
            if self.live:
                width = shutil.get_terminal_size().columns - 1
                self._output.put(clear + describe(event)[:width])
                self._drawn = True
        elif not isinstance(event, schema.SpeechStarted):
            self._output.put(f"{clear}{describe(event)}\n")
            self._drawn = False

    def close(self) -> None:
        if self._drawn:
            self._output.put("\r\x1b[2K")
        self._output.close()


def verdict(event: UtteranceEvent | Provisional) -> str:
    """The answer in short: `joy 71 %`, or `joy? 31 %` where the recogniser abstained."""
    felt = event.emotion
    return f"{felt.label}{'?' if felt.abstained else ''} {round(felt.confidence * 100)} %"


def describe(event: AnyEvent) -> str:
    """Any event as one readable line, safe to print on a terminal."""
    return printable(_sentence(event))


def missing(event: UtteranceEvent | Provisional) -> list[tuple[str, str]]:
    """The modalities that had nothing to say, each with the reason."""
    by: list[tuple[str, Modality]] = [
        (name, getattr(event.modalities, name)) for name in MODALITIES
    ]
    return [
        (name, opinion.reason or "not available") for name, opinion in by if not opinion.present
    ]


def _sentence(event: AnyEvent) -> str:
    if isinstance(event, (UtteranceEvent, Provisional)):
        said = event.utterance
        marks = "".join(f"  [no {name}: {reason}]" for name, reason in missing(event))
        more = " …" if isinstance(event, Provisional) else ""
        return (
            f"{clock(said.start)}-{clock(said.end)}  {said.speaker:<8} {verdict(event):<14} "
            f"{said.text or '(no words)'}{more}{marks}"
        )
    if isinstance(event, schema.SessionStarted):
        model = f"{event.model.name} {event.model.version}"
        return f"session {event.session} started: {event.source}, model {model}"
    if isinstance(event, schema.SessionEnded):
        early = "" if event.complete else ", stopped before its end"
        return f"session ended after {event.duration:.1f} s: {event.utterances} utterances{early}"
    if isinstance(event, schema.SpeechStarted):
        return f"{clock(event.start)}  speech started"
    if isinstance(event, schema.Gap):
        how_much = f"{event.count} x {event.what}, {event.seconds:.2f} s"
        return f"{clock(event.time)}  gap: {how_much} lost ({event.reason})"
    return f"{clock(event.time)}  health: {event.stage} {event.status} ({event.detail})"


def clock(seconds: float) -> str:
    """Media time as m:ss.cc, with hours where there are any."""
    minutes, hundredths = divmod(round(seconds * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    rest = f"{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}"
    return f"{hours}:{rest}" if hours else rest


def _row(cells: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _escape(words: str) -> str:
    whole = " ".join(words.split())
    return whole.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _stamp(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def printable(line: str) -> str:
    """Words may come from a stranger's file: control characters must not reach the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
