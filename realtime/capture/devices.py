"""Which microphones and cameras there are, and which one a name or an index means."""

import os
import platform
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import msgspec

from gscon_live.common.errors import InputError

_PROBED = 5  # camera indexes that are tried where the system does not list its cameras


class MicrophoneInfo(msgspec.Struct, frozen=True):
    """One sound input: PortAudio's index and name, input channels, default rate in Hz."""

    index: int
    name: str
    channels: int
    rate: float
    default: bool


class CameraInfo(msgspec.Struct, frozen=True):
    """One camera: OpenCV's index, and its name where the system tells it."""

    index: int
    name: str


def portaudio() -> ModuleType:
    """The `sounddevice` module. Raises `InputError` where the PortAudio library is missing."""
    try:
        import sounddevice
    except OSError as error:
        raise InputError(
            "microphone: the PortAudio library is missing; install it "
            "(Debian and Ubuntu: apt-get install libportaudio2)"
        ) from error
    module: ModuleType = sounddevice
    return module


def microphones() -> list[MicrophoneInfo]:
    """All sound inputs. Raises `InputError` where PortAudio is missing."""
    sounddevice = portaudio()
    default = sounddevice.default.device[0]
    return [
        MicrophoneInfo(
            index,
            str(device["name"]),
            int(device["max_input_channels"]),
            float(device["default_samplerate"]),
            index == default,
        )
        for index, device in enumerate(sounddevice.query_devices())
        if device["max_input_channels"] > 0
    ]


def find_microphone(device: str | int | None) -> MicrophoneInfo:
    """The input with this index, or this name or part of it; None: the system's default.

    An exact name wins over a part, the default input over the others.

    Raises:
        InputError: there is none; the message says which there are.
    """
    there = microphones()
    if not there:
        raise InputError(
            "microphone: no sound input found; plug one in, or on Linux start the sound server, "
            "and see gscon-live doctor"
        )
    ranked = sorted(there, key=lambda info: not info.default)
    wanted = _as_index(device)
    if wanted is None:
        return ranked[0]
    for matches in (
        lambda info: info.index == wanted,
        lambda info: info.name == wanted,
        lambda info: isinstance(wanted, str) and wanted.lower() in info.name.lower(),
    ):
        for info in ranked:
            if matches(info):
                return info
    listed = ", ".join(f"{info.index} ({info.name})" for info in there)
    raise InputError(f"microphone {device!r}: no such input; there are {listed}")


def cameras() -> list[CameraInfo]:
    """All cameras: on Linux as the kernel lists them, elsewhere those of the first indexes that
    open."""
    if platform.system() == "Linux":
        return _linux_cameras(Path("/sys/class/video4linux"), Path("/dev"))
    return _probed_cameras()


def find_camera(device: str | int) -> int | str:
    """What OpenCV opens: an index, a URL, or the path of a file.

    Args:
        device: an index, a URL, a file, or on Linux part of a camera's name.

    Raises:
        InputError: none of these; the message says which cameras there are.
    """
    wanted = _as_index(device)
    if isinstance(wanted, str) and ("://" in wanted or Path(wanted).is_file()):
        return wanted
    listing = platform.system() == "Linux"
    if isinstance(wanted, int) and not listing:
        return wanted
    there = cameras()
    for info in there:
        if info.index == wanted or (
            isinstance(wanted, str) and (wanted.lower() in info.name.lower())
        ):
            return info.index
        if wanted == f"/dev/video{info.index}":
            return info.index
    listed = ", ".join(f"{info.index} ({info.name})" for info in there) or "none"
    raise InputError(
        f"camera {device!r}: no such camera, URL or file; cameras here: {listed}; "
        "give one of these, a URL or a video file, or camera.device=null for none"
    )


def camera_name(device: int | str) -> str:
    """How to call a camera in messages: without user, password, query or folder."""
    if isinstance(device, int):
        return str(device)
    if "://" in device:
        parts = urlsplit(device)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
    return Path(device).name


def silence_opencv() -> None:
    """Keeps OpenCV and its FFmpeg from writing to standard error about devices that are not there.

    Raises nothing; what matters is reported by those who open a camera.
    """
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _as_index(device: str | int | None) -> str | int | None:
    return int(device) if isinstance(device, str) and device.strip().isdecimal() else device


def _linux_cameras(listed: Path, nodes: Path) -> list[CameraInfo]:
    infos = []
    for node in nodes.glob("video*"):
        number = node.name.removeprefix("video")
        if not number.isdecimal():
            continue
        entry = listed / node.name
        try:
            # A camera has further nodes for its metadata; the picture is the one with index 0.
            index = (entry / "index").read_text().strip()
            name = (entry / "name").read_text().strip()
        except OSError:
            index, name = "0", node.name
        if index == "0":
            infos.append(CameraInfo(int(number), name))
    return sorted(infos, key=lambda info: info.index)


def _probed_cameras() -> list[CameraInfo]:
    import cv2

    silence_opencv()
    infos = []
    for index in range(_PROBED):
        capture = cv2.VideoCapture(index)
        if capture.isOpened():
            infos.append(CameraInfo(index, f"camera {index}"))
        capture.release()
    return infos
