"""Words, voice and face of an utterance become one event, whoever of them comes first."""

from collections import deque
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gscon_live.configs import loader
from gscon_live.model import checkpoint
from gscon_live.model.abstention import ErrorPoint
from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.model.features import UtteranceFeatures
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.recogniser import EmotionRecogniser, Opinion
from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.recognise.fusion import Fusion

law = settings(deadline=None, derandomize=True, max_examples=150)
MODEL = schema.ModelInfo(name="made", version="1")


class Made:
    """A recogniser that is a plain function of the features and of the conversation so far."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, UtteranceFeatures, str]] = []
        self.past: deque[float] = deque(maxlen=3)

    def reset(self) -> None:
        self.past.clear()

    def provisional(self, features: UtteranceFeatures, speaker: str) -> Opinion:
        self.asked.append(("provisional", features, speaker))
        return self._answer(features)[1]

    def final(self, features: UtteranceFeatures, speaker: str) -> Opinion:
        self.asked.append(("final", features, speaker))
        value, opinion = self._answer(features)
        self.past.append(value)
        return opinion

    def _answer(self, features: UtteranceFeatures) -> tuple[float, Opinion]:
        vectors = {name: getattr(features, name) for name in ("text", "audio", "visual")}
        own = {name: None if v is None else _soft(float(v.sum())) for name, v in vectors.items()}
        value = sum(float(v.sum()) for v in vectors.values() if v is not None) + sum(self.past) / 2
        return value, Opinion(_soft(value), own)


def _soft(value: float) -> NDArray[np.float32]:
    shaped = np.exp(np.sin(value * np.arange(1, 8)) * 2)
    return (shaped / shaped.sum()).astype(np.float32)


def pool(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features.mean(axis=0)


def fusion(recogniser: object = None, **values: object) -> Fusion:
    options = {"session": "s", "model": MODEL, "has_video": True, "abstain_above": 0.65, **values}
    return Fusion(recogniser or Made(), pool, **options)  # type: ignore[arg-type]


def utterance(
    key: int = 1, start: float = 1.0, end: float = 2.0, final: bool = True, **values: object
) -> messages.Utterance:
    given: dict[str, object] = {
        "key": key,
        "start": start,
        "end": end,
        "at": end + 0.5,
        "final": final,
        "text": "Hello.",
        "text_source": "asr",
        "speaker": None,
        "text_features": np.array([key], "<f4").tobytes(),
        "audio_features": np.array([end], "<f4").tobytes(),
        "missing": {},
    }
    return messages.Utterance(**{**given, **values})  # type: ignore[arg-type]


def faces(time: float, *tracks: int) -> messages.Faces:
    return messages.Faces(
        time,
        [
            messages.Face(track, (0, 0, 50, 50), np.array([time, track], "<f4").tobytes())
            for track in tracks
        ],
    )


def run(stage: Fusion, given: Sequence[object], flush: bool = True) -> list[schema.AnyEvent]:
    events = [event for message in given for event in stage.process(message)]  # type: ignore[arg-type]
    return events + list(stage.flush()) if flush else events


def only(events: Sequence[schema.AnyEvent]) -> schema.UtteranceEvent:
    (event,) = (event for event in events if isinstance(event, schema.UtteranceEvent))
    return event


# --- the law

ticks = st.integers(0, 4).map(lambda tenths: tenths / 10)


@st.composite
def listening(draw: st.DrawFn) -> list[object]:
    """What listening says: utterances one after the other, watermarks, losses, and the end."""
    said: list[object] = []
    now = 0.0
    for key in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            said.append(messages.Mark(now, "segment"))
        if draw(st.booleans()):
            said.append(messages.Dropped(now, "audio", 1, 0.1, "no sound arrived"))
        start = round(now + draw(ticks), 1)
        said.append(messages.SpeechStarted(key, start))
        end = start
        for _ in range(draw(st.integers(0, 2))):
            end = round(end + draw(ticks), 1)
            said.append(utterance(key, start, end, final=False))
        end = round(end + draw(ticks), 1)
        said.append(utterance(key, start, end, speaker=draw(st.sampled_from([None, "Ada"]))))
        if draw(st.integers(0, 5)) == 0:
            said += [messages.SpeechStarted(key + 100, end), messages.Restarted("segment")]
        now = end
    return [*said, messages.Mark(now, "segment"), messages.End("transcribe", now)]


@st.composite
def watching(draw: st.DrawFn) -> list[object]:
    """What watching says: faces, watermarks and losses, times never going back, and the end."""
    said: list[object] = []
    now = 0.0
    for _ in range(draw(st.integers(0, 12))):
        now = round(now + draw(ticks), 1)
        what = draw(st.sampled_from(["faces", "faces", "mark", "lost"]))
        if what == "faces":
            said.append(faces(now, *draw(st.lists(st.integers(1, 3), unique=True, max_size=2))))
        elif what == "mark":
            said.append(messages.Mark(now, "watch"))
        else:
            said.append(messages.Dropped(now, "frames", 1, 0.0, "the camera was gone"))
    return [*said, messages.End("watch", now)]


def interleaved(
    first: Sequence[object], other: Sequence[object], turns: Sequence[bool]
) -> list[object]:
    """The two sequences as one, each in its own order; `turns` says whose turn it is."""
    left, right, merged = list(first), list(other), list[object]()
    for turn in turns:
        source = left if turn else right
        if source:
            merged.append(source.pop(0))
    return merged + left + right


@law
@given(listening(), watching(), st.lists(st.booleans(), max_size=50), st.booleans())
def test_the_order_in_which_words_and_faces_arrive_changes_nothing(
    heard: list[object], watched: list[object], turns: list[bool], has_video: bool
) -> None:
    watched = watched if has_video else []

    def told(turns: Sequence[bool]) -> list[bytes]:
        stage = fusion(has_video=has_video)
        return [schema.encode(event) for event in run(stage, interleaved(heard, watched, turns))]

    words_first = told([True] * len(heard))
    assert told([False] * len(watched)) == words_first
    assert told(turns) == words_first
    assert told([True, False] * len(heard + watched)) == words_first


@law
@given(listening(), watching(), st.lists(st.booleans(), max_size=50))
def test_nothing_seen_after_an_utterance_is_used_for_it(
    heard: list[object], watched: list[object], turns: list[bool]
) -> None:
    recogniser = Made()
    events = run(fusion(recogniser), interleaved(heard, watched, turns))
    answers = [
        event for event in events if isinstance(event, schema.UtteranceEvent | schema.Provisional)
    ]
    frames = [message for message in watched if isinstance(message, messages.Faces)]
    assert len(answers) == len(recogniser.asked)
    for (kind, features, _), event in zip(recogniser.asked, answers, strict=True):
        assert (kind == "final") == isinstance(event, schema.UtteranceEvent)
        begin, end = event.utterance.start, event.utterance.end
        inside = [frame for frame in frames if begin <= frame.time <= end]
        seen = {face.track for frame in inside for face in frame.faces}
        visual = event.modalities.visual
        assert visual.present == bool(seen) == (features.visual is not None)
        if features.visual is None:
            assert visual.reason == ("no face in view" if inside else "no frames")
            continue
        assert visual.faces == len(seen)
        times = [
            frame.time for frame in inside if any(face.track == visual.face for face in frame.faces)
        ]
        assert features.visual == pytest.approx(
            [np.mean(times, dtype=np.float32), visual.face], abs=1e-5
        )


@law
@given(listening(), watching(), st.lists(st.booleans(), max_size=50), st.integers(1, 50))
def test_ids_count_up_and_every_utterance_ends_once_or_is_reported(
    heard: list[object], watched: list[object], turns: list[bool], first: int
) -> None:
    events = run(fusion(first_id=first), interleaved(heard, watched, turns))
    started = [event.utterance for event in events if isinstance(event, schema.SpeechStarted)]
    assert started == list(range(first, first + len(started)))
    final = [event.utterance.id for event in events if isinstance(event, schema.UtteranceEvent)]
    assert final == sorted(set(final))
    gaps = [
        event for event in events if isinstance(event, schema.Gap) and event.what == "utterance"
    ]
    assert len(final) + sum(gap.count for gap in gaps) == len(started)
    known: set[int] = set()
    for event in events:
        if isinstance(event, schema.SpeechStarted):
            known.add(event.utterance)
        elif isinstance(event, schema.UtteranceEvent | schema.Provisional):
            assert event.utterance.id in known
            if isinstance(event, schema.UtteranceEvent):
                known.remove(event.utterance.id)
    lost = [message for message in (*heard, *watched) if isinstance(message, messages.Dropped)]
    told = [
        event for event in events if isinstance(event, schema.Gap) and event.what != "utterance"
    ]
    assert len(told) == len(lost)


@law
@given(listening(), watching(), st.floats(0, 1))
def test_an_answer_is_abstained_from_exactly_above_the_expected_error(
    heard: list[object], watched: list[object], limit: float
) -> None:
    for event in run(fusion(abstain_above=limit), [*heard, *watched]):
        if isinstance(event, schema.UtteranceEvent | schema.Provisional):
            emotion = event.emotion
            assert emotion.abstained == (round(1 - emotion.confidence, 4) > limit)
            assert list(emotion.probabilities) == list(EMOTIONS)
            assert emotion.confidence == emotion.probabilities[emotion.label]
            assert emotion.confidence == max(emotion.probabilities.values())
            assert sum(emotion.probabilities.values()) == pytest.approx(1, abs=5e-4)
            assert all(value == round(value, 4) for value in emotion.probabilities.values())
            for modality in (
                event.modalities.text,
                event.modalities.audio,
                event.modalities.visual,
            ):
                assert modality.present == (modality.probabilities is not None)
                assert modality.present == (modality.reason is None)


# --- single promises


class Sure:
    """A recogniser that answers with joy, as sure as it is told."""

    def __init__(self, confidence: float) -> None:
        self._probabilities = np.full(7, (1 - confidence) / 6, np.float32)
        self._probabilities[EMOTIONS.index("joy")] = confidence

    def reset(self) -> None:
        pass

    def final(self, features: UtteranceFeatures, speaker: str) -> Opinion:
        return Opinion(self._probabilities, dict.fromkeys(("text", "audio", "visual")))

    provisional = final


@law
@given(st.integers(0, 10_000).map(lambda n: n / 10_000), st.integers(1500, 10_000))
def test_without_a_curve_the_limit_is_a_confidence(below: float, confidence: int) -> None:
    """As with the setting's old name: every confidence of four decimals, and every limit."""
    limit = loader.load("live", Settings, [f"recognition.abstain_below={below}"])
    stage = fusion(Sure(confidence / 10_000), abstain_above=limit.recognition.abstain_above)
    emotion = only(run(stage, [utterance()])).emotion
    assert emotion.confidence == confidence / 10_000
    assert emotion.abstained == (emotion.confidence < below)


