"""The measurement of a page that stays open notices growth, and nothing else."""

import pytest
from open_page import PROCESSES, READINGS, SCRIPTS, grown


@pytest.mark.parametrize("limit", [SCRIPTS, PROCESSES])
def test_what_grows_all_the_time_is_noticed(limit: float) -> None:
    assert grown([100.0 + 2 * limit * number / READINGS for number in range(READINGS)]) > limit


def test_what_settles_or_breathes_is_no_growth() -> None:
    settled = [100.0 + 900 * (number < READINGS // 5) for number in range(READINGS)]
    assert grown(settled) == 0
    assert abs(grown([100.0 + number % 2 for number in range(READINGS)])) <= 1
