"""The screen of `gscon-live live` in a terminal."""

from collections import Counter, deque
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gscon_live.realtime.events import in_words, schema, sinks
from gscon_live.realtime.pipeline.control import Status

#: Number of past utterances on the screen.
PAST = 8
#: Range of the level meter, in dB of full scale.
_QUIET, _LOUD = -60.0, 0.0
#: Lines of the frames and the last line, of the readings, and of the prediction.
_FRAMES, _HEADER, _ANSWER = 5, 4, 9
_COLOURS = {
    "neutral": "white",
    "surprise": "cyan",
    "fear": "magenta",
    "sadness": "blue",
    "joy": "yellow",
    "disgust": "green",
    "anger": "red",
}


class LiveView(sinks.Sink):
    """A sink that shows events and readings on a screen of bounded size.

    Args:
        source: description of the devices, for the title.
        console: the terminal.
    """

    def __init__(self, source: str, console: Console) -> None:
        self._source = source
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=False)
        self._current: schema.UtteranceEvent | schema.Provisional | None = None
        self._past: deque[Text] = deque(maxlen=PAST)
        self._notes: deque[str] = deque(maxlen=3)
        self._lost: Counter[str] = Counter()
        self._gauges: dict[str, dict[str, float | str | bool]] = {}
        self._delay: float | None = None
        self._time = 0.0

    def write(self, event: schema.AnyEvent) -> None:
        """Takes an event; `tick` draws it."""
        match event:
            case schema.UtteranceEvent() | schema.Provisional():
                self._current = event
                if event.latency is not None:
                    self._delay = event.latency.end_of_speech_to_event
                if isinstance(event, schema.UtteranceEvent):
                    line = in_words.describe(event)
                    self._past.append(_line(line, _COLOURS[event.emotion.label]))
            case schema.Gap():
                self._lost[event.what] += max(1, event.count)
                self._notes.append(in_words.describe(event))
            case schema.Health():
                self._notes.append(in_words.describe(event))
            case _:
                pass

    def status(self, status: Status) -> None:
        """Takes a worker's report; `tick` draws it."""
        if status.state == "running":
            self._gauges[status.service] = status.gauges

    def tick(self, time: float) -> None:
        """Draws the screen at `time`, the media time in seconds."""
        self._time = time
        self._live.update(self.render())

    def render(self) -> RenderableType:
        """The present screen."""
        parts: list[RenderableType] = [self._header()]
        if self._current is not None:
            parts.append(_answer(self._current, self._console.width - 4))
        else:
            parts.append(Text("say something: emotions appear here", style="dim"))
        parts += [_line(note, "red") for note in reversed(self._notes)]
        if self._past:
            # What is older gives way, so that the screen is never cut off at its end.
            used = _FRAMES + _HEADER + _ANSWER + len(self._notes)
            space = max(1, self._console.height - used)
            newest = list(reversed(self._past))[:space]
            parts.append(Panel(Group(*newest), title="utterances", title_align="left"))
        return Panel(
            Group(*parts),
            title=f"gscon-live  {self._source}",
            subtitle="Ctrl-C ends the session",
            title_align="left",
        )

    def _header(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        sound = self._gauges.get("segment", {})
        level = sound.get("level")
        speaking = bool(sound.get("speaking"))
        meter = _bar((float(level) - _QUIET) / (_LOUD - _QUIET), 20) if level is not None else ""
        table.add_row(
            "voice",
            Text(meter, style="green" if speaking else "dim"),
            "speaking" if speaking else "",
        )
        if "watch" in self._gauges or "camera" in self._gauges:
            faces = int(self._gauges.get("watch", {}).get("faces", 0))
            gone = self._gauges.get("camera", {}).get("state") == "gone"
            view = "camera gone" if gone else f"{faces or 'no'} face{'s' * (faces != 1)} in view"
            table.add_row("face", Text(view, style="green" if faces and not gone else "dim"), "")
        lost = ", ".join(f"{count} {what}" for what, count in sorted(self._lost.items()))
        table.add_row("dropped", Text(lost or "nothing", style="red" if lost else "dim"), "")
        delay = "" if self._delay is None else f"{self._delay:.2f} s after the end of speech"
        table.add_row("delay", Text(delay, style="dim"), in_words.clock(self._time))
        return table

    def close(self) -> None:
        """Stops drawing; the last screen stays."""
        self._live.stop()

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _words(event: schema.UtteranceEvent | schema.Provisional, width: int) -> Text:
    """The speaker and the words in one row; while somebody speaks, those that may change are paler,
    and where not all fit, the newest are shown."""
    final, utterance = isinstance(event, schema.UtteranceEvent), event.utterance
    words = in_words.printable(utterance.text or "(no words)")
    settled = len(words) if final else len(utterance.stable_text or "")
    ending = "" if final else "  … still speaking"
    ending += "  not sure" if event.emotion.abstained else ""
    speaker = in_words.printable(f"{utterance.speaker}: ")
    room = max(1, width - len(speaker) - len(ending))
    hidden = 0 if final or len(words) <= room else len(words) - room + 1
    line = _line(speaker + "…" * bool(hidden) + words[hidden:settled], "bold")
    line.append(words[max(hidden, settled) :], style="not bold dim")
    return line.append(ending)


def _answer(event: schema.UtteranceEvent | schema.Provisional, width: int) -> RenderableType:
    final = isinstance(event, schema.UtteranceEvent)
    table = Table.grid(padding=(0, 1))
    for name, value in event.emotion.probabilities.items():
        best = name == event.emotion.label
        style = _COLOURS[name] if final else f"dim {_COLOURS[name]}"
        table.add_row(
            Text(name, style="bold" if best else ""),
            Text(_bar(value, 30), style=style),
            f"{value:.0%}",
        )
    missing = ", ".join(
        f"no {name}: {reason}" for name, reason in in_words.missing_modalities(event)
    )
    return Group(
        _words(event, width),
        table,
        _line(in_words.printable(missing), "dim"),
    )


def _line(words: str, style: str) -> Text:
    """A line that is cut off at the edge of the screen, and takes one row."""
    return Text(words, style=style, no_wrap=True, overflow="ellipsis")


def _bar(share: float, width: int) -> str:
    full = round(max(0.0, min(1.0, share)) * width)
    return "█" * full + "░" * (width - full)
