"""A face keeps its identity while it is in view, and nobody else gets it."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscon_live.realtime.watch.tracker import FORGET_AFTER, Box, Tracker, overlap

law = settings(deadline=None, derandomize=True, max_examples=150)
FRAME = 0.1

boxes = st.lists(
    st.tuples(st.integers(0, 600), st.integers(0, 400), st.integers(1, 300), st.integers(1, 300)),
    max_size=6,
)


def box(across: float, down: float, size: float = 100) -> Box:
    """A square face by its centre."""
    return round(across - size / 2), round(down - size / 2), round(size), round(size)


def followed(faces: list[Callable[[float], Box]], seconds: float) -> list[set[int]]:
    """The identities that each of these moving faces was given."""
    tracker, given = Tracker(), [set[int]() for _ in faces]
    for number in range(round(seconds / FRAME)):
        time = number * FRAME
        for identity, seen in zip(
            tracker.update(time, [face(time) for face in faces]), given, strict=True
        ):
            seen.add(identity)
    return given


@law
@given(st.lists(st.tuples(st.floats(0, 3), boxes), max_size=12))
def test_no_two_faces_of_a_frame_are_the_same_and_none_is_used_again(
    frames: list[tuple[float, list[Box]]],
) -> None:
    tracker, time, last_seen, known = Tracker(), 0.0, dict[int, float](), 0
    for later, boxes in frames:
        time += later
        identities = tracker.update(time, boxes)
        assert len(identities) == len(boxes) == len(set(identities))
        for identity in identities:
            if identity in last_seen:
                assert time - last_seen[identity] <= FORGET_AFTER
            else:
                assert identity > known
            last_seen[identity] = time
        known = max([known, *identities])


@law
@given(st.lists(st.tuples(st.floats(0, 1), boxes), min_size=1, max_size=6), st.randoms())
def test_the_order_in_which_faces_are_named_is_that_of_the_boxes(
    frames: list[tuple[float, list[Box]]], random
) -> None:  # type: ignore[no-untyped-def]
    tracker, time = Tracker(), 0.0
    for later, boxes in frames:
        time += later
        apart = list(dict.fromkeys(boxes))
        before = dict(zip(apart, tracker.update(time, apart), strict=True))
        random.shuffle(apart)
        # The same frame once more: everybody is where they were.
        after = dict(zip(apart, tracker.update(time, apart), strict=True))
        assert before == after


@law
@given(boxes, boxes)
def test_overlap_is_a_share_and_symmetric(ones: list[Box], others: list[Box]) -> None:
    for identity in ones:
        assert overlap(identity, identity) == 1.0
        for other in others:
            assert 0.0 <= overlap(identity, other) <= 1.0
            assert overlap(identity, other) == overlap(other, identity)


@pytest.mark.parametrize("speed", [20, 200, 450])
def test_a_face_that_moves_keeps_its_identity(speed: float) -> None:
    assert followed([lambda time: box(100 + speed * time, 200)], 3) == [{1}]


def test_a_face_that_comes_closer_keeps_its_identity() -> None:
    assert followed([lambda time: box(320, 200, 60 + 60 * time)], 3) == [{1}]


def test_faces_side_by_side_keep_their_identities() -> None:
    sway = [
        lambda time: box(150 + 70 * abs(time % 2 - 1), 200),
        lambda time: box(350 - 70 * abs(time % 2 - 1), 210),
    ]
    assert followed(sway, 6) == [{1}, {2}]


def test_faces_that_pass_each_other_keep_their_identities() -> None:
    passing = [
        lambda time: box(100 + 150 * time, 130),
        lambda time: box(550 - 150 * time, 260),
    ]
    assert followed(passing, 3) == [{1}, {2}]


def test_a_near_face_that_passes_before_a_far_one_leaves_it_its_identity() -> None:
    crossing = [
        lambda time: box(100 + 150 * time, 200, 160),
        lambda time: box(550 - 150 * time, 200, 60),
    ]
    assert followed(crossing, 3) == [{1}, {2}]


@pytest.mark.parametrize(
    ("away", "identity"), [(0.3, 1), (FORGET_AFTER - 0.01, 1), (FORGET_AFTER + 0.01, 2), (60, 2)]
)
def test_who_comes_back_soon_is_the_same_and_later_is_new(away: float, identity: int) -> None:
    tracker = Tracker()
    assert tracker.update(1.0, [box(300, 200)]) == [1]
    assert tracker.update(1.0 + away / 2, []) == []
    assert tracker.update(1.0 + away, [box(305, 200)]) == [identity]


def test_who_appears_far_from_everybody_is_new() -> None:
    tracker = Tracker()
    assert tracker.update(0.0, [box(100, 200)]) == [1]
    assert tracker.update(0.1, [box(500, 200), box(102, 200)]) == [2, 1]


def test_the_one_who_stays_is_not_confused_with_the_one_who_left() -> None:
    tracker = Tracker()
    assert tracker.update(0.0, [box(150, 200), box(400, 200)]) == [1, 2]
    assert tracker.update(0.1, [box(400, 200)]) == [2]
    assert tracker.update(0.2, [box(402, 200), box(150, 205)]) == [2, 1]