def test_a_measured_curve_tells_the_expected_error() -> None:
    curve = [ErrorPoint(0.2, 0.9), ErrorPoint(0.9, 0.6)]
    for limit, abstained in ((0.59, True), (0.61, False)):
        stage = fusion(Sure(0.95), abstain_above=limit, error_curve=curve)
        assert only(run(stage, [utterance()])).emotion.abstained == abstained
    assert not only(run(fusion(Sure(0.95), abstain_above=0.59), [utterance()])).emotion.abstained


def test_events_name_a_prior_that_is_not_the_models_own() -> None:
    assert only(run(fusion(), [utterance()])).emotion.prior is None
    event = only(run(fusion(prior=np.full(7, 1 / 7)), [utterance()]))
    assert event.emotion.prior == dict.fromkeys(EMOTIONS, 0.1429)


def test_an_utterance_waits_for_the_faces_up_to_its_end() -> None:
    stage = fusion()
    assert run(stage, [utterance(), faces(1.5, 4)], flush=False) == []
    assert run(stage, [faces(2.0, 4)], flush=False) == []
    event = only(run(stage, [messages.Mark(2.1, "watch")], flush=False))
    assert (event.modalities.visual.face, event.modalities.visual.faces) == (4, 1)
    assert (event.session, event.seq, event.schema, event.model) == ("s", 0, schema.SCHEMA, MODEL)


