"""The ring keeps the newest events, within its bounds, and says where each viewer goes on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.realtime.gateway.event_ring import EventRing


def filled(ring: EventRing, *sessions: tuple[str, int]) -> EventRing:
    for name, count in sessions:
        for seq in range(count):
            ring.add(name, seq, json.dumps([name, seq]))
    return ring


def seen(ring: EventRing, position: int) -> list[list[object]]:
    return [json.loads(line) for line in ring.read(position, 1_000_000)[0]]


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(1, 20), st.integers(1, 400))
def test_neither_number_nor_size_grows_beyond_the_limits(
    sizes: list[int], most: int, most_bytes: int
) -> None:
    ring = EventRing(most, most_bytes)
    for seq, size in enumerate(sizes):
        ring.add("a", seq, "x" * size)
    kept, end = ring.read(0, 1000)
    assert end == ring.end == len(sizes)
    assert [len(line) for line in kept] == sizes[len(sizes) - len(kept) :]
    assert len(kept) <= most
    assert sum(map(len, kept)) <= most_bytes or len(kept) == 1
    room_for_more = len(kept) < len(sizes) and len(kept) < most
    if room_for_more:
        assert sum(sizes[-len(kept) - 1 :]) > most_bytes


def test_the_newest_session_is_given_with_what_is_missing_of_it() -> None:
    ring = EventRing(most_events=5)
    assert ring.newest() == (None, [], 0)
    filled(ring, ("a", 3), ("b", 2))
    assert ring.newest() == ("b", ['["b", 0]', '["b", 1]'], 0)
    filled(ring, ("b", 4))  # another replay of the same recording
    assert ring.newest() == ("b", [f'["b", {seq}]' for seq in range(4)], 0)
    for seq in (4, 5, 9):  # the oldest have left, and three were lost on the way
        ring.add("b", seq, f'["b", {seq}]')
    assert ring.newest() == ("b", [f'["b", {seq}]' for seq in (2, 3, 4, 5, 9)], 5)


@given(st.integers(0, 30), st.integers(1, 12))
def test_a_viewer_reads_everything_once_in_order(count: int, turn: int) -> None:
    ring = filled(EventRing(), ("a", count))
    position, got = ring.position(), []
    while position < ring.end:
        lines, position = ring.read(position, turn)
        assert 0 < len(lines) <= turn
        got += lines
    assert [json.loads(line)[1] for line in got] == list(range(count))
    assert ring.read(position, turn) == ([], position)


def test_who_is_too_slow_misses_the_oldest_and_goes_on() -> None:
    ring = filled(EventRing(most_events=10), ("a", 25))
    assert [seq for _, seq in seen(ring, 3)] == list(range(15, 25))


@pytest.mark.parametrize(
    ("session", "seq", "first"),
    [
        (None, None, ["a", 0]),
        ("b", 3, ["b", 3]),
        (None, 4, ["b", 4]),
        ("a", 2, ["a", 2]),
        ("a", 5, ["b", 0]),  # of its session there is no more: the next one
        ("nobody", 3, ["a", 0]),
        ("b", 40, ["a", 0]),  # numbers of an earlier session of this name
    ],
)
def test_a_viewer_goes_on_where_it_was(
    session: str | None, seq: int | None, first: list[object]
) -> None:
    ring = filled(EventRing(), ("a", 5), ("b", 6))
    assert seen(ring, ring.position(session, seq))[0] == first


def test_a_viewer_that_has_everything_waits_for_the_next() -> None:
    ring = filled(EventRing(), ("a", 5))
    assert ring.position("a", 5) == ring.end
    assert EventRing().position("a", 5) == 0


def test_a_second_replay_of_a_recording_begins_anew() -> None:
    ring = filled(EventRing(), ("a", 5), ("a", 3))
    assert seen(ring, ring.position("a", 1)) == [["a", 1], ["a", 2]]
    assert seen(ring, ring.position()) == [["a", seq] for seq in (0, 1, 2, 3, 4, 0, 1, 2)]


def test_what_left_the_ring_is_not_there_for_who_asks_for_it() -> None:
    ring = filled(EventRing(most_events=4), ("a", 10))
    assert [seq for _, seq in seen(ring, ring.position("a", 2))] == [6, 7, 8, 9]
