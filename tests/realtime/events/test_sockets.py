"""All sockets of the project get their options in one place, by their purpose."""

from collections.abc import Iterator

import pytest
import zmq

from gscon_live.realtime.events import sockets
from gscon_live.realtime.events.sockets import Profile, prepare

PROFILES = {
    name: profile for name, profile in vars(sockets).items() if isinstance(profile, Profile)
}


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield context
    context.destroy(0)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
def test_a_socket_has_what_its_profile_says(
    profile: Profile, context: "zmq.Context[zmq.Socket[bytes]]"
) -> None:
    kind = zmq.XPUB if profile.verbose else zmq.ROUTER if profile.handover else zmq.SUB
    socket = context.socket(kind)
    prepare(socket, profile, 7)
    assert (socket.sndhwm, socket.linger) == (7, profile.linger)
    assert socket.rcvhwm == (profile.waiting or 7)
    assert socket.maxmsgsize == profile.most_bytes
    assert socket.reconnect_ivl == profile.reconnect < socket.reconnect_ivl_max
    assert socket.reconnect_ivl_max == profile.reconnect_max
    assert bool(socket.ipv6) is profile.ipv6
    assert bool(socket.immediate) is profile.immediate
    assert bool(socket.tcp_keepalive == 1) is profile.keepalive
    if profile.keepalive:
        assert 0 < socket.tcp_keepalive_idle * 1000 < socket.tcp_maxrt


def test_only_what_crosses_machines_looks_after_silent_peers_and_bounds_messages() -> None:
    for bounded in (
        {name for name, profile in PROFILES.items() if profile.keepalive},
        {name for name, profile in PROFILES.items() if profile.most_bytes > 0},
    ):
        assert bounded == {"PUBLISHER", "PUBLISHER_IPV6", "SUBSCRIBER"}


def test_no_socket_has_heartbeats(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    """libzmq aborts the process where one is due to a peer that is gone and was not read."""
    for profile in PROFILES.values():
        socket = context.socket(zmq.ROUTER if profile.handover else zmq.XPUB)
        prepare(socket, profile, 7)
        assert socket.heartbeat_ivl == 0
