"""The table of services. A new stage is a file of its own and a record here.

The record has the inputs of the stage, their delivery policies, the function that builds it, and
the sessions in which it runs. Links and workers follow from it.
"""

from collections.abc import Iterable

from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.services import MEBIBYTE, Input, Service
from gscon_live.realtime.session.session_plan import Plan

_BUILDERS = "gscon_live.realtime.session.assembly"
_FRAME = 640 * 480 * 3
_SOUND = (messages.AudioChunk, messages.Cue, messages.Control)
_PICTURES = (messages.VideoFrame, messages.Control)

SERVICES: tuple[Service[Plan], ...] = (
    Service(
        name="recording",
        build=f"{_BUILDERS}:build_recording",
        runs=lambda plan: plan.recording is not None,
        restarts=False,
    ),
    Service(
        name="microphone",
        build=f"{_BUILDERS}:build_microphone",
        runs=lambda plan: plan.microphone,
    ),
    Service(
        name="camera",
        build=f"{_BUILDERS}:build_camera",
        runs=lambda plan: plan.camera,
        needed=False,
    ),
    Service(
        name="segment",
        build=f"{_BUILDERS}:build_segment",
        runs=lambda plan: True,
        takes=(
            Input("recording", _SOUND, "lossless", 2 * MEBIBYTE, 16 << 10),
            Input("microphone", _SOUND, "lossless", 2 * MEBIBYTE, 2560),
        ),
    ),
    Service(
        name="transcribe",
        build=f"{_BUILDERS}:build_transcribe",
        runs=lambda plan: True,
        takes=(
            Input(
                "segment",
                (messages.SpeechStarted, messages.Segment, messages.Control),
                "lossless",
                16 * MEBIBYTE,
                MEBIBYTE,
            ),
        ),
    ),
    Service(
        name="watch",
        build=f"{_BUILDERS}:build_watch",
        runs=lambda plan: plan.has_video,
        takes=(
            Input("recording", _PICTURES, "latest", 8 * MEBIBYTE, _FRAME),
            Input("camera", _PICTURES, "latest", 2 * MEBIBYTE, _FRAME),
        ),
        needed=False,
    ),
    Service(
        name="recognise",
        build=f"{_BUILDERS}:build_recognise",
        runs=lambda plan: True,
        takes=(
            Input(
                "transcribe",
                (messages.SpeechStarted, messages.Utterance, messages.Control),
                "lossless",
                MEBIBYTE,
                4 << 10,
            ),
            Input("watch", (messages.Faces, messages.Control), "lossless", MEBIBYTE, 2 << 10),
        ),
        answers=True,
    ),
    Service(
        name="record",
        build=f"{_BUILDERS}:build_record",
        runs=lambda plan: plan.record is not None,
        takes=(
            Input("microphone", _SOUND, "lossless", 2 * MEBIBYTE, 2560),
            Input("camera", _PICTURES, "lossless", 16 * MEBIBYTE, _FRAME),
        ),
        keeps=True,
    ),
    # Nothing waits for the page's pictures, so it gets no `End` either: the session stops it.
    Service(
        name="show",
        build=f"{_BUILDERS}:build_show",
        runs=lambda plan: plan.camera and plan.visitor is not None and bool(plan.visitor.camera),
        takes=(Input("camera", (messages.VideoFrame,), "latest", 2 * MEBIBYTE, _FRAME),),
        needed=False,
    ),
)


def running(plan: Plan, services: Iterable[Service[Plan]] = SERVICES) -> dict[str, Service[Plan]]:
    """The services of a session, by name."""
    return {service.name: service for service in services if service.runs(plan)}
