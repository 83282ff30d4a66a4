"""ROS 2: what was published, as messages of ROS4HRI with the names of REP-155."""

import math
import re

import msgspec
from hypothesis import given
from made_events import any_event, conversation, texts

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events.schema import AnyEvent, Provisional, UtteranceEvent
from gscon_live.realtime.outlets.ros import EXPRESSIONS, RosMapping, voice_id

#: The fields of the messages, from the definitions of hri_msgs and std_msgs.
FIELDS = {
    "hri_msgs/msg/IdsList": {"ids"},
    "hri_msgs/msg/LiveSpeech": {"incremental", "final", "language"},
    "hri_msgs/msg/Expression": {"expression", "valence", "arousal", "confidence"},
    "std_msgs/msg/Bool": {"data"},
}


def unsure(event: UtteranceEvent) -> UtteranceEvent:
    emotion = msgspec.structs.replace(event.emotion, abstained=True)
    return msgspec.structs.replace(event, emotion=emotion)


def test_a_conversation_becomes_voices_speech_and_expressions() -> None:
    mapping = RosMapping()
    events = [
        unsure(event) if isinstance(event, UtteranceEvent) and event.utterance.id == 4 else event
        for event in conversation()
    ]
    sent = [message for event in events for message in mapping.messages(event)]
    assert [m.fields["ids"] for m in sent if m.topic == "/humans/voices/tracked"] == [
        ["Ben"], ["Ben", "Ada"],
    ]  # fmt: skip
    spoken = [event for event in events if isinstance(event, UtteranceEvent)]
    shown = [message for message in sent if message.type == "hri_msgs/msg/Expression"]
    sure = [event for event in spoken if not event.emotion.abstained]
    assert len(sure) == len(spoken) - 1
    for message, event in zip(shown, sure, strict=True):
        assert message.topic == f"/humans/voices/{event.utterance.speaker}/expression"
        assert message.fields["expression"] == EXPRESSIONS[event.emotion.label]
        assert message.fields["confidence"] == event.emotion.confidence
        assert math.isnan(message.fields["valence"])  # type: ignore[arg-type]
        assert message.time == event.utterance.end
    said = [m.fields["final"] for m in sent if m.type == "hri_msgs/msg/LiveSpeech"]
    assert [words for words in said if words] == [
        event.utterance.text for event in spoken if event.utterance.text
    ]


@given(any_event)
def test_every_message_has_the_fields_and_the_topic_that_ros_allows(event: AnyEvent) -> None:
    sent = list(RosMapping().messages(event))
    assert bool(sent) == isinstance(event, UtteranceEvent | Provisional)
    for message in sent:
        assert set(message.fields) == FIELDS[message.type]
        assert re.fullmatch(r"(/[A-Za-z][A-Za-z0-9_]*)+", message.topic)
        assert "__" not in message.topic


@given(texts, texts)
def test_two_speakers_have_two_topics(first: str, second: str) -> None:
    assert (voice_id(first) == voice_id(second)) == (first == second)


def test_every_emotion_has_an_expression_and_memory_has_an_end() -> None:
    assert set(EXPRESSIONS) == set(EMOTIONS)
    mapping = RosMapping()
    answer = next(event for event in conversation(1) if isinstance(event, UtteranceEvent))
    for number in range(1000):
        utterance = msgspec.structs.replace(answer.utterance, speaker=f"S{number}")
        last = list(mapping.messages(msgspec.structs.replace(answer, utterance=utterance)))
    ids = last[0].fields["ids"]
    assert isinstance(ids, list)
    assert len(ids) == 64
    assert ids[-1] == "S999"
