"""What a session says: numbered, published, and handed to the sinks, in one order."""

from collections.abc import Iterable
from typing import Any

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.sinks import Sink
from gscon_live.realtime.session.publisher import Publisher


class Announcer:
    """Says events, the pipeline's and the session's own.

    Attributes:
        utterances: how many final events there have been.
        last_id: the highest number that an utterance has had.

    Args:
        session: the session's name.
        publisher: numbers the events and publishes them.
        sinks: get every event, in order.
    """

    def __init__(self, session: str, publisher: Publisher, sinks: Iterable[Sink]) -> None:
        self.utterances = 0
        self.last_id = 0
        self._header: dict[str, Any] = {"schema": schema.SCHEMA, "session": session, "seq": 0}
        self._publisher = publisher
        self._sinks = list(sinks)

    def say(self, event: schema.AnyEvent) -> None:
        """Says an event of the pipeline."""
        numbered = self._publisher.publish(event)
        if isinstance(event, schema.UtteranceEvent):
            self.utterances += 1
        # An utterance that goes on across a restart is numbered anew without a second start.
        if isinstance(event, schema.UtteranceEvent | schema.Provisional):
            self.last_id = max(self.last_id, event.utterance.id)
        if isinstance(event, schema.SpeechStarted):
            self.last_id = max(self.last_id, event.utterance)
        for sink in self._sinks:
            sink.write(numbered)

    def started(self, source: str, model: schema.ModelInfo, at: str | None) -> None:
        """The session begins; `at` is the wall-clock time, None in a replay."""
        self.say(
            schema.SessionStarted(
                **self._header, source=source, emotions=list(EMOTIONS), model=model, started_at=at
            )
        )

    def ended(self, duration: float, complete: bool) -> None:
        """The session ends after so many seconds of media time."""
        self.say(
            schema.SessionEnded(
                **self._header,
                duration=round(duration, 3),
                utterances=self.utterances,
                complete=complete,
            )
        )

    def health(self, time: float, stage: str, status: Any, detail: str) -> None:
        """Something happened to a stage."""
        self.say(
            schema.Health(
                **self._header, time=round(time, 3), stage=stage, status=status, detail=detail
            )
        )

    def dropped(self, time: float, receiver: str, count: int) -> None:
        """Pictures were dropped since a stage did not keep up."""
        self.say(
            schema.Gap(
                **self._header,
                time=round(time, 3),
                what="frames",
                count=count,
                seconds=0.0,
                reason=f"{receiver} did not keep up; only the newest picture is kept",
            )
        )

    def serve(self) -> None:
        """Answers subscribers that have just come."""
        self._publisher.serve()
