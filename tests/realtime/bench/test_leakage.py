"""The figures of leakage are those of the sound that is made for them."""

import numpy as np
import pytest

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.bench.leakage import Talk, Turn, covered, leaking, together


def talk() -> Talk:
    """A second of noise on each channel, one after the other."""
    random = np.random.default_rng(0)
    sound = np.zeros((2, 5 * SAMPLE_RATE), np.float32)
    sound[0, SAMPLE_RATE : 2 * SAMPLE_RATE] = random.normal(0, 0.1, SAMPLE_RATE)
    sound[1, 3 * SAMPLE_RATE : 4 * SAMPLE_RATE] = random.normal(0, 0.1, SAMPLE_RATE)
    return Talk(sound, [Turn(0, 1.0, 2.0), Turn(1, 3.0, 4.0)])


def level(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples))))


@pytest.mark.parametrize("room", [False, True])
@pytest.mark.parametrize("softer", [8.0, 20.0])
def test_the_other_channel_is_so_much_softer(softer: float, room: bool) -> None:
    sound = leaking(talk(), softer, room, np.random.default_rng(1))
    own, other = (level(channel[SAMPLE_RATE : 2 * SAMPLE_RATE]) for channel in sound)
    assert own - other == pytest.approx(softer, abs=0.7)


def test_the_share_of_a_turn_counts_its_own_speaker() -> None:
    assert covered(Turn(0, 1, 3), [Turn(0, 0, 2), Turn(1, 1, 3)]) == 0.5
    assert covered(Turn(0, 1, 3), []) == 0


def test_the_second_speaks_while_the_first_does() -> None:
    made = talk()
    long = Talk(np.tile(made.sound, 2), [*made.turns, Turn(0, 6, 7), Turn(1, 8, 9)])
    sound, turn = together(long, 6.0, np.random.default_rng(1))
    assert turn == Turn(1, 1.0, 2.0)
    during = sound[:, SAMPLE_RATE : 2 * SAMPLE_RATE]
    assert level(during[0]) - level(during[1]) == pytest.approx(6, abs=0.5)
    assert level(sound[1, :SAMPLE_RATE]) < -70
