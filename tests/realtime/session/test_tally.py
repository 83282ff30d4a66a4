"""At its end, a session says what it did not hear or see."""

import msgspec
import pytest
from made_events import LINES

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.in_words import describe
from gscon_live.realtime.session.tally import Tally

MODEL = schema.ModelInfo(name="m", version="1")
HEADER = {"schema": schema.SCHEMA, "session": "s", "seq": 0}
PRESENT = schema.Modality(present=True, probabilities=dict.fromkeys(EMOTIONS, 1 / 7))


def missing(reason: str) -> schema.Modality:
    return schema.Modality(present=False, reason=reason)


def utterance(text: schema.Modality, visual: schema.Modality) -> schema.UtteranceEvent:
    return schema.UtteranceEvent(
        **HEADER,
        utterance=schema.UtteranceInfo(
            id=1, start=0.0, end=1.0, speaker="S1", text=LINES[0][2], text_source="asr"
        ),
        emotion=schema.Emotion(
            label="joy",
            confidence=0.5,
            probabilities=dict.fromkeys(EMOTIONS, 1 / 7),
            abstained=False,
        ),
        modalities=schema.Modalities(text=text, audio=PRESENT, visual=visual),
        model=MODEL,
    )


def lines(*answers: schema.UtteranceEvent) -> list[str]:
    """What is said after a session with these utterances."""
    tally = Tally("check the microphone")
    tally.write(
        schema.SessionStarted(**HEADER, source="talk.mkv", emotions=list(EMOTIONS), model=MODEL)
    )
    for answer in answers:
        tally.write(answer)
    tally.write(
        schema.SessionEnded(**HEADER, duration=20.0, utterances=len(answers), complete=True)
    )
    tally.close()
    return tally.lines()


@pytest.mark.fault
def test_a_session_without_an_utterance_says_so() -> None:
    """Nobody speaks, or the sound is silent: at the end a line says so, with what to check."""
    assert lines() == ["talk.mkv: no utterance in 20.0 s; check the microphone"]


@pytest.mark.fault
def test_a_session_without_words_or_faces_says_why() -> None:
    """No utterance has words, or none a face: at the end a line says so, with the reason."""
    nothing = utterance(missing("no transcriber"), missing("no face in view"))
    assert lines(nothing, nothing) == [
        "talk.mkv: no words in any of its 2 utterances: no transcriber",
        "talk.mkv: no face in any of its 2 utterances: no face in view",
    ]
    # A recording of sound alone has no faces, as everybody knows.
    assert lines(utterance(PRESENT, missing("no video"))) == []
    assert lines(nothing, utterance(PRESENT, PRESENT)) == []


@pytest.mark.fault
def test_faces_that_were_not_compared_are_named() -> None:
    """Too many faces in view: the line of the utterance and the end of the session say so."""
    crowded = utterance(PRESENT, msgspec.structs.replace(PRESENT, faces=4, faces_left_out=5))
    assert "5 more faces in view, not compared" in describe(crowded)
    (line,) = lines(crowded, utterance(PRESENT, PRESENT))
    assert "in 1 of 2 utterances, up to 5 more faces were not compared" in line


def test_words_that_were_left_out_are_counted_once_for_each_utterance() -> None:
    why = "words left out: they would have come later than 5 s (recognition.answer_within)"
    some = msgspec.structs.replace(PRESENT, left_out=why.replace("words", "words after 3.0 s"))
    none = msgspec.structs.replace(missing(why), left_out=why)
    (line,) = lines(*(utterance(text, PRESENT) for text in (PRESENT, some, none)))
    assert line == (
        "talk.mkv: in 2 of 3 utterances, words were left out, so that the answer was in time; a "
        "smaller model is faster, such as --transcriber tiny.en"
    )
    assert why in describe(utterance(none, PRESENT))
    assert "words after 3.0 s left out" in describe(utterance(some, PRESENT))