def test_the_end_of_watching_ends_the_waiting_and_the_end_of_listening_does_not() -> None:
    stage = fusion()
    assert run(stage, [utterance(), messages.End("transcribe", 3.0)], flush=False) == []
    event = only(run(stage, [faces(1.5, 4), messages.End("watch", 3.0)], flush=False))
    assert event.modalities.visual.face == 4


def test_without_video_nothing_waits() -> None:
    event = only(run(fusion(has_video=False), [utterance()], flush=False))
    assert event.modalities.visual == schema.Modality(present=False, reason="no video")


def test_a_camera_that_is_gone_is_not_waited_for_beyond_the_patience() -> None:
    stage = fusion(patience=1.0)
    assert run(stage, [utterance(), messages.Mark(2.9, "segment")], flush=False) == []
    event = only(run(stage, [messages.Mark(3.1, "segment")], flush=False))
    assert event.modalities.visual.reason == "no frames"
    waiting = run(stage, [utterance(2, 3.2, 4.0)], flush=False)
    assert waiting == []
    assert only(run(stage, [messages.End("transcribe", 4.5)], flush=False)).utterance.end == 4.0


@pytest.mark.parametrize("modality", ["text", "audio"])
def test_what_is_missing_is_marked_with_its_reason(modality: str) -> None:
    recogniser = Made()
    given = utterance(**{f"{modality}_features": None, "missing": {modality: "nobody knows"}})
    event = only(run(fusion(recogniser), [given]))
    assert getattr(event.modalities, modality) == schema.Modality(
        present=False, reason="nobody knows"
    )
    assert getattr(recogniser.asked[0][1], modality) is None


