"""Events as messages of ROS 2, in the conventions of ROS4HRI: REP-155 and its package `hri_msgs`.

This module has no ROS in it: a bridge makes real messages of what it returns, as
`realtime/examples/ros2_bridge.py` does.
"""

import math
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent, Provisional, UtteranceEvent

#: The names in `hri_msgs/msg/Expression` for our emotions.
EXPRESSIONS = {
    "neutral": "neutral",
    "surprise": "surprised",
    "fear": "scared",
    "sadness": "sad",
    "joy": "happy",
    "disgust": "disgusted",
    "anger": "angry",
}

#: Voices that are listed as tracked; of more, the one that was silent longest is left out.
_MOST_VOICES = 64


class RosMessage(NamedTuple):
    """A message: its topic, its type (such as `hri_msgs/msg/Expression`) and its fields, without
    the header. `time` is its moment in seconds of media time."""

    topic: str
    type: str
    fields: Mapping[str, object]
    time: float


class RosMapping:
    """Turns events into messages about voices.

    | topic | type | when |
    |---|---|---|
    | `/humans/voices/tracked` | `hri_msgs/msg/IdsList` | somebody speaks for the first time |
    | `/humans/voices/ID/is_speaking` | `std_msgs/msg/Bool` | with every answer |
    | `/humans/voices/ID/speech` | `hri_msgs/msg/LiveSpeech` | with every answer |
    | `/humans/voices/ID/expression` | `hri_msgs/msg/Expression` | after every utterance |

    REP-155 has expressions of faces; ours is of an utterance, so it stands with the voice. Where
    the model abstained, there is no expression. Valence and arousal are not estimated: they are
    not a number.
    """

    def __init__(self) -> None:
        self._voices: list[str] = []

    def messages(self, event: AnyEvent) -> Iterator[RosMessage]:
        """The messages of an event."""
        if isinstance(event, schema.SessionStarted):
            self._voices.clear()
        if not isinstance(event, (UtteranceEvent, Provisional)):
            return
        final = isinstance(event, UtteranceEvent)
        utterance, emotion = event.utterance, event.emotion
        voice, time = voice_id(utterance.speaker), utterance.end
        if voice not in self._voices:
            self._voices = [*self._voices, voice][-_MOST_VOICES:]
            ids = {"ids": [*self._voices]}
            yield RosMessage("/humans/voices/tracked", "hri_msgs/msg/IdsList", ids, time)
        topic = f"/humans/voices/{voice}"
        yield RosMessage(f"{topic}/is_speaking", "std_msgs/msg/Bool", {"data": not final}, time)
        words = {"incremental": "" if final else utterance.text}
        words |= {"final": utterance.text if final else "", "language": utterance.language or ""}
        yield RosMessage(f"{topic}/speech", "hri_msgs/msg/LiveSpeech", words, time)
        if final and not emotion.abstained:
            expression = {
                "expression": EXPRESSIONS.get(emotion.label, ""),
                "valence": math.nan,
                "arousal": math.nan,
                "confidence": emotion.confidence,
            }
            yield RosMessage(f"{topic}/expression", "hri_msgs/msg/Expression", expression, time)


def voice_id(speaker: str) -> str:
    """The name of a speaker as a part of a topic: letters, digits and single underscores. A name
    that had to be changed gets a checksum, so that no two speakers share a topic."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", speaker)[:40].strip("_")
    if plain == speaker and plain and not plain[0].isdigit():
        return plain
    return f"v{plain}_{zlib.crc32(speaker.encode('utf-8', 'replace')):08x}"
