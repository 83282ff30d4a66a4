"""Joins words, voice and face of an utterance, and gives the public events."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.model.abstention import ErrorPoint, expected_error
from gscon_live.model.features import UtteranceFeatures
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.recogniser import Opinion
from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Clock, Gauges, Incoming, Stage, no_clock
from gscon_live.realtime.recognise.face_memory import BEFORE, FaceMemory, FacesInView
from gscon_live.realtime.recognise.face_stream import FaceStream
from gscon_live.realtime.recognise.smoothing import Smoothing


class Recogniser(Protocol):
    """The emotion model over a rolling conversation."""

    def provisional(self, features: UtteranceFeatures, speaker: str) -> Opinion: ...
    def final(self, features: UtteranceFeatures, speaker: str) -> Opinion: ...
    def reset(self) -> None: ...


class Fusion(Stage):
    """Stage: utterances and faces in, public events out (`seq` is 0: the publisher numbers them).

    An utterance waits for the faces up to its end, by media time. A finite `patience` limits the
    wait.

    Args:
        recogniser: the emotion model.
        pool: a visual vector from the face's features, float32 [n, dim] -> [dim].
        session: the session's name.
        model: name and version for the events.
        has_video: whether faces will come.
        abstain_above: answers are marked as abstained if their expected error is above this.
        error_curve: measured error by confidence, for the expected error; empty: not measured.
        prior: the shares of the emotions that the answers were moved to, float [7], for the events;
            None: they are the model's own, and no event names them.
        smoothing: time constant in seconds of the average over a speaker's answers; 0: none.
        with_text: whether the words are in the events.
        first_id: number of the first utterance.
        patience: seconds of conversation after which an utterance waits for faces no longer.
        clock: measures the processing time.
        media_clock: the present media time, for the latency; None in a replay.
        with_faces: whether there are events of the faces in view.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        pool: Callable[[NDArray[np.float32]], NDArray[np.float32]],
        *,
        session: str,
        model: schema.ModelInfo,
        has_video: bool,
        abstain_above: float,
        error_curve: Sequence[ErrorPoint] = (),
        prior: NDArray[np.floating] | None = None,
        smoothing: float = 0.0,
        with_text: bool = True,
        first_id: int = 1,
        patience: float = inf,
        clock: Clock = no_clock,
        media_clock: Clock | None = None,
        with_faces: bool = False,
    ) -> None:
        self._recogniser = recogniser
        self._pool = pool
        self._session = session
        self._model = model
        self._has_video = has_video
        self._abstain_above = abstain_above
        self._error_curve = error_curve
        self._prior = None if prior is None else _named(prior)
        self._smooth = Smoothing(smoothing)
        self._with_text = with_text
        self._first_id = first_id
        self._patience = patience
        self._clock = clock
        self._media_clock = media_clock
        self._with_faces = with_faces
        self.reset()

    def reset(self) -> None:
        """Forgets the conversation."""
        self._recogniser.reset()
        self._smooth.reset()
        self._faces = FaceMemory()
        self._face_stream = FaceStream(self._session) if self._with_faces else None
        self._faces_until = 0.0 if self._has_video else inf
        self._utterances_until = 0.0
        self._answered_until = 0.0
        self._waiting: deque[Incoming] = deque()
        self._lost_frames: deque[messages.Dropped] = deque()
        self._open: dict[int, int] = {}
        self._next_id = self._first_id

    def gauges(self) -> Gauges:
        """Numbers of messages that wait for faces, and of frames in memory."""
        return {"waiting": float(len(self._waiting)), "frames": float(len(self._faces))}

    def process(self, message: Incoming) -> Iterator[schema.AnyEvent]:
        """See the class."""
        match message:
            case messages.Faces():
                self._faces.add(message)
                self._faces_until = max(self._faces_until, message.time)
                yield from self._in_view(message)
            case messages.Mark(source="watch"):
                self._faces_until = max(self._faces_until, message.time)
            case messages.End(source="watch"):
                self._faces_until = inf
            case messages.End():
                self._utterances_until = inf
            case messages.Dropped(what="frames"):
                self._lost_frames.append(message)
            case messages.Restarted(source="watch"):
                pass
            case _:
                self._waiting.append(message)
                self._utterances_until = max(self._utterances_until, _due(message))
        yield from self._advance(self._faces_until)

    def flush(self) -> Iterator[schema.AnyEvent]:
        """Handles all messages that still wait."""
        yield from self._advance(inf)
        while self._lost_frames:
            yield self._gap(self._lost_frames.popleft())

    def _in_view(self, frame: messages.Faces) -> Iterator[schema.AnyEvent]:
        """The event of the faces in a frame, if there is one."""
        if self._face_stream is None:
            return
        begins = any(isinstance(message, messages.SpeechStarted) for message in self._waiting)
        event = self._face_stream.look(frame, speaking=begins or bool(self._open))
        if event is not None:
            yield event

    def _advance(self, faces_until: float) -> Iterator[schema.AnyEvent]:
        """Handles the messages whose faces are known, and those that have waited long enough."""
        while self._waiting:
            due = _due(self._waiting[0])
            waits = self._patience == inf or due + self._patience > self._utterances_until
            # Faces of a watermark's own time may follow it, so equal times have to wait.
            if due >= faces_until and waits:
                return
            self._answered_until = max(self._answered_until, due)
            yield from self._handle(self._waiting.popleft())

    def _handle(self, message: Incoming) -> Iterator[schema.AnyEvent]:
        match message:
            case messages.SpeechStarted(key=key, start=start):
                yield schema.SpeechStarted(
                    schema=schema.SCHEMA,
                    session=self._session,
                    seq=0,
                    utterance=self._identity(key),
                    start=start,
                )
            case messages.Utterance():
                yield from self._gaps_until(message.end)
                yield from self._answer(message)
            case messages.Mark(time=time):
                yield from self._gaps_until(time)
                self._faces.forget(time - BEFORE)
            case messages.Dropped():
                yield self._gap(message)
            case messages.Restarted(source=source):
                yield from self._lost(source)

    def _identity(self, key: int) -> int:
        if key not in self._open:
            self._open[key] = self._next_id
            self._next_id += 1
        return self._open[key]

    def _answer(self, utterance: messages.Utterance) -> Iterator[schema.AnyEvent]:
        began = self._clock()
        identity = self._identity(utterance.key)
        if utterance.final:
            del self._open[utterance.key]
            if utterance.end <= utterance.start:
                lost = messages.Dropped(utterance.start, "utterance", 1, 0.0, "it has no length")
                yield self._gap(lost)
                return
        view = (
            self._faces.look(
                utterance.start, utterance.end, np.frombuffer(utterance.envelope, np.float32)
            )
            if self._has_video
            else FacesInView(None, "no video", None, 0)
        )
        features = UtteranceFeatures(
            text=_vector(utterance.text_features),
            audio=_vector(utterance.audio_features),
            visual=None if view.features is None else self._pool(view.features),
        )
        speaker = utterance.speaker or messages.UNNAMED
        recognise = self._recogniser.final if utterance.final else self._recogniser.provisional
        opinion = recognise(features, speaker)
        answer = self._smooth(opinion.probabilities, speaker, utterance.end, utterance.final)
        language, language_probability = utterance.language or (None, None)
        best = int(np.argmax(answer))
        confidence = round(float(answer[best]), 4)
        # Rounded like the confidence, so that 0.35 is exactly as sure as an error of 0.65.
        error = round(expected_error(confidence, self._error_curve), 4)
        kind = schema.UtteranceEvent if utterance.final else schema.Provisional
        yield kind(
            schema=schema.SCHEMA,
            session=self._session,
            seq=0,
            utterance=schema.UtteranceInfo(
                id=identity,
                start=utterance.start,
                end=utterance.end,
                speaker=speaker,
                text=utterance.text if self._with_text else "",
                text_source=_text_source(utterance.text_source),
                language=language,
                language_probability=language_probability,
                stable_text=(utterance.stable or None) if self._with_text else None,
                words=_words(utterance) if self._with_text else None,
                overlap=utterance.overlap,
            ),
            emotion=schema.Emotion(
                label=EMOTIONS[best],
                confidence=confidence,
                probabilities=_named(answer),
                abstained=error > self._abstain_above,
                prior=self._prior,
            ),
            modalities=schema.Modalities(
                text=msgspec.structs.replace(
                    _modality(opinion.modalities["text"], utterance.missing.get("text")),
                    left_out=utterance.left_out or None,
                ),
                audio=_modality(opinion.modalities["audio"], utterance.missing.get("audio")),
                visual=_modality(opinion.modalities["visual"], view.reason, view),
            ),
            model=self._model,
            latency=self._latency(utterance, self._clock() - began),
        )

    def _latency(self, utterance: messages.Utterance, fusion: float) -> schema.Latency | None:
        if self._media_clock is None:
            return None
        return schema.Latency(
            end_of_speech_to_event=round(self._media_clock() - utterance.end, 3),
            segmentation=round(utterance.at - utterance.end, 3),
            transcription=round(utterance.timing.transcription, 3),
            features=round(utterance.timing.features, 3),
            fusion=round(fusion, 3),
        )

    def _gaps_until(self, time: float) -> Iterator[schema.AnyEvent]:
        while self._lost_frames and self._lost_frames[0].time <= time:
            yield self._gap(self._lost_frames.popleft())

    def _gap(self, lost: messages.Dropped) -> schema.Gap:
        return schema.Gap(
            schema=schema.SCHEMA,
            session=self._session,
            seq=0,
            time=round(lost.time, 3),
            what=msgspec.convert(lost.what, schema.What),
            count=lost.count,
            seconds=round(lost.seconds, 3),
            reason=lost.reason,
        )

    def _lost(self, source: str) -> Iterator[schema.AnyEvent]:
        """A gap for the utterances that were lost when an earlier stage failed."""
        if self._open:
            yield self._gap(
                messages.Dropped(
                    self._answered_until,
                    "utterance",
                    len(self._open),
                    0.0,
                    f"they were being worked on when {source} failed",
                )
            )
        self._open.clear()


