"""Whether the models of a request exist, before any of them is downloaded or a worker starts."""

from gscon_live.model import checkpoint
from gscon_live.model.encoders.text import sentence_encoder
from gscon_live.realtime.events.schema import ModelInfo
from gscon_live.realtime.listen import transcription_source
from gscon_live.realtime.listen.enrolled_speakers import enrolled_names
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.session.model_info import model_info


def check_models(settings: Settings) -> ModelInfo:
    """Name and version of the emotion model. `check_detector` checks the face detector.

    Raises:
        InputError: there is no such checkpoint, text model, transcriber or file of voices, one is
            damaged, or the checkpoint does not support live recognition or another prior.
    """
    transcription_source.check(settings.transcription)
    info = model_info(settings.recognition)
    checkpoint.load(settings.recognition.checkpoint)
    if settings.speakers.enrolled is not None:
        enrolled_names(settings.speakers.enrolled)
    if settings.features.text_model is not None:
        sentence_encoder.identity(settings.features.text_model)
    return info


def check_detector(settings: Settings) -> str | None:
    """A line that says why OpenCV's cascade finds the faces, where nobody chose it; else None.

    Raises:
        InputError: the face detector does not exist, or this machine cannot use it.
    """
    # Brings OpenCV along, which a recording without pictures does not need.
    from gscon_live.model.encoders.face.face_detector import FaceDetector, fallback_notice

    FaceDetector(settings.features.face_detector)
    return fallback_notice(settings.features.face_detector)
