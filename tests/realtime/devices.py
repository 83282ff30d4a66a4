"""Real devices without hardware, for tests: a microphone and a network camera.

The microphone is the monitor of a PulseAudio null sink: what a test plays, PortAudio hears. The
camera is an HTTP server that sends a video file as MJPEG, paced in real time. Both can vanish and
come back.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

RATE = 16_000


def need(*programs: str) -> None:
    """Skips the test where a program is absent; on CI, where all must be there, fails it."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        lack(f"not installed: {', '.join(missing)}")


def lack(reason: str) -> None:
    """Skips, or on CI fails, for this reason."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"on CI this must be there: {reason}")
    pytest.skip(reason)


def restart_portaudio() -> None:
    """PortAudio lists devices once, when it starts; this makes it look again."""
    import sounddevice

    sounddevice._terminate()
    sounddevice._initialize()


class VirtualMicrophone:
    """A PulseAudio daemon of our own with one 16 kHz null sink, whose monitor is the default
    source. `environment` is what a process needs to hear it.

    Args:
        channels: of the microphone.
    """

    def __init__(self, channels: int = 1) -> None:
        self._channels = channels
        self._folder = Path(tempfile.mkdtemp(prefix="pulse"))
        self.environment = {
            "XDG_RUNTIME_DIR": str(self._folder),
            "PULSE_SERVER": f"unix:{self._folder}/pulse/native",
            "PULSE_COOKIE": str(self._folder / "cookie"),
        }
        self._daemon: subprocess.Popen[bytes] | None = None
        self._players: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        environment = {**os.environ, **self.environment, "HOME": str(self._folder)}
        self._daemon = subprocess.Popen(
            [
                "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
                "-L", "module-native-protocol-unix auth-anonymous=1",
                "-L", "module-null-sink sink_name=mic16 format=float32le rate=16000 "
                f"channels={self._channels}",
            ],
            env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(100):
            if self._control("set-default-source", "mic16.monitor") == 0:
                break
            time.sleep(0.1)
        else:
            raise RuntimeError("the PulseAudio daemon did not start")
        # Without a stream that plays all the time, the first sound comes up to 2 s late.
        self._pacat(None)

    def stop(self) -> None:
        """The device vanishes, with all that was playing."""
        for process in [*self._players, *([self._daemon] if self._daemon else [])]:
            process.kill()
            process.wait()
        self._players, self._daemon = [], None

    def play(self, samples: npt.NDArray[np.float32]) -> None:
        """Begins to play sound (float32 at 16 kHz, -1 to 1; [n], or [channels, n]); returns at
        once."""
        self._pacat(samples.T.astype("<f4").tobytes())

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _pacat(self, data: bytes | None) -> None:
        command = ["pacat", "--playback", "--raw", "--format=float32le", "--rate=16000"]
        with contextlib.ExitStack() as stack:
            if data is None:
                source = stack.enter_context(open("/dev/zero", "rb"))
            else:
                source = stack.enter_context(tempfile.TemporaryFile())
                source.write(data)
                source.seek(0)
            self._players.append(
                subprocess.Popen(
                    [
                        *command, f"--channels={self._channels}", "--latency-msec=20",
                        "--device=mic16",
                    ],
                    env={**os.environ, **self.environment},
                    stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip

    def _control(self, *words: str) -> int:
        return subprocess.run(
            ["pactl", *words], env={**os.environ, **self.environment}, capture_output=True
        ).returncode


@contextlib.contextmanager
def virtual_microphone(channels: int = 1) -> Iterator[VirtualMicrophone]:
    """A running `VirtualMicrophone` that this process, and those it starts, hear as default."""
    need("pulseaudio", "pactl", "pacat")
    try:
        import sounddevice  # noqa: F401
    except OSError:
        lack("the PortAudio library (libportaudio2)")
    made = VirtualMicrophone(channels)
    before = {name: os.environ.get(name) for name in made.environment}
    os.environ.update(made.environment)
    try:
        made.start()
        restart_portaudio()
        yield made
    finally:
        made.close()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def microphone_of_workers(channels: int = 1) -> Iterator[VirtualMicrophone]:
    """As `virtual_microphone`, for sessions whose workers this process starts."""
    with virtual_microphone(channels) as made:
        # The server from which workers are forked keeps the environment that it was started in.
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
        yield made
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


class CameraServer:
    """Serves a video file as MJPEG over HTTP at its own rate, again and again from its start.

    `url` is the same before and after `stop` and `start`. While `stalled` is set, connections stay
    open and nothing is sent.
    """

    def __init__(self, video: Path) -> None:
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            self.rate = float(stream.average_rate)
            self._pictures = [
                cv2.imencode(".jpg", frame.to_ndarray(format="bgr24"))[1].tobytes()
                for frame in container.decode(stream)
            ]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/camera.mjpeg"
        self.stalled = threading.Event()
        self._running = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                with contextlib.suppress(OSError):
                    camera._send(self.wfile)
                self.close_connection = True

            def log_message(self, format: str, *arguments: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self._running.set()
        self._server = Server(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        """The camera is gone: its connections end and new ones are refused."""
        self._running.clear()
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            server.server_close()
            self._thread.join()

    def _send(self, out: Any) -> None:
        began = time.monotonic()
        number = 0
        while self._running.is_set():
            wait = began + number / self.rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            number += 1
            if self.stalled.is_set():
                continue
            picture = self._pictures[number % len(self._pictures)]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            out.write(head.encode() + picture + b"\r\n")
            out.flush()


@contextlib.contextmanager
def camera_server(video: Path) -> Iterator[CameraServer]:
    """A running `CameraServer`."""
    made = CameraServer(video)
    made.start()
    try:
        yield made
    finally:
        made.stop()
