"""The public event stream: sequence numbers, topics, and a hello for those who come late.

A subscriber subscribes to its topics (`emotion `, `speech `, `session `, `health `), then to
`hello.<a word of its own>`. When this last subscription has arrived, all have. The publisher
answers on that topic with the number of the next event: from there on, the subscriber misses
nothing. If the session has begun, its first event is in the answer, too.
"""

from types import TracebackType

import msgspec

from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline.settings import Curve
from gscon_live.realtime.session.public_socket import PublicSocket

_HELLO = b"hello."
_FACES = b"face"
#: Hellos that are answered in a round; the others wait for the next one.
ANSWERS = 256


class Publisher:
    """Numbers events and publishes them.

    Args:
        endpoint: for example `tcp://127.0.0.1:5560`; None only numbers the events.
        session: the session's name, for the hello.
        keys: the publisher's CURVE key files; needed for an address beyond loopback.

    Raises:
        InputError: the endpoint is malformed or in use, needs keys, or is a file that is no
            socket.
    """

    def __init__(self, endpoint: str | None, session: str, keys: Curve | None = None) -> None:
        self._session = session
        self.next_seq = 0
        self._next_faces = 0
        self._started: schema.SessionStarted | None = None
        self._waiting: dict[bytes, None] = {}
        self._notice: str | None = None
        self._socket = None if endpoint is None else PublicSocket(endpoint, keys)

    def publish(self, event: schema.AnyEvent) -> schema.AnyEvent:
        """Numbers an event, sends it to the subscribers, and returns it. Events of faces have
        numbers of their own, as few want them; they are sent only if somebody does."""
        if isinstance(event, schema.FaceEvent):
            return self._publish_faces(event)
        numbered = msgspec.structs.replace(event, seq=self.next_seq)
        self.serve()
        self.next_seq += 1
        if isinstance(numbered, schema.SessionStarted):
            self._started = numbered
        if self._socket is not None:
            self._socket.send(schema.topic(numbered).encode(), schema.encode(numbered))
        return numbered

    def _publish_faces(self, event: schema.FaceEvent) -> schema.FaceEvent:
        if self._socket is None or not self._socket.wanted(_FACES):
            return event
        numbered = msgspec.structs.replace(event, seq=self._next_faces)
        self._next_faces += 1
        self._socket.send(_FACES, schema.encode(numbered))
        return numbered

    def serve(self) -> int:
        """Answers new hellos, a bounded number a call. Returns how many."""
        if self._socket is None:
            return 0
        if reason := self._socket.look_after():
            self._waiting.clear()
            self._notice = f"{reason}: all subscribers were disconnected, and may connect again"
        for new, topic in self._socket.subscriptions():
            if new and topic.startswith(_HELLO):
                self._waiting[topic] = None
            elif not new:
                self._waiting.pop(topic, None)
        answered = list(self._waiting)[:ANSWERS]
        for topic in answered:
            del self._waiting[topic]
            hello = {"schema": schema.SCHEMA, "session": self._session, "seq": self.next_seq}
            if self._started is not None:
                hello["started"] = self._started
            self._socket.send(topic, msgspec.json.encode(hello))
        return len(answered)

    def notice(self) -> str | None:
        """Why all subscribers were disconnected since the last call, if they were."""
        notice, self._notice = self._notice, None
        return notice

    def close(self) -> None:
        """Closes the socket; queued events have a moment to go out."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
