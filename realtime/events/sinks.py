"""Sinks: events into files and terminals, as JSON lines, CSV, WebVTT or readable text.

A sink writes complete lines and flushes after each event, so the file of a killed session is
readable to its last line. The first event replaces an older file; a session that never starts
destroys nothing.
"""

import csv
import io
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, cast

import msgspec

from gscon_live.common import registry
from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.in_words import describe, printable, short_answer, without_controls
from gscon_live.realtime.events.schema import AnyEvent, Modality, Provisional, UtteranceEvent
from gscon_live.realtime.events.text_output import Target as Target
from gscon_live.realtime.events.text_output import TextOutput


class Sink(ABC):
    """Takes events one at a time. Its class is called with a `Target`."""

    @abstractmethod
    def write(self, event: AnyEvent) -> None:
        """Takes the next event. Raises `Failure` where it cannot be written, as on a full disk."""

    @abstractmethod
    def close(self) -> None:
        """Completes the output; `write` may not be called after it."""

    @classmethod
    def ours(cls, head: bytes) -> bool:
        """Whether a file that begins with `head`, at most 64 KiB, was written by this sink. Only
        such a file is overwritten; by default, none is."""
        return False


class SinkType(Protocol):
    """A class of sinks: called with a file or an open text stream, it gives a sink."""

    def __call__(self, target: Target, /) -> Sink: ...

    def ours(self, head: bytes, /) -> bool:
        """See `Sink.ours`."""
        ...


#: The project's sinks by name, with module and class. A sink's name is also the ending of its
#: files, except for those in `_ENDINGS`.
SINKS: dict[str, str] = {
    "text": f"{__name__}.Text",
    "jsonl": f"{__name__}.JsonLines",
    "csv": f"{__name__}.Csv",
    "vtt": f"{__name__}.WebVtt",
}
_ENDINGS = {"txt": "text"}

#: The project's sinks, and those of other packages by entry point.
_SINKS: registry.Registry[Sink] = registry.Registry("sink", Sink, SINKS, "gscon_live.sinks")


def names() -> list[str]:
    """The names of all sinks."""
    return _SINKS.names()


def of_name(name: str) -> SinkType:
    """The class of a sink. Raises `InputError` for an unknown name, or for a class of another
    package that cannot be used."""
    return cast(SinkType, _SINKS.get(name))


def kind_for(path: Path | str) -> SinkType:
    """The class of a sink by the ending of a file. Raises `InputError` for an unknown ending."""
    ending = Path(path).suffix.lower().removeprefix(".")
    name = _ENDINGS.get(ending, ending)
    if name not in names():
        own = {sink: end for end, sink in _ENDINGS.items()}
        endings = ", ".join(f".{own.get(sink, sink)}" for sink in names())
        raise InputError(f"{path}: events are written as {endings}; choose one ending")
    return of_name(name)


def for_path(path: Path | str) -> Sink:
    """The sink for the ending of a file; nothing is written before its first event.

    Raises:
        InputError: the ending is unknown, or no file can be written at the path.
    """
    return kind_for(path)(Path(path))


#: JSON escapes the first 32 control characters itself; a terminal obeys these, too.
_ESCAPED = {code: f"\\u{code:04x}" for code in range(127, 160)}


class JsonLines(Sink):
    """All events as published, a line of JSON for each.

    Args:
        target: a file or an open text stream.
        secret: a new file is readable for its owner alone.
    """

    def __init__(self, target: Target, secret: bool = False) -> None:
        self._output = TextOutput(target, secret=secret)

    def write(self, event: AnyEvent) -> None:
        self.write_line(schema.encode(event).decode())

    def write_line(self, line: str) -> None:
        """Writes an encoded event with all fields, also those that this version does not know. An
        event that was sent on several lines becomes one line."""
        if "\n" in line or "\r" in line:
            compact = msgspec.json.format(line, indent=-1)
            # JSON allows line breaks between tokens only, so a space means the same.
            line = compact.replace("\n", " ").replace("\r", " ")
        self._output.put(line.translate(_ESCAPED) + "\n")

    def close(self) -> None:
        self._output.close()

    @classmethod
    def ours(cls, head: bytes) -> bool:
        line = head.split(b"\n", 1)[0]
        try:
            event = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return isinstance(event, dict) and event.get("schema") == schema.SCHEMA


