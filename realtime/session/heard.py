"""How far a stage has heard, and what a restart of its process made it miss."""

from gscon_live.realtime.pipeline import messages

#: The stages through which sound and utterances pass, and why they may lose some.
_WAITED = {
    "segment": "it waited to be cut into utterances when this stage failed",
    "transcribe": "it waited for transcription when this stage failed",
    "recognise": "it waited for recognition when this stage failed",
}
#: Seconds between two messages of such a stage from which something is missing. Marks come twice
#: a second.
_MISSING = 0.6


class Heard:
    """Follows the media time of the messages that a stage gets.

    Args:
        service: the name of the stage.
        before: the media time in seconds up to which earlier processes of it had heard; None: this
            is the first one, which has missed nothing.
    """

    def __init__(self, service: str, before: float | None) -> None:
        self._why = _WAITED.get(service)
        # None once nothing more can be missing.
        self._expected = before
        self.until = before or 0.0

    def take(self, message: object) -> messages.Dropped | None:
        """Takes the next message. Returns, once, what had been sent to the process before, and was
        not heard."""
        time = heard_until(message)
        if time is None:
            return None
        self.until = max(self.until, time)
        expected, self._expected = self._expected, None
        if expected is None or self._why is None:
            return None
        begin = message.time if isinstance(message, messages.AudioChunk) else time
        missing = round(begin - expected, 3)
        if missing < _MISSING:
            return None
        return messages.Dropped(expected, "audio", 0, missing, self._why)


def heard_until(message: object) -> float | None:
    """The media time in seconds up to which a message tells what was heard; None: it tells nothing
    of sound."""
    match message:
        case messages.AudioChunk():
            return messages.complete_at(message)
        case messages.Segment(at=at) | messages.Utterance(at=at):
            return at
        case messages.Mark(time=time, source=source) if source != "watch":
            return time
    return None
