"""What a session did not hear or see, in a few lines at its end."""

from collections import Counter
from dataclasses import dataclass, field

from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent, Modality
from gscon_live.realtime.events.sinks import Sink


@dataclass
class _Session:
    """The counts of a session; the reasons are those of missing words and faces. `duration` is None
    until it is complete."""

    source: str
    utterances: int = 0
    no_words: Counter[str] = field(default_factory=Counter)
    no_face: Counter[str] = field(default_factory=Counter)
    crowded: int = 0
    left_out: int = 0
    late_words: int = 0
    duration: float | None = None


class Tally(Sink):
    """Counts what was missing in the sessions that it gets. Of one that was stopped it says nothing
    about utterances: nobody knows what would have come.

    Args:
        remedy: what to do if a session has no utterance.
    """

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy
        self._sessions: list[_Session] = []

    def write(self, event: AnyEvent) -> None:
        """Counts a final event."""
        if isinstance(event, schema.SessionStarted):
            self._sessions.append(_Session(event.source))
        elif isinstance(event, schema.SessionEnded) and event.complete:
            self._sessions[-1].duration = event.duration
        elif isinstance(event, schema.UtteranceEvent):
            self._count(self._sessions[-1], event.modalities)

    def _count(self, session: _Session, modalities: schema.Modalities) -> None:
        session.utterances += 1
        _add(session.no_words, modalities.text)
        _add(session.no_face, modalities.visual)
        left_out = modalities.visual.faces_left_out or 0
        session.crowded += left_out > 0
        session.left_out = max(session.left_out, left_out)
        session.late_words += modalities.text.left_out is not None

    def close(self) -> None:
        """It holds nothing open."""

    def lines(self) -> list[str]:
        """A line for each session and each thing that was missing in all of it."""
        return [line for session in self._sessions for line in self._about(session)]

    def _about(self, session: _Session) -> list[str]:
        count, lines = session.utterances, []
        if not count and session.duration is not None:
            lines.append(f"no utterance in {session.duration:.1f} s; {self._remedy}")
        for what, reasons in (("words", session.no_words), ("face", session.no_face)):
            if count and reasons.total() == count:
                reason = reasons.most_common(1)[0][0]
                if reason != "no video":
                    lines.append(f"no {what} in any of its {_utterances(count)}: {reason}")
        if session.crowded:
            lines.append(
                f"in {session.crowded} of {_utterances(count)}, up to {session.left_out} more "
                "faces were not compared, as too many were in view; film fewer people at a time"
            )
        if session.late_words:
            lines.append(
                f"in {session.late_words} of {_utterances(count)}, words were left out, so that "
                "the answer was in time; a smaller model is faster, such as --transcriber tiny.en"
            )
        return [f"{session.source}: {line}" for line in lines]


def _add(reasons: Counter[str], modality: Modality) -> None:
    if not modality.present:
        reasons[modality.reason or "not available"] += 1


def _utterances(count: int) -> str:
    return f"{count} utterance{'s' * (count != 1)}"
