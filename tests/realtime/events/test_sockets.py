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
    assert (socket.sndhwm, socket.rcvhwm, socket.linger) == (7, 7, profile.linger)
    assert socket.reconnect_ivl == profile.reconnect < socket.reconnect_ivl_max
    assert socket.reconnect_ivl_max == profile.reconnect_max
    assert bool(socket.ipv6) is profile.ipv6
    assert bool(socket.immediate) is profile.immediate
    assert bool(socket.heartbeat_ivl) is profile.heartbeat
    if profile.heartbeat:
        assert 0 < socket.heartbeat_ivl < socket.heartbeat_timeout == socket.heartbeat_ttl


def test_only_what_crosses_machines_has_heartbeats() -> None:
    beating = {name for name, profile in PROFILES.items() if profile.heartbeat}
    assert beating == {"PUBLISHER", "PUBLISHER_IPV6", "SUBSCRIBER"}
