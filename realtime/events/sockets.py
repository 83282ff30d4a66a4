"""The options of all ZeroMQ sockets, in one place.

Only a socket's own data is elsewhere: its identity (`pipeline.control`), its subscriptions
(`client`) and its CURVE keys (`curve`). This module imports nothing heavier than pyzmq, as a
subscriber needs it.
"""

import msgspec
import zmq


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a kind of socket; times in milliseconds.

    Args:
        linger: how long a closing socket may try to deliver its queue.
        reconnect, reconnect_max: first and longest time between two attempts to reconnect.
        heartbeat: whether heartbeats detect a silent peer. They are for sockets that cross
            machines. Inside a session the system reports a lost peer at once. Besides, libzmq 4.3
            aborts if a heartbeat is due while the peer is gone and its queue is full.
        ipv6: whether addresses may be IPv6.
        immediate: whether messages are queued only for a connected peer.
        handover: ROUTER only: whether a new peer may take over the identity of an old one.
        verbose: XPUB only: whether repeated subscriptions are reported, too.
    """

    linger: int
    reconnect: int = 50
    reconnect_max: int = 1_000
    heartbeat: bool = False
    ipv6: bool = False
    immediate: bool = False
    handover: bool = False
    verbose: bool = False


#: Time between heartbeats, and the silence after which a peer counts as lost.
HEARTBEAT, HEARTBEAT_TIMEOUT = 2_000, 6_000

#: Between the processes of a session.
PIPELINE = Profile(linger=1_500)
#: The same for the policy `latest`: nothing is kept for a receiver that is gone.
PIPELINE_LATEST = msgspec.structs.replace(PIPELINE, immediate=True)
#: The session's end of the control connections. A restarted worker has the same identity.
CONTROL = Profile(linger=200, handover=True)
#: The session's end of the event stream of its workers.
EVENTS_IN = Profile(linger=0)
#: The publisher's end of the public event stream. A hello is a subscription that may be repeated.
PUBLISHER = Profile(linger=1_500, heartbeat=True, verbose=True)
PUBLISHER_IPV6 = msgspec.structs.replace(PUBLISHER, ipv6=True)
#: A subscriber's end, which reconnects without limit.
SUBSCRIBER = Profile(linger=0, reconnect=100, reconnect_max=2_000, heartbeat=True, ipv6=True)


def prepare(socket: "zmq.Socket[bytes]", profile: Profile, high_water_mark: int) -> None:
    """Sets the options of a socket that is not connected yet.

    Args:
        socket: any socket of the project.
        profile: one of the profiles above.
        high_water_mark: maximal number of queued messages per peer, in each direction.
    """
    socket.setsockopt(zmq.SNDHWM, high_water_mark)
    socket.setsockopt(zmq.RCVHWM, high_water_mark)
    socket.setsockopt(zmq.LINGER, profile.linger)
    socket.setsockopt(zmq.RECONNECT_IVL, profile.reconnect)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, profile.reconnect_max)
    socket.setsockopt(zmq.IPV6, int(profile.ipv6))
    socket.setsockopt(zmq.IMMEDIATE, int(profile.immediate))
    if profile.handover:
        socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    if profile.verbose:
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)
    if profile.heartbeat:
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT)
        socket.setsockopt(zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT)
