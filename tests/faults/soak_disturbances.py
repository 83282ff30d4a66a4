"""What a soak does to a session that is running: each function disturbs it and puts things right."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from devices import CameraServer, VirtualMicrophone
from sessions import HERE

_STALLED = (
    "import sys, time\nfrom gscon_live.realtime.events.client import Subscriber\n"
    "s = Subscriber(sys.argv[1], timeout=60)\ns.ready()\nprint(1, flush=True)\ntime.sleep(600)\n"
)


class Voice(VirtualMicrophone):
    """A virtual microphone that forgets what has been played to its end."""

    def play(self, samples: Any) -> None:
        self._players = [player for player in self._players if player.poll() is None]
        super().play(samples)


class Target:
    """A running session and its surroundings, as disturbances need them."""

    def __init__(
        self,
        pid: int,
        endpoint: str,
        microphone: Voice,
        camera: CameraServer,
        chance: random.Random,
    ) -> None:
        self.pid = pid
        self.endpoint = endpoint
        self.microphone = microphone
        self.camera = camera
        self.chance = chance
        self.note = ""

    def pause(self, least: float, most: float) -> None:
        time.sleep(self.chance.uniform(least, most))

    def workers(self) -> list[psutil.Process]:
        """The processes of its stages and sources."""
        session = psutil.Process(self.pid)
        servers = [
            child for child in session.children() if "forkserver" in " ".join(child.cmdline())
        ]
        return [worker for server in servers for worker in server.children()]


def service(worker: psutil.Process) -> str:
    """The service of a process, by the socket that it listens on; sources have none."""
    for connection in worker.net_connections("unix"):
        path = Path(str(connection.laddr))
        if path.parent.name.startswith("gscon-"):
            return path.name
    return "microphone or camera"


def kill(target: Target) -> None:
    worker = target.chance.choice(target.workers())
    target.note = service(worker)
    worker.kill()
    # The fourth failure within a minute would end the session, as it should.
    target.pause(21.0, 25.0)


def stop_and_continue(target: Target) -> None:
    session = psutil.Process(target.pid)
    victim = target.chance.choice([session, *target.workers()])
    target.note = "session" if victim is session else service(victim)
    victim.suspend()
    try:
        target.pause(0.2, 8.0)
    finally:
        victim.resume()


def microphone_away(target: Target) -> None:
    target.microphone.stop()
    target.pause(0.5, 10.0)
    target.microphone.start()
    target.pause(4.0, 5.0)  # it is opened again


def camera_away(target: Target) -> None:
    target.camera.stop()
    target.pause(0.5, 10.0)
    target.camera.start()


def camera_stalls(target: Target) -> None:
    target.camera.stalled.set()
    target.pause(0.5, 10.0)
    target.camera.stalled.clear()


def bad_pictures(target: Target) -> None:
    whole = target.camera._pictures
    numbers = np.random.default_rng(target.chance.randrange(1 << 32))
    other = [
        cv2.imencode(".jpg", numbers.integers(0, 255, shape, np.uint8))[1].tobytes()
        for shape in ((480, 640, 3), (16, 900, 3), (2, 2, 3))
    ]
    bad = [*other, whole[0][:200], whole[0][: len(whole[0]) // 2], numbers.bytes(2_000), b""]
    target.camera._pictures = [target.chance.choice(bad) for _ in range(50)]
    try:
        target.pause(1.0, 6.0)
    finally:
        target.camera._pictures = whole


def stalled_subscriber(target: Target) -> None:
    with _program("-c", _STALLED, target.endpoint) as program:
        _begun(program)
        program.send_signal(signal.SIGSTOP)
        target.pause(2.0, 20.0)
        if target.chance.random() < 0.5:
            program.send_signal(signal.SIGCONT)
            target.pause(0.5, 1.0)


def flood(target: Target) -> None:
    target.note = target.chance.choice(["repeated", "new", "alternating", "long"])
    with _program(str(HERE / "flooding.py"), target.note, target.endpoint) as program:
        _begun(program)
        target.pause(1.0, 6.0)


def garbage(target: Target) -> None:
    """Bytes that are no ZeroMQ, and connections that say nothing and stay for a moment."""
    host, port = target.endpoint.removeprefix("tcp://").split(":")
    kept = []
    for _ in range(target.chance.randrange(5, 100)):
        connection = socket.create_connection((host, int(port)), timeout=10)
        start = target.chance.choice(
            [b"", b"\xff\0\0\0\0\0\0\0\x01\x7f", b"GET / HTTP/1.1\r\n\r\n"]
        )
        try:
            connection.sendall(start + target.chance.randbytes(target.chance.randrange(2_000)))
        except OSError:  # it was closed at once
            connection.close()
        kept.append(connection)
    target.pause(0.1, 2.0)
    for connection in kept:
        connection.close()


DISTURBANCES: dict[str, Callable[[Target], None]] = {
    "a stage is killed": kill,
    "a process stands still": stop_and_continue,
    "the microphone goes and comes back": microphone_away,
    "the camera goes and comes back": camera_away,
    "the camera stalls": camera_stalls,
    "bad pictures": bad_pictures,
    "a subscriber stalls, and is killed": stalled_subscriber,
    "a flood of subscriptions": flood,
    "garbage on the socket": garbage,
}


class _program:
    """A Python program that is killed at the end."""

    def __init__(self, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *words], env=os.environ, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def __enter__(self) -> "subprocess.Popen[str]":
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _begun(program: "subprocess.Popen[str]") -> None:
    assert program.stdout is not None
    program.stdout.readline()
