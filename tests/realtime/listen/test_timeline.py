"""Media time never goes back, follows a drifting clock, and what is remembered is what was said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.listen.timeline import JITTER, JUMP, History, Timeline
from gscon_live.realtime.pipeline import messages

law = settings(deadline=None, derandomize=True, max_examples=100)
BLOCK = 320

clock_moves = st.one_of(
    st.floats(-0.015, 0.015),  # jitter
    st.floats(-0.24, 0.24),
    st.floats(-10, 10),  # loss, or a clock that is set
    st.sampled_from([-86400.0 * 30, -3600.0, 3600.0, 86400.0 * 30]),
)


@law
@given(
    start=st.floats(0, 1e6),
    chunks=st.lists(st.tuples(st.integers(1, 4000), clock_moves), max_size=40),
)
def test_positions_never_go_back_and_chunks_never_overlap(
    start: float, chunks: list[tuple[int, float]]
) -> None:
    timeline, clock, reached = Timeline(), start, 0
    for count, move in chunks:
        clock += move
        jump = timeline.arrive(max(clock, 0.0), count)
        assert timeline.position >= reached
        assert jump == 0 or abs(jump) > JUMP
        timeline.advance(count)
        reached = timeline.position
        clock += count / SAMPLE_RATE


@law
@given(
    start=st.floats(0, 1000),
    jitters=st.lists(st.floats(-JITTER * 0.49, JITTER * 0.49), min_size=1, max_size=50),
)
def test_jitter_of_a_steady_clock_leaves_times_alone(start: float, jitters: list[float]) -> None:
    timeline = Timeline()
    for number, jitter in enumerate(jitters):
        assert timeline.arrive(max(0.0, start + number * 0.02 + jitter), BLOCK) == 0
        timeline.advance(BLOCK)
    first = max(0.0, start + jitters[0])
    assert timeline.now == pytest.approx(first + len(jitters) * 0.02, abs=1e-4)


@pytest.mark.parametrize("parts_per_million", [-100, 100])
def test_an_hour_of_drift_is_followed_without_a_jump(parts_per_million: int) -> None:
    timeline, before = Timeline(), -1.0
    for number in range(3600 * 50):
        captured = number * 0.02 * (1 + parts_per_million * 1e-6)
        assert timeline.arrive(captured, BLOCK) == 0
        timeline.advance(BLOCK)
        now = timeline.now
        assert abs(now - captured - 0.02) < 0.1
        assert now > before
        before = now
    assert timeline.position == 3600 * SAMPLE_RATE


@law
@given(st.floats(JUMP * 1.05, 86400.0 * 10))
def test_lost_sound_leaves_a_gap_of_its_length(lost: float) -> None:
    timeline = Timeline()
    timeline.arrive(1.0, BLOCK)
    timeline.advance(BLOCK)
    jump = timeline.arrive(1.02 + lost, BLOCK)
    assert jump == pytest.approx(lost)
    assert timeline.now == pytest.approx(1.02 + lost, abs=1e-4)
    (said,) = timeline.report(jump)
    assert (said.what, said.count, said.time) == ("audio", 1, pytest.approx(1.02, abs=1e-3))
    assert said.seconds == pytest.approx(lost, abs=1e-3)


@law
@given(st.floats(JUMP * 1.05, 86400.0), st.booleans())
def test_lost_sound_that_the_source_reported_is_not_reported_again(
    lost: float, other: bool
) -> None:
    timeline = Timeline()
    timeline.arrive(1.0, BLOCK)
    timeline.advance(BLOCK)
    what = "frames" if other else "audio"
    timeline.known(messages.Dropped(1.02, what, 1, lost, "overflow"))
    assert len(list(timeline.report(timeline.arrive(1.02 + lost, BLOCK)))) == int(other)
    timeline.advance(BLOCK)
    assert len(list(timeline.report(timeline.arrive(1.04 + 2 * lost, BLOCK)))) == 1


@law
@given(back=st.floats(JUMP * 1.05, 1e6), chunks=st.integers(1, 30))
def test_a_clock_set_back_is_reported_once_and_time_goes_on(back: float, chunks: int) -> None:
    timeline = Timeline()
    timeline.arrive(2e6, BLOCK)
    timeline.advance(BLOCK)
    jump = timeline.arrive(2e6 + 0.02 - back, BLOCK)
    assert jump == pytest.approx(-back)
    (said,) = timeline.report(jump)
    assert said.count == 0
    assert "jumped back" in said.reason
    for number in range(chunks):
        assert timeline.now == pytest.approx(2e6 + 0.02 * (number + 1), abs=1e-3)
        timeline.advance(BLOCK)
        assert timeline.arrive(2e6 + 0.02 * (number + 2) - back, BLOCK) == 0


@law
@given(st.floats(0, 1e5), st.integers(0, 10**9))
def test_samples_and_times_belong_together(start: float, position: int) -> None:
    timeline = Timeline()
    timeline.arrive(start, 1)
    assert timeline.sample(timeline.time(position)) == position


@law
@given(
    capacity=st.integers(1, 50),
    appended=st.lists(st.tuples(st.integers(0, 70), st.integers(0, 120)), max_size=12),
    slices=st.lists(st.tuples(st.integers(-20, 900), st.integers(-20, 900)), max_size=8),
)
def test_the_memory_is_a_list_of_which_the_end_is_kept(
    capacity: int, appended: list[tuple[int, int]], slices: list[tuple[int, int]]
) -> None:
    history, whole = History(capacity / SAMPLE_RATE), np.zeros(0, np.float32)
    for skipped, count in appended:
        position = len(whole) + skipped
        samples = np.arange(1 + position, 1 + position + count, dtype=np.float32)
        history.append(position, samples)
        whole = np.concatenate([whole, np.zeros(skipped, np.float32), samples])
        for start, end in [*slices, (0, len(whole)), (len(whole) - 3, len(whole) + 3)]:
            kept = range(max(0, len(whole) - capacity, start), min(len(whole), end))
            assert history.slice(start, end).tolist() == [whole[i] for i in kept]


def test_what_is_given_out_is_a_copy() -> None:
    history = History(1.0)
    history.append(0, np.ones(10, np.float32))
    history.slice(0, 10)[:] = 5
    assert history.slice(0, 10).tolist() == [1.0] * 10


def test_of_a_loss_that_was_reported_in_part_only_the_rest_is_reported() -> None:
    timeline = Timeline()
    timeline.arrive(0.0, 320)
    timeline.advance(320)
    timeline.known(messages.Dropped(6.0, "audio", 0, 6.0, "the microphone was away"))
    jump = timeline.arrive(8.02, 320)
    (rest,) = timeline.report(jump)
    assert rest.seconds == 2.0
    assert rest.time == 6.02
