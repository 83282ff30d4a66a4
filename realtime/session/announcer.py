"""The events of a session: numbered, published, and handed to the sinks in the same order."""

from collections.abc import Iterable
from typing import Any

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import in_words, schema
from gscon_live.realtime.events.sinks import Sink
from gscon_live.realtime.pipeline.control import Status
from gscon_live.realtime.session.lag import NAMES
from gscon_live.realtime.session.publisher import Publisher


class Announcer:
    """Sends the events of the pipeline and those of the session itself.

    Attributes:
        utterances: number of final events so far.
        last_id: the highest number of an utterance so far.

    Args:
        session: the session's name.
        publisher: numbers the events and publishes them.
        sinks: get all events, in order.
    """

    def __init__(self, session: str, publisher: Publisher, sinks: Iterable[Sink]) -> None:
        self.utterances = 0
        self.last_id = 0
        self._begun = False
        self._open: set[int] = set()
        self._header: dict[str, Any] = {"schema": schema.SCHEMA, "session": session, "seq": 0}
        self._publisher = publisher
        self._sinks = list(sinks)

    def send(self, event: schema.AnyEvent) -> None:
        """Sends an event of the pipeline."""
        numbered = self._publisher.publish(event)
        if isinstance(event, schema.FaceEvent):
            return  # for subscribers alone
        if isinstance(event, schema.UtteranceEvent):
            self.utterances += 1
            self._open.discard(event.utterance.id)
        # An utterance that goes on after a restart gets a new number, but no second start.
        if isinstance(event, schema.UtteranceEvent | schema.Provisional):
            self.last_id = max(self.last_id, event.utterance.id)
        if isinstance(event, schema.SpeechStarted):
            self.last_id = max(self.last_id, event.utterance)
            self._open.add(event.utterance)
        if isinstance(event, schema.Gap) and event.what == "utterance":
            self._settle(event.count)
        failure: Exception | None = None
        for sink in list(self._sinks):
            try:
                sink.write(numbered)
            except Exception as error:
                self._sinks.remove(sink)  # the others are completed all the same
                failure = failure or error
        if failure is not None:
            raise failure

    def started(
        self,
        source: str,
        model: schema.ModelInfo,
        at: str | None,
        kept: list[schema.Kept] | None,
    ) -> None:
        """Sends the start of the session; `at` is the wall-clock time and `kept` what is written to
        files, None in a replay."""
        self._begun = True
        self.send(
            schema.SessionStarted(
                **self._header,
                source=source,
                emotions=list(EMOTIONS),
                model=model,
                started_at=at,
                kept=kept,
            )
        )

    def ended(self, duration: float, complete: bool) -> None:
        """Sends the end of the session; `duration` in seconds of media time."""
        self.send(
            schema.SessionEnded(
                **self._header,
                duration=round(duration, 3),
                utterances=self.utterances,
                complete=complete,
            )
        )

    def health(self, time: float, stage: str, status: Any, detail: str) -> None:
        """Sends a change in the health of a stage."""
        self.send(
            schema.Health(
                **self._header, time=round(time, 3), stage=stage, status=status, detail=detail
            )
        )

    def dropped(self, time: float, receiver: str, count: int) -> None:
        """Sends a gap: pictures were dropped because a stage was too slow."""
        self.send(
            schema.Gap(
                **self._header,
                time=round(time, 3),
                what="frames",
                count=count,
                seconds=0.0,
                reason=(
                    f"the computer is busy, and {NAMES.get(receiver, receiver)} takes only the "
                    "newest picture"
                ),
            )
        )

    def lost(self, time: float, reason: str) -> None:
        """Sends a gap for the utterances that have begun and that nobody will answer any more."""
        if self._open:
            self.send(
                schema.Gap(
                    **self._header,
                    time=round(time, 3),
                    what="utterance",
                    count=len(self._open),
                    seconds=0.0,
                    reason=reason,
                )
            )

    def cut_short(self, reached: float, duration: float) -> None:
        """Sends gaps for what a session has not worked on when it is stopped.

        Args:
            reached: the media time in seconds up to which sound was worked on.
            duration: the media time at the end.
        """
        self.lost(duration, "they were being worked on when the session was stopped")
        seconds = round(duration - reached, 3)
        if seconds > 0:
            self.send(
                schema.Gap(
                    **self._header,
                    time=round(reached, 3),
                    what="audio",
                    count=0,
                    seconds=seconds,
                    reason="it had not been worked on when the session was stopped",
                )
            )

    def _settle(self, count: int) -> None:
        """A gap has counted the first of the utterances that had begun."""
        self._open.difference_update(sorted(self._open)[:count])

    def restarted(self, time: float, status: Status) -> None:
        """Reports that a worker is there again."""
        self.health(time, status.service, "restarted", f"process {status.pid}")

    def summary(self, duration: float) -> str:
        """How long the session lasted, and how many utterances there were; `duration` in
        seconds."""
        noun = "utterance" if self.utterances == 1 else "utterances"
        return f"{in_words.clock(duration)}, {self.utterances} {noun}"

    def serve(self, time: float) -> None:
        """Answers new subscribers, and says if all of them had to be disconnected."""
        self._publisher.serve()
        if self._begun and (notice := self._publisher.notice()):
            self.health(time, "publisher", "restarted", notice)