def test_features_and_speaker_reach_the_model_as_they_are() -> None:
    recogniser = Made()
    run(fusion(recogniser), [utterance(speaker="Ada"), utterance(2, 3.0, 4.0)])
    (_, first, ada), (_, _, unnamed) = recogniser.asked
    assert first.text is not None
    assert first.audio is not None
    assert (first.text.tolist(), first.audio.tolist()) == ([1.0], [2.0])
    assert (ada, unnamed) == ("Ada", messages.UNNAMED)


def test_what_is_provisional_does_not_change_the_conversation() -> None:
    plain = [utterance(1, 1.0, 2.0), utterance(2, 3.0, 4.0)]
    said = [
        utterance(1, 1.0, 1.5, final=False),
        plain[0],
        utterance(2, 3.0, 3.5, final=False),
        utterance(2, 3.0, 3.8, final=False),
        plain[1],
    ]
    final = [event for event in run(fusion(), said) if isinstance(event, schema.UtteranceEvent)]
    assert final == run(fusion(), plain)


def test_a_provisional_event_has_the_id_of_the_final_one() -> None:
    events = run(fusion(), [utterance(7, final=False), utterance(7), utterance(8, 3.0, 4.0)])
    assert [(type(event), event.utterance.id) for event in events] == [  # type: ignore[union-attr]
        (schema.Provisional, 1),
        (schema.UtteranceEvent, 1),
        (schema.UtteranceEvent, 2),
    ]


def test_words_can_be_kept_out_of_the_events() -> None:
    event = only(run(fusion(with_text=False), [utterance(text="a secret", text_source="captions")]))
    assert (event.utterance.text, event.utterance.text_source) == ("", "captions")
    assert b"secret" not in schema.encode(event)
    assert event.modalities.text.present
    shown = only(run(fusion(), [utterance(text="no secret")]))
    assert shown.utterance.text == "no secret"


def test_an_utterance_without_length_is_reported() -> None:
    recogniser = Made()
    events = run(fusion(recogniser), [messages.SpeechStarted(1, 2.0), utterance(1, 2.0, 2.0)])
    gap = events[-1]
    assert isinstance(gap, schema.Gap)
    assert (gap.what, gap.count, gap.time) == ("utterance", 1, 2.0)
    assert recogniser.asked == []


