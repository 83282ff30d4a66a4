"""The perception line for agents: who shows which emotion, how sure, and since when.

An agent reads one line whenever something changes, and nothing while it stays the same.
"""

from collections import OrderedDict
from typing import NamedTuple

from gscon_live.realtime.events import schema
from gscon_live.realtime.events.in_words import printable
from gscon_live.realtime.events.schema import AnyEvent, Emotion, UtteranceEvent

#: From which confidence on an answer is called so; the page in the browser uses the same words.
SURENESS = ((0.85, "very sure"), (0.7, "sure"), (0.5, "fairly sure"), (0.35, "not very sure"))

#: Speakers that are remembered; of more, the one that was silent longest is forgotten.
_MOST_SPEAKERS = 64

#: A name in a prompt is short.
_LONGEST_NAME = 40


class Perceived(NamedTuple):
    """What somebody shows. `emotion` is None where the model abstained; `since` is the start of the
    first utterance in a row that showed it, in seconds of media time."""

    speaker: str
    emotion: str | None
    sureness: str
    confidence: float
    since: float

    @property
    def line(self) -> str:
        """As one line of words."""
        since = f"since {self.since:.1f} s"
        if self.emotion is None:
            return f"{self.speaker}: emotion unclear, {since}"
        sure = f"{self.sureness} ({round(100 * self.confidence)} %)"
        return f"{self.speaker}: {self.emotion}, {sure}, {since}"


class Perception:
    """Says what changed; words that were spoken are not in it, the agent has its own."""

    def __init__(self) -> None:
        self._shown: OrderedDict[str, Perceived] = OrderedDict()

    def update(self, event: AnyEvent) -> Perceived | None:
        """What changed with an event: the emotion of its speaker, or how sure it is. None where
        nothing did. A new session forgets everybody."""
        if isinstance(event, schema.SessionStarted):
            self._shown.clear()
        if not isinstance(event, UtteranceEvent):
            return None
        speaker = printable(event.utterance.speaker)[:_LONGEST_NAME]
        before = self._shown.pop(speaker, None)
        emotion = None if event.emotion.abstained else event.emotion.label
        same = before is not None and before.emotion == emotion
        now = Perceived(
            speaker=speaker,
            emotion=emotion,
            sureness=sureness(event.emotion),
            confidence=event.emotion.confidence,
            since=before.since if before is not None and same else event.utterance.start,
        )
        self._shown[speaker] = now
        if len(self._shown) > _MOST_SPEAKERS:
            self._shown.popitem(last=False)
        unchanged = before is not None and same and before.sureness == now.sureness
        return None if unchanged else now


def sureness(emotion: Emotion) -> str:
    """How sure an answer is, in words."""
    if emotion.abstained:
        return "too unsure to use"
    return next((name for bound, name in SURENESS if emotion.confidence >= bound), "unsure")
