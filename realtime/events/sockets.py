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
        keepalive: whether the system looks after a silent peer, and ends the connection. It is for
            sockets that cross machines; inside one, a lost peer is reported at once. ZeroMQ's own
            heartbeats are not used: libzmq 4.3 aborts the process if one is due while the peer is
            gone and what it sent is not read yet.
        ipv6: whether addresses may be IPv6.
        immediate: whether messages are queued only for a connected peer.
        handover: ROUTER only: whether a new peer may take over the identity of an old one.
        verbose: XPUB only: whether repeated subscriptions are reported, too.
        most_bytes: larger messages are not taken: the connection is closed. -1 takes all, where
            both ends are ours.
        waiting: how many messages of a peer may wait to be read, if not the high-water mark.
    """

    linger: int
    reconnect: int = 50
    reconnect_max: int = 1_000
    keepalive: bool = False
    ipv6: bool = False
    immediate: bool = False
    handover: bool = False
    verbose: bool = False
    most_bytes: int = -1
    waiting: int | None = None


#: Seconds of silence, and between two questions; unanswered questions until a peer is lost.
KEEPALIVE, QUESTIONS = 2, 3

#: Between the processes of a session.
PIPELINE = Profile(linger=1_500)
#: The same for the policy `latest`: nothing is kept for a receiver that is gone.
PIPELINE_LATEST = msgspec.structs.replace(PIPELINE, immediate=True)
#: The session's end of the control connections. A restarted worker has the same identity.
CONTROL = Profile(linger=200, handover=True)
#: The session's end of the event stream of its workers.
EVENTS_IN = Profile(linger=0)
#: The publisher's end of the public event stream. A hello is a subscription that may be repeated.
#: CURVE's handshake needs 300 bytes, a subscription less. What waits of a peer is short, so that
#: one that floods has to wait: XPUB takes all that has come whenever it is used.
PUBLISHER = Profile(linger=1_500, keepalive=True, verbose=True, most_bytes=512, waiting=64)
PUBLISHER_IPV6 = msgspec.structs.replace(PUBLISHER, ipv6=True)
#: A subscriber's end, which reconnects without limit. An event has some kilobytes.
SUBSCRIBER = Profile(
    linger=0, reconnect=100, reconnect_max=2_000, keepalive=True, ipv6=True, most_bytes=1 << 20
)


def prepare(socket: "zmq.Socket[bytes]", profile: Profile, high_water_mark: int) -> None:
    """Sets the options of a socket that is not connected yet.

    Args:
        socket: any socket of the project.
        profile: one of the profiles above.
        high_water_mark: maximal number of queued messages per peer, in each direction.
    """
    socket.setsockopt(zmq.SNDHWM, high_water_mark)
    socket.setsockopt(zmq.RCVHWM, profile.waiting or high_water_mark)
    socket.setsockopt(zmq.MAXMSGSIZE, profile.most_bytes)
    socket.setsockopt(zmq.LINGER, profile.linger)
    socket.setsockopt(zmq.RECONNECT_IVL, profile.reconnect)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, profile.reconnect_max)
    socket.setsockopt(zmq.IPV6, int(profile.ipv6))
    socket.setsockopt(zmq.IMMEDIATE, int(profile.immediate))
    if profile.handover:
        socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    if profile.verbose:
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)
    if profile.keepalive:
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE)
        socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE)
        socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, QUESTIONS)
        # The same for data that is not confirmed.
        socket.setsockopt(zmq.TCP_MAXRT, KEEPALIVE * (QUESTIONS + 1) * 1000)