def _due(message: Incoming) -> float:
    """The media time up to which a message needs faces."""
    match message:
        case messages.Utterance(end=end):
            return end
        case messages.Mark(time=time):
            return time
    return -inf


def _vector(raw: bytes | None) -> NDArray[np.float32] | None:
    return None if raw is None else np.frombuffer(raw, np.float32)


def _named(probabilities: NDArray[np.floating]) -> dict[str, float]:
    return {
        name: round(float(value), 4) for name, value in zip(EMOTIONS, probabilities, strict=True)
    }


def _modality(
    probabilities: NDArray[np.float32] | None, reason: str | None, view: FacesInView | None = None
) -> schema.Modality:
    face = view.face if view else None
    faces = view.faces if view and view.faces else None
    if probabilities is None:
        return schema.Modality(present=False, reason=reason or "missing", face=face, faces=faces)
    return schema.Modality(
        present=True,
        probabilities=_named(probabilities),
        face=face,
        faces=faces,
        faces_left_out=(view.left_out or None) if view else None,
    )


def _words(utterance: messages.Utterance) -> list[schema.TimedWord] | None:
    if utterance.words is None:
        return None
    return [schema.TimedWord(**msgspec.structs.asdict(word)) for word in utterance.words]


def _text_source(source: str) -> schema.TextSource:
    checked: schema.TextSource = msgspec.convert(source, schema.TextSource)
    return checked
