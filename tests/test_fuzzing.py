"""A short run of `make fuzz`: damaged input is read or refused in one line, never more."""

import fuzzing
import pytest


@pytest.mark.fault
@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_input_for_every_reader(seed: int) -> None:
    """Inputs are damaged at random places: each is read, or refused in one line."""
    assert fuzzing.fuzz(seed, lambda number: number < 25) == []


def test_a_reader_that_fails_is_a_finding() -> None:
    def wrong(path: object) -> None:
        raise KeyError("x")

    assert fuzzing.finding(wrong, fuzzing.CONVERSATION) == "KeyError: 'x'"
