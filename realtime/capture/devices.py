"""Lists microphones and cameras, and finds them by name or index."""

import os
import platform
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import msgspec

from gscon_live.common.errors import InputError

#: Number of camera indexes to try where the system does not list its cameras.
_PROBED = 5


class MicrophoneInfo(msgspec.Struct, frozen=True):
    """A sound input: PortAudio's index and name, number of channels, default rate in Hz."""

    index: int
    name: str
    channels: int
    rate: float
    default: bool


class CameraInfo(msgspec.Struct, frozen=True):
    """A camera: OpenCV's index, and its name, if the system tells it."""

    index: int
    name: str


def portaudio() -> ModuleType:
    """The `sounddevice` module. Raises `InputError` if the PortAudio library is missing."""
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
    """All sound inputs. Raises `InputError` if PortAudio is missing."""
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
    """The input of an index, a name or a part of a name; None: the system's default.

    An exact name wins over a part, the default input over the others.

    Raises:
        InputError: no such input; lists those that exist.
    """
    inputs = microphones()
    if not inputs:
        raise InputError(
            "microphone: no sound input found; plug one in, or on Linux start the sound server, "
            "and see gscon-live doctor"
        )
    ranked = sorted(inputs, key=lambda info: not info.default)
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
    listed = ", ".join(f"{info.index} ({info.name})" for info in inputs)
    raise InputError(f"microphone {device!r}: no such input; there are {listed}")


def cameras() -> list[CameraInfo]:
    """All cameras: on Linux as the kernel lists them, elsewhere the first indexes that can be
    opened."""
    if platform.system() == "Linux":
        return _linux_cameras(Path("/sys/class/video4linux"), Path("/dev"))
    return _probed_cameras()


def find_camera(device: str | int) -> int | str:
    """The argument of OpenCV for a camera: an index, a URL, or the path of a file.

    Args:
        device: an index, a URL, a file, or on Linux part of a camera's name.

    Raises:
        InputError: none of these; lists the cameras.
    """
    wanted = _as_index(device)
    if isinstance(wanted, str) and ("://" in wanted or Path(wanted).is_file()):
        return wanted
    listing = platform.system() == "Linux"
    if isinstance(wanted, int) and not listing:
        return wanted
    infos = cameras()
    for info in infos:
        if info.index == wanted or (
            isinstance(wanted, str) and (wanted.lower() in info.name.lower())
        ):
            return info.index
        if wanted == f"/dev/video{info.index}":
            return info.index
    listed = ", ".join(f"{info.index} ({info.name})" for info in infos) or "none"
    raise InputError(
        f"camera {device!r}: no such camera, URL or file; cameras here: {listed}; "
        "give one of these, a URL or a video file, or camera.device=null for none"
    )


def camera_name(device: int | str) -> str:
    """A camera's name for messages: without user, password, query and folder."""
    if isinstance(device, int):
        return str(device)
    if "://" in device:
        parts = urlsplit(device)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
    return Path(device).name


def silence_opencv() -> None:
    """Turns off the log of OpenCV and its FFmpeg, which report missing devices on standard error.

    Our own messages report what matters.
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
