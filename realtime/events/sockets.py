"""The options of every ZeroMQ socket, in one place.

Light: a subscriber imports this, and nothing heavier than pyzmq with it.
"""

import msgspec
import zmq


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What kinds of socket differ in; times in milliseconds.

    Args:
        linger: how long a closing socket may try to deliver what it still holds.
        reconnect, reconnect_max: reconnection starts fast and slows down.
        heartbeat: whether silence of the peer is noticed. Heartbeats are for sockets that cross
            machines. Inside a session the system tells at once when a peer has gone; besides,
            libzmq 4.3 aborts when a heartbeat falls due on a connection whose peer has gone while
            the queue behind it is full.
        ipv6: whether addresses may be IPv6.
    """

    linger: int
    reconnect: int = 50
    reconnect_max: int = 1_000
    heartbeat: bool = False
    ipv6: bool = False


#: A peer is asked this often, and is dead after this silence.
HEARTBEAT, HEARTBEAT_TIMEOUT = 2_000, 6_000

#: Between the processes of a session.
PIPELINE = Profile(linger=1_500)
#: The supervisor's line to its workers.
CONTROL = Profile(linger=200)
#: The session's own end of the event stream of its workers: what it has not read is not wanted.
EVENTS_IN = Profile(linger=0)
#: The public event stream, from the publisher ...
PUBLISHER = Profile(linger=1_500, heartbeat=True)
PUBLISHER_IPV6 = msgspec.structs.replace(PUBLISHER, ipv6=True)
#: ... to a subscriber, which reconnects for ever.
SUBSCRIBER = Profile(linger=0, reconnect=100, reconnect_max=2_000, heartbeat=True, ipv6=True)


def prepare(socket: "zmq.Socket[bytes]", profile: Profile, high_water_mark: int) -> None:
    """Sets the options of a socket that is not connected yet.

    Args:
        socket: any socket of the project.
        profile: one of those above.
        high_water_mark: how many messages it holds for a peer, in either direction.
    """
    socket.setsockopt(zmq.SNDHWM, high_water_mark)
    socket.setsockopt(zmq.RCVHWM, high_water_mark)
    socket.setsockopt(zmq.LINGER, profile.linger)
    socket.setsockopt(zmq.RECONNECT_IVL, profile.reconnect)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, profile.reconnect_max)
    socket.setsockopt(zmq.IPV6, int(profile.ipv6))
    if profile.heartbeat:
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT)
        socket.setsockopt(zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT)