class Csv(Sink):
    """A row for each final utterance, for spreadsheets and statistics; RFC 4180 with a header.

    The columns `prior_` are empty where the prior is the model's own. The columns `text_`, `audio_`
    and `visual_` hold the modality's own probabilities, or the reason why it is missing. Rows of
    several recordings differ in `source` and `session`; the numbers in `id` begin anew in each.
    `model_label` is the model's answer where a person confirmed or corrected `label`, and empty
    elsewhere. `overlap` has the seconds in which two people speak at once, and is empty where that
    is not known. New columns come last.

    Each row is one line: in words, line ends and tabs are spaces, and other control characters are
    replaced. All else is written unchanged, so that programs for statistics read what was said. A
    spreadsheet may take a leading `=`, `+`, `-` or `@` for a formula: import the column as text.
    """

    COLUMNS = (
        *("session", "id", "start", "end", "speaker", "text", "label", "confidence", "abstained"),
        *(f"p_{emotion}" for emotion in EMOTIONS),
        "text_source",
        *(f"{modality}_present" for modality in MODALITIES),
        *(f"prior_{emotion}" for emotion in EMOTIONS),
        "source",
        *(f"{modality}_{emotion}" for modality in MODALITIES for emotion in EMOTIONS),
        *(f"{modality}_reason" for modality in MODALITIES),
        "model",
        "language",
        "model_label",
        "overlap",
    )

    def __init__(self, target: Target) -> None:
        self._output = TextOutput(target, header=_row(self.COLUMNS))
        self._source = ""

    def write(self, event: AnyEvent) -> None:
        if isinstance(event, schema.SessionStarted):
            self._source = event.source
        if not isinstance(event, UtteranceEvent):
            self._output.put("")  # a session without utterances still gets its header
            return
        utterance, emotion = event.utterance, event.emotion
        modalities: list[Modality] = [getattr(event.modalities, name) for name in MODALITIES]
        self._output.put(
            _row(
                (
                    *(event.session, utterance.id, utterance.start, utterance.end),
                    *(utterance.speaker, utterance.text),
                    *(emotion.label, emotion.confidence, _bool(emotion.abstained)),
                    *(emotion.probabilities.get(name, "") for name in EMOTIONS),
                    utterance.text_source,
                    *(_bool(modality.present) for modality in modalities),
                    *((emotion.prior or {}).get(name, "") for name in EMOTIONS),
                    self._source,
                    *(
                        (m.probabilities or {}).get(name, "")
                        for m in modalities
                        for name in EMOTIONS
                    ),
                    *(modality.reason or "" for modality in modalities),
                    f"{event.model.name} {event.model.version}",
                    utterance.language or "",
                    emotion.model_label or "",
                    "" if utterance.overlap is None else utterance.overlap,
                )
            )
        )

    def close(self) -> None:
        self._output.close()

    @classmethod
    def ours(cls, head: bytes) -> bool:
        return head.startswith(",".join(cls.COLUMNS[:9]).encode())


#: The beginning of captions by `WebVtt`: a header alone, or a first cue with an emotion.
_OWN_CAPTIONS = re.compile(
    rb"WEBVTT\n\n(\Z|\d+\n[\d:.]+ --> [\d:.]+\n<v [^>\n]*>\[(%s)\?? \d+ %%\])"
    % "|".join(EMOTIONS).encode()
)


class WebVtt(Sink):
    """A caption per final utterance: `<v Ada>[joy 71 %] They said yes!`; `?` where abstained."""

    def __init__(self, target: Target) -> None:
        self._output = TextOutput(target, header="WEBVTT\n\n")

    def write(self, event: AnyEvent) -> None:
        if not isinstance(event, UtteranceEvent):
            self._output.put("")  # a session without utterances still gets its header
            return
        utterance = event.utterance
        # A cue must end after it starts, and a blank line would end it early.
        start = max(round(utterance.start * 1000), 0)
        end = max(round(utterance.end * 1000), start + 1)
        timing = f"{_vtt_time(start)} --> {_vtt_time(end)}"
        words = _escape(f"[{short_answer(event)}] {utterance.text}")
        speaker = _escape(utterance.speaker)
        self._output.put(f"{utterance.id}\n{timing}\n<v {speaker}>{words}\n\n")

    def close(self) -> None:
        self._output.close()

    @classmethod
    def ours(cls, head: bytes) -> bool:
        return _OWN_CAPTIONS.match(head) is not None


class Text(Sink):
    """Readable lines for a terminal.

    With `live`, a provisional event is drawn in place, and the next event replaces it. Without,
    provisional events are left out.
    """

    def __init__(self, target: Target, live: bool = False) -> None:
        self.live = live
        self._output = TextOutput(target)
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

    @classmethod
    def ours(cls, head: bytes) -> bool:
        return re.match(rb"session \S+ started: .*, model ", head) is not None


def _row(cells: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(
        without_controls(cell) if isinstance(cell, str) else cell for cell in cells
    )
    return line.getvalue()


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _escape(words: str) -> str:
    line = printable(" ".join(words.split()))
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _vtt_time(time: int) -> str:
    """A time in milliseconds as hh:mm:ss.mmm."""
    seconds, milliseconds = divmod(time, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"
