"""Builds the stage or source of a service from the session's plan, in the service's own process.

A function imports what its stage needs, so that a process loads nothing for other stages. Those of
stages with models take them from a `Models`: a process that runs several sessions, one after the
other, gives the same to all.
"""

import time

import msgspec

from gscon_live.realtime.pipeline.stage import Clock, Source, Stage, no_clock
from gscon_live.realtime.session.models import Models
from gscon_live.realtime.session.session_plan import StartTime, Worker

#: Seconds of conversation for which a live utterance waits for faces.
LIVE_PATIENCE = 1.0


def build_segment(worker: Worker, t0: StartTime, models: Models | None = None) -> Stage:
    """Sound to utterances: by captions if they are used, else by voice activity."""
    models = models or Models()
    from gscon_live.realtime.listen.caption_segmenter import CaptionSegmenter
    from gscon_live.realtime.listen.channel_segmenter import ChannelSegmenter
    from gscon_live.realtime.listen.segmenter import Segmenter

    plan = worker.plan
    if plan.words.captions:
        return CaptionSegmenter(plan.settings.segmentation, plan.has_audio, plan.speakers)
    settings, every = plan.settings.segmentation, plan.settings.transcription.so_far_every
    if plan.live and plan.words.model and every:
        settings = msgspec.structs.replace(settings, provisional_every=every)
    if plan.speakers:
        return ChannelSegmenter(settings, plan.speakers, in_order=not plan.live)
    changes = models.voice_change() if plan.settings.speakers.max_speakers > 1 else None
    return Segmenter(settings, models.voice_activity(), changes)


def build_transcribe(worker: Worker, t0: StartTime, models: Models | None = None) -> Stage:
    """Utterances to words and features."""
    from gscon_live.model import checkpoint
    from gscon_live.model.encoders.speaker.speaker_clustering import SpeakerClustering
    from gscon_live.realtime.listen.enrolled_speakers import enrolled_names
    from gscon_live.realtime.listen.transcriber import Transcriber
    from gscon_live.realtime.listen.words_so_far import WordsSoFar

    models = models or Models()
    plan = worker.plan
    whisper = (
        WordsSoFar(models.whisper(plan.words.model, plan.settings.transcription))
        if plan.words.model
        else None
    )
    text = models.text_encoder(plan.settings.features.text_model)
    audio = models.audio_encoder()
    card = checkpoint.read_card(plan.settings.recognition.checkpoint)
    card.require("text", text.identity)
    card.require("audio", audio.identity)
    speakers = SpeakerClustering(plan.settings.speakers.max_speakers)
    enrolled = enrolled_names(plan.settings.speakers.enrolled)
    language = plan.settings.transcription.language
    return Transcriber(
        whisper,
        text,
        audio,
        speakers,
        language,
        clock=_clock(worker),
        media_clock=_media_clock(worker, t0),
        answer_within=plan.settings.recognition.answer_within,
        enrolled=enrolled,
        overlap=models.overlap(),
    )


def build_watch(worker: Worker, t0: StartTime, models: Models | None = None) -> Stage:
    """Frames to faces."""
    from gscon_live.model import checkpoint
    from gscon_live.realtime.watch.watcher import CAMERA_WIDTH, RECORDING_WIDTH, Watcher

    models = models or Models()
    settings = worker.plan.settings
    encoder = models.face_encoder()
    checkpoint.read_card(settings.recognition.checkpoint).require("visual", encoder.identity)
    detector = models.face_detector(settings.features.face_detector)
    wider = CAMERA_WIDTH if worker.plan.recording is None else RECORDING_WIDTH
    return Watcher(detector, encoder, settings.features.min_face, wider)


