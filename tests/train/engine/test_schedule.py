"""The learning rate over a training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.train.engine.schedule import Anneal, one_cycle

ANNEALS = st.sampled_from(["cosine", "linear"])


@given(done=st.floats(0, 1), warm_up=st.floats(0, 0.99), anneal=ANNEALS)
def test_the_rate_rises_to_the_highest_and_falls_to_nothing(
    done: float, warm_up: float, anneal: Anneal
) -> None:
    rate = one_cycle(done, warm_up, anneal)
    assert -1e-9 <= rate <= 1 + 1e-9
    later = one_cycle(min(1.0, done + 1e-3), warm_up, anneal)
    if done + 1e-3 < warm_up:
        assert later >= rate
    elif done >= warm_up:
        assert later <= rate
    assert one_cycle(warm_up, warm_up, anneal) == pytest.approx(1)
    assert one_cycle(1.0, warm_up, anneal) == pytest.approx(0)


def test_a_linear_rate_is_half_way_at_half_the_time() -> None:
    assert one_cycle(0.0, 0.2, "linear") == pytest.approx(0.04)
    assert one_cycle(0.1, 0.2, "linear") == pytest.approx(0.52)
    assert one_cycle(0.6, 0.2, "linear") == pytest.approx(0.5)
    # A cosine is there, too, but flatter at both ends.
    assert one_cycle(0.1, 0.2) == pytest.approx(0.52)
    assert one_cycle(0.05, 0.2) < one_cycle(0.05, 0.2, "linear")
    assert one_cycle(0.3, 0.2) > one_cycle(0.3, 0.2, "linear")