def test_what_was_being_worked_on_when_a_stage_died_is_reported() -> None:
    given = [
        messages.SpeechStarted(1, 1.0),
        utterance(1, 1.0, 2.0),
        messages.SpeechStarted(2, 3.0),
        utterance(2, 3.0, 3.5, final=False),
        messages.SpeechStarted(3, 3.6),
        messages.Restarted("transcribe"),
        messages.Restarted("transcribe"),
        messages.End("transcribe", 9.0),
    ]
    (gap,) = (event for event in run(fusion(), given) if isinstance(event, schema.Gap))
    assert (gap.what, gap.count, gap.time) == ("utterance", 2, 3.5)
    assert "transcribe" in gap.reason
    assert schema.decode(schema.encode(gap)) == gap


def test_a_watch_that_was_restarted_loses_no_utterance() -> None:
    given = [messages.SpeechStarted(1, 1.0), messages.Restarted("watch"), utterance()]
    events = run(fusion(), given)
    assert [type(event) for event in events] == [schema.SpeechStarted, schema.UtteranceEvent]


def test_lost_frames_are_reported_before_the_utterance_they_are_missing_in() -> None:
    lost = messages.Dropped(1.23456, "frames", 3, 0.40049, "the camera was gone")
    gap, event = run(fusion(), [lost, utterance(), messages.End("watch", 3.0)])
    assert isinstance(gap, schema.Gap)
    assert isinstance(event, schema.UtteranceEvent)
    assert (gap.what, gap.count, gap.time, gap.seconds) == ("frames", 3, 1.235, 0.4)


def test_faces_that_no_utterance_can_need_are_forgotten() -> None:
    stage = fusion()
    for second in range(1000):
        given = [faces(second + 0.5, 1), messages.Mark(float(second), "segment")]
        assert run(stage, given, flush=False) == []
        assert stage.gauges()["frames"] <= 3
        assert stage.gauges()["waiting"] <= 2


def test_latency_is_told_where_there_is_a_clock() -> None:
    ticks = iter([5.0, 5.25])
    stage = fusion(has_video=False, clock=lambda: next(ticks), media_clock=lambda: 2.75)
    timing = messages.Timing(transcription=0.1, features=0.02)
    event = only(run(stage, [utterance(timing=timing)]))
    assert event.latency == schema.Latency(
        end_of_speech_to_event=0.75,
        segmentation=0.5,
        transcription=0.1,
        features=0.02,
        fusion=0.25,
    )
    assert only(run(fusion(), [utterance()])).latency is None


def test_after_a_reset_the_conversation_begins_anew() -> None:
    given = [utterance(1), utterance(2, 3.0, 4.0), faces(5.0)]
    stage = fusion()
    first = run(stage, given)
    stage.reset()
    assert run(stage, given) == first


def test_the_real_model_answers_with_what_there_is() -> None:
    loaded = checkpoint.load("live")
    dims = loaded.card.dims
    rng = np.random.default_rng(3)

    def vector(modality: str) -> bytes:
        return rng.normal(0, 0.1, dims[modality]).astype("<f4").tobytes()

    stage = Fusion(
        EmotionRecogniser(loaded),
        FaceEncoder.pool,
        session="s",
        model=schema.ModelInfo(name=loaded.card.name, version=loaded.card.version),
        has_video=True,
        abstain_above=0.65,
    )
    seen = [
        messages.Faces(1.0 + n / 10, [messages.Face(1, (0, 0, 50, 50), vector("visual"))])
        for n in range(5)
    ]
    whole = utterance(text_features=vector("text"), audio_features=vector("audio"))
    bare = utterance(
        2,
        3.0,
        4.0,
        text_features=None,
        audio_features=None,
        missing={"text": "no transcriber", "audio": "silence"},
    )
    events = run(stage, [*seen, whole, bare, messages.End("watch", 5.0)])
    first, second = (event for event in events if isinstance(event, schema.UtteranceEvent))
    assert all(getattr(first.modalities, name).present for name in ("text", "audio", "visual"))
    assert [getattr(second.modalities, name).reason for name in ("text", "audio", "visual")] == [
        "no transcriber",
        "silence",
        "no frames",
    ]
    for event in (first, second):
        assert sum(event.emotion.probabilities.values()) == pytest.approx(1, abs=5e-4)
        assert schema.decode(schema.encode(event)) == event