def build_recognise(worker: Worker, t0: StartTime, models: Models | None = None) -> Stage:
    """Utterances and faces to events."""
    from gscon_live.model.encoders.face.face_encoder import FaceEncoder
    from gscon_live.model.recogniser import EmotionRecogniser
    from gscon_live.realtime.events.schema import ModelInfo
    from gscon_live.realtime.recognise.fusion import Fusion

    plan, settings = worker.plan, worker.plan.settings
    loaded = (models or Models()).checkpoint(settings.recognition.checkpoint)
    recogniser = EmotionRecogniser(
        loaded, settings.recognition.context, prior=settings.recognition.prior
    )
    return Fusion(
        recogniser,
        FaceEncoder.pool,
        session=plan.session,
        model=ModelInfo(name=loaded.card.name, version=loaded.card.version),
        has_video=plan.has_video,
        abstain_above=settings.recognition.abstain_above,
        error_curve=loaded.card.abstention,
        prior=recogniser.prior,
        smoothing=settings.recognition.smoothing,
        with_text=settings.publish.text,
        first_id=worker.utterances + 1,
        patience=LIVE_PATIENCE if plan.live else float("inf"),
        clock=_clock(worker),
        media_clock=_media_clock(worker, t0),
        with_faces=plan.live,
    )


def build_recording(worker: Worker, t0: StartTime) -> Source:
    """A media file."""
    from gscon_live.realtime.capture.audio_track import BLOCK
    from gscon_live.realtime.capture.recording import RecordingSource

    plan = worker.plan
    assert plan.recording is not None
    return RecordingSource(
        plan.recording,
        plan.settings.recording,
        captions=plan.captions if plan.words.captions else "off",
        frame_rate=plan.settings.camera.rate,
        want_audio=plan.has_audio,
        want_video=plan.has_video,
        block=plan.settings.microphone.block if plan.live else BLOCK,
        speakers_from=plan.settings.speakers.source,
    )


def build_microphone(worker: Worker, t0: StartTime) -> Source:
    """A microphone, or that of the browser."""
    from gscon_live.realtime.capture.microphone import MicrophoneSource
    from gscon_live.realtime.capture.visitor_microphone import VisitorMicrophone

    visitor = worker.plan.visitor
    if visitor is not None and visitor.sound is not None:
        return VisitorMicrophone(visitor.sound, t0(), worker.plan.settings.microphone.block)
    split = bool(worker.plan.speakers)
    return MicrophoneSource(worker.plan.settings.microphone, t0(), split=split)


def build_camera(worker: Worker, t0: StartTime) -> Source:
    """A webcam, or that of the browser."""
    from gscon_live.realtime.capture.camera import CameraSource
    from gscon_live.realtime.capture.visitor_camera import VisitorCamera

    visitor = worker.plan.visitor
    if visitor is not None and visitor.pictures is not None:
        return VisitorCamera(visitor.pictures, worker.plan.settings.camera, t0())
    return CameraSource(worker.plan.settings.camera, t0())


def build_show(worker: Worker, t0: StartTime) -> Stage:
    """The camera's pictures for the page."""
    from gscon_live.realtime.display.page_pictures import PagePictures
    from gscon_live.realtime.pipeline.visitor import PICTURE_QUEUE, Outlet

    visitor = worker.plan.visitor
    assert visitor is not None
    assert visitor.camera is not None
    outlet = Outlet(visitor.camera, PICTURE_QUEUE)
    return PagePictures(lambda: outlet.awaited, outlet.send)


def build_record(worker: Worker, t0: StartTime) -> Stage:
    """Sound and pictures to a file."""
    from gscon_live.realtime.capture.recorder import Recorder

    plan = worker.plan
    assert plan.record is not None
    size = (plan.settings.camera.width, plan.settings.camera.height)
    part, channels = worker.restarts + 1, len(plan.speakers) or 1
    return Recorder(plan.record, plan.has_audio, plan.has_video, size, part, channels)


def _clock(worker: Worker) -> Clock:
    return time.monotonic if worker.plan.live else no_clock


def _media_clock(worker: Worker, t0: StartTime) -> Clock | None:
    """The present media time of a live session."""
    return (lambda: time.monotonic() - t0()) if worker.plan.live else None
