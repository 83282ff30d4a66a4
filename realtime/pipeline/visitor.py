"""What a visitor gives: sound and pictures that come to the page, on their way to the session.

A *visitor* is a browser or a program that gives its own sound and pictures over the page. The page
is a process of its own; it hands them to the services `microphone` and `camera` by ZeroMQ. Times
are seconds of this machine's monotonic clock.
"""

import math
import struct
from typing import Literal

import msgspec
import zmq

from gscon_live.realtime.events.sockets import PIPELINE, PIPELINE_LATEST, prepare

#: In the settings: the device is the visitor's.
BROWSER = "browser"
#: What the page prints when a viewer ends the session.
STOP = "stop"
#: Number of messages that wait on each side, of sound (20 ms each) and of pictures.
SOUND_QUEUE, PICTURE_QUEUE = 250, 4
#: Number of messages that are read at once.
_ROUND = 64

#: How a message over WebSocket begins: what it is, and its time. Both have 16 bytes.
_HEAD = struct.Struct("<4s4xd")
_KINDS: dict[bytes, Literal["sound", "picture"]] = {b"pcm ": "sound", b"jpeg": "picture"}
HEAD_BYTES = _HEAD.size


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Where a visitor's sound and pictures go, and what pictures are wanted.

    `sound` and `pictures` are the addresses of the services; None: it is not wanted. `width` and
    `height` are in pixels, `rate` in pictures per second. `camera` is where the page gets pictures
    of the session's own camera; None: there are none to show.
    """

    sound: str | None = None
    pictures: str | None = None
    width: int = 640
    height: int = 480
    rate: float = 10.0
    camera: str | None = None

    @property
    def wants(self) -> list[str]:
        """What is wanted: "sound", "pictures"."""
        pairs = (("sound", self.sound), ("pictures", self.pictures))
        return [name for name, address in pairs if address is not None]


class Sound(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Sound of a visitor: mono PCM, 16 bit, little-endian. `at` is the time of its first sample."""

    visitor: int
    at: float
    rate: int
    samples: bytes


class Picture(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A picture of a visitor's camera as a baseline JPEG of a size that was checked."""

    visitor: int
    at: float
    jpeg: bytes


class Missing(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Something was lost on the way: how many pictures or how many seconds of sound, and why."""

    count: int
    seconds: float
    reason: str


class Left(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A visitor has gone."""

    visitor: int


Given = Sound | Picture | Missing | Left

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Given] = msgspec.msgpack.Decoder(Given)


class Outlet:
    """The page's end. It never waits.

    Args:
        endpoint: the address of the service.
        queue: number of messages that may wait.
    """

    def __init__(self, endpoint: str, queue: int) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        # Nothing is kept for a service that is not there.
        prepare(self._socket, PIPELINE_LATEST, queue)
        self._socket.connect(endpoint)

    def send(self, given: Given) -> bool:
        """Sends a message. Returns whether it is on its way: false if too many wait, or the service
        is not there."""
        try:
            self._socket.send(_encoder.encode(given), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    @property
    def awaited(self) -> bool:
        """Whether a message would be taken now."""
        return bool(self._socket.poll(0, zmq.POLLOUT))

    def close(self) -> None:
        """Closes the connection."""
        self._context.destroy(linger=100)


class Inlet:
    """The service's end.

    Args:
        endpoint: its address.
        queue: number of messages that may wait.
    """

    def __init__(self, endpoint: str, queue: int) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        prepare(self._socket, PIPELINE, queue)
        self._socket.bind(endpoint)

    def receive(self, timeout: float) -> list[Given]:
        """The messages that are there, after at most `timeout` seconds; not more than 64."""
        taken: list[Given] = []
        self._socket.poll(max(0, math.ceil(timeout * 1000)))
        while len(taken) < _ROUND:
            try:
                taken.append(_decoder.decode(self._socket.recv(zmq.NOBLOCK)))
            except zmq.Again:
                break
        return taken

    def close(self) -> None:
        """Closes the socket."""
        self._context.destroy(linger=0)


def message(kind: Literal["sound", "picture"], time: float, content: bytes) -> bytes:
    """A message over WebSocket: sound (mono PCM, 16 bit) or a JPEG, and its time in seconds of the
    sender's clock."""
    name = next(word for word, known in _KINDS.items() if known == kind)
    return _HEAD.pack(name, time) + content


def read_message(data: bytes) -> tuple[Literal["sound", "picture"], float, bytes]:
    """What a message over WebSocket is, its time, and its content.

    Raises:
        ValueError: it is no such message.
    """
    if len(data) < HEAD_BYTES:
        raise ValueError("the message is shorter than its head")
    name, time = _HEAD.unpack_from(data)
    if name not in _KINDS:
        raise ValueError("the message begins with neither 'pcm ' nor 'jpeg'")
    if not math.isfinite(time) or abs(time) > 1e12:
        raise ValueError("the time is no number of seconds")
    return _KINDS[name], time, data[HEAD_BYTES:]
