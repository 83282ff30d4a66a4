"""Microphone and camera of a live session, before it starts."""

import contextlib
import time

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture import devices
from gscon_live.realtime.capture.camera import CameraSource
from gscon_live.realtime.capture.microphone import MicrophoneSource
from gscon_live.realtime.capture.speaker_streams import numbered
from gscon_live.realtime.capture.visitor_camera import NAME as VISITORS_CAMERA
from gscon_live.realtime.capture.visitor_microphone import NAME as VISITORS_MICROPHONE
from gscon_live.realtime.display.terminal import Notices
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.pipeline.visitor import BROWSER


def speakers_of(settings: Settings) -> tuple[str, ...]:
    """Those who have a channel of the microphone each; none where voices tell them apart.

    Raises:
        InputError: the setting is for recordings, or for another microphone.
    """
    if settings.speakers.source == "tracks":
        raise InputError(
            "speakers.from=tracks is for recordings; for a microphone with a channel for each "
            "speaker give speakers.from=channels"
        )
    if settings.speakers.source == "voices":
        return ()
    if settings.microphone.device == BROWSER:
        raise InputError(
            "speakers.from=channels: the browser's microphone has a single channel; give "
            "speakers.from=voices, or another --microphone"
        )
    return tuple(numbered(settings.microphone.channels))


def microphone_name(settings: Settings) -> str:
    """The microphone's name. Opens it once before the session starts, so that an unusable device is
    refused at once.

    Raises:
        InputError: it cannot be opened.
    """
    if settings.microphone.device == BROWSER:
        return VISITORS_MICROPHONE
    split = settings.speakers.source == "channels"
    source = MicrophoneSource(settings.microphone, time.monotonic(), split=split)
    with contextlib.closing(source):
        source.open()
        return source.description


def camera_name(settings: Settings, required: bool, notices: Notices) -> str | None:
    """The camera's name, or None. Opens it once, like the microphone. A camera that is not
    `required` may be missing.

    Raises:
        InputError: a required one cannot be opened.
    """
    device = settings.camera.device
    if device is None:
        return None
    if device == BROWSER:
        return VISITORS_CAMERA
    source = CameraSource(settings.camera, time.monotonic())
    try:
        with contextlib.closing(source):
            source.open()
        return f"camera {devices.camera_name(devices.find_camera(device))}"
    except InputError as error:
        if required:
            raise
        notices.say(f"{error}; going on without a camera")
        return None
