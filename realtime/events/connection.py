"""The state of a subscriber's connection, and the check of its address."""

import contextlib
import time
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from gscon_live.common.errors import InputError
from gscon_live.realtime.events.endpoint import DEFAULT, host

#: Number of failed handshakes after which the server key counts as wrong: a publisher that goes
#: during the handshake looks the same.
_HANG_UPS = 3

_WATCHED = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CONNECT_RETRIED
)

#: Seconds after which ZeroMQ has begun to connect again, if it does so by itself.
_RETRIES_WITHIN = 1.0


class Connection:
    """The state of a socket's connection; `check` updates it.

    Attributes:
        connected: whether the publisher is connected.
        connections: number of connections so far.
    """

    def __init__(self, socket: "zmq.Socket[bytes]", endpoint: str, secured: bool) -> None:
        self.connected = False
        self.connections = 0
        self._socket = socket
        self._endpoint = endpoint
        self._secured = secured
        self._hang_ups = 0
        self._ended_at: float | None = None
        self._monitor: Any = socket.get_monitor_socket(_WATCHED)

    def check(self) -> None:
        """Reads the changes of the connection since the last call.

        Raises:
            InputError: the publisher refuses the keys, or only one side uses keys; ZeroMQ does not
                try again then.
        """
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.connected, self._hang_ups, self._ended_at = True, 0, None
                self.connections += 1
            elif event == zmq.EVENT_DISCONNECTED:
                self.connected, self._ended_at = False, time.monotonic()
            elif event == zmq.EVENT_CONNECT_RETRIED:
                self._ended_at = None
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                raise InputError(
                    f"{self._endpoint}: the publisher does not accept this key; "
                    "put its public part into the publisher's folder of clients"
                )
            elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                wrong = "uses no keys; leave them out" if self._secured else "uses keys; give yours"
                raise InputError(f"{self._endpoint}: the publisher there {wrong}")
            else:
                self._hang_ups += 1
                if self._secured and self._hang_ups >= _HANG_UPS:
                    raise InputError(
                        f"{self._endpoint}: the publisher breaks off the handshake; "
                        "server.key is not its public key, or it uses no keys"
                    )

        # After a message that is too large, ZeroMQ ends the connection and does not try again.
        if self._ended_at is not None and time.monotonic() > self._ended_at + _RETRIES_WITHIN:
            self._ended_at = None
            with contextlib.suppress(zmq.ZMQError):  # else ZeroMQ takes it for connected
                self._socket.disconnect(self._endpoint)
            self._socket.connect(self._endpoint)

    def close(self) -> None:
        """Ends the monitoring; call it before the socket is closed."""
        self._socket.disable_monitor()


def check_endpoint(endpoint: str) -> None:
    """Raises `InputError` unless `endpoint` is `tcp://HOST:PORT` or `ipc://FILE` of a publisher."""
    name = host(endpoint)
    if name == "*" or endpoint.endswith(":0"):
        raise InputError(f"endpoint {endpoint!r}: names no publisher; give one, such as {DEFAULT}")
