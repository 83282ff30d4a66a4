"""What is known of a recording before its replay, and the plan for it."""

import hashlib
import os
from typing import NamedTuple

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.display.terminal import Notices
from gscon_live.realtime.listen import transcription_source
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.session.model_checks import check_detector
from gscon_live.realtime.session.session_plan import Plan


class Recorded(NamedTuple):
    """What is known of a recording before its replay. `duration` in seconds; `content` is a hash
    of the file and of its captions; `speakers` have a channel of the sound each."""

    path: str
    session: str
    duration: float
    captions: str
    has_audio: bool
    has_video: bool
    has_captions: bool
    content: str
    speakers: tuple[str, ...] = ()


def plan_for(
    video: str, settings: Settings, captions: str, speed: float | None, notices: Notices
) -> tuple[Plan, float]:
    """The plan for the replay of a recording, and its duration in seconds."""
    check_words(settings, captions)
    return plan_of(open_recording(video, settings, captions, notices), settings, speed, notices)


def open_recording(video: str, settings: Settings, captions: str, notices: Notices) -> Recorded:
    """Looks into a recording and its captions; loads and downloads no model.

    Raises:
        InputError: the recording or the captions cannot be used, or the face detector.
    """
    source = RecordingSource(
        video,
        settings.recording,
        captions=captions,
        frame_rate=settings.camera.rate,
        speakers_from=settings.speakers.source,
    )
    source.open()
    try:
        faces = check_detector(settings) if source.has_video else None
        for notice in source.notices:
            notices.say(notice)
        if faces:
            notices.once(faces)
        uses_captions = source.has_captions and not _names_transcriber(settings)
        if not source.has_audio and not uses_captions:
            raise InputError(
                f"{video}: has no audio track and no captions, so there is nothing to cut into "
                "utterances; give its words with --captions FILE.vtt"
            )
        if uses_captions and source.speakers:
            notices.say(
                f"{source.description}: utterances and their words are those of its captions; "
                f"{settings.speakers.source} give the sound, and speakers that have no name there"
            )
        content = source.digest()
        session = hashlib.blake2b(
            f"{content} {settings.recognition.checkpoint}".encode(), digest_size=8
        ).hexdigest()
        return Recorded(
            path=os.path.abspath(video),
            session=session,
            duration=source.duration,
            captions=str(source.captions_path) if source.captions_path else captions,
            has_audio=source.has_audio,
            has_video=source.has_video,
            has_captions=source.has_captions,
            content=content,
            speakers=tuple(source.speakers),
        )
    finally:
        source.close()


def plan_of(
    recorded: Recorded, settings: Settings, speed: float | None, notices: Notices
) -> tuple[Plan, float]:
    """The plan for a recording that was opened, and its duration in seconds. Downloads the model
    that writes the words if there is need."""
    words = transcription_source.choose(
        settings.transcription,
        recorded.has_captions,
        notices.say,
        notices.downloads(transcription_source.folders()),
    )
    if words.notice:
        notices.once(words.notice)
    plan = Plan(
        session=recorded.session,
        settings=settings,
        live=False,
        words=words,
        has_audio=recorded.has_audio,
        has_video=recorded.has_video,
        recording=recorded.path,
        captions=recorded.captions,
        speed=speed,
        speakers=recorded.speakers,
    )
    return plan, recorded.duration


def _names_transcriber(settings: Settings) -> bool:
    """Whether a transcriber writes the words, captions or not."""
    transcription = settings.transcription
    return not transcription_source.is_automatic(transcription) and (
        transcription.transcriber != "off"
    )


def check_words(settings: Settings, captions: str) -> None:
    """Refuses two sources of words."""
    if captions not in ("auto", "off") and _names_transcriber(settings):
        raise InputError(
            f"--captions {captions} and --transcriber {settings.transcription.transcriber} "
            "both give the words; choose one of them"
        )
