"""An utterance ends sooner where its voice has fallen, and never outside the bounds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech import finished
from gscon_live.model.speech.endpoint_detector import EndpointDetector, Part, Segmentation, Speech
from gscon_live.model.speech.voice_activity import WINDOW, WINDOW_SECONDS


class Loud:
    """A detector that takes all sound for voice."""

    def reset(self) -> None:
        """It remembers nothing."""

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.abs(samples.reshape(-1, WINDOW)).max(axis=1) > 0.0


def spoken(*parts: tuple[float, float]) -> NDArray[np.float32]:
    """A tone in parts of (seconds, amplitude); amplitude 0 is a pause."""
    windows = [amplitude for seconds, amplitude in parts for _ in range(_windows(seconds))]
    tone = np.sin(np.arange(len(windows) * WINDOW) * 0.3)
    return (tone * np.repeat(windows, WINDOW)).astype(np.float32)


def _windows(seconds: float) -> int:
    return round(seconds / WINDOW_SECONDS)


def ended(sound: NDArray[np.float32], endpoints: EndpointDetector) -> list[Part]:
    found = []
    for start in range(0, len(sound), WINDOW):
        made = endpoints.step(sound[start : start + WINDOW], start)
        found += [part for part in made if isinstance(part, Part) and part.final]
    return found


def silence(part: Part) -> float:
    return (part.at - part.end) / SAMPLE_RATE


def detector(settings: Segmentation, **more: object) -> EndpointDetector:
    return EndpointDetector(settings, Loud(), **more)  # type: ignore[arg-type]


def test_a_voice_that_fell_at_the_end_of_a_sentence_is_waited_for_less() -> None:
    settings = Segmentation()
    falling = spoken((4.0, 0.3), (0.4, 0.03), (2.0, 0.0))
    level = spoken((4.4, 0.3), (2.0, 0.0))
    short = spoken((0.4, 0.3), (2.0, 0.0))
    waits = [silence(ended(sound, detector(settings))[0]) for sound in (falling, level, short)]
    assert waits == sorted(waits)
    assert waits[0] < waits[1]
    assert waits[0] >= settings.hangover
    assert waits[2] <= settings.max_hangover + WINDOW_SECONDS


def test_without_a_longer_hangover_all_wait_the_same() -> None:
    for longest in (0.0, 0.4):
        settings = Segmentation(hangover=0.4, max_hangover=longest)
        for sound in (spoken((4.0, 0.3), (0.4, 0.03), (2.0, 0.0)), spoken((0.4, 0.3), (2.0, 0.0))):
            (part,) = ended(sound, detector(settings))
            assert 0.4 <= silence(part) <= 0.4 + WINDOW_SECONDS


@given(st.floats(0.0, 1.0), st.floats(0.1, 2.0), st.floats(0.0, 3.0))
def test_the_wait_is_within_the_bounds(probability: float, shortest: float, longest: float) -> None:
    wait = finished.hangover(probability, shortest, longest)
    assert shortest <= wait <= max(shortest, longest)
    assert wait >= finished.hangover(min(1.0, probability + 0.1), shortest, longest)


def test_whoever_knows_more_in_the_pause_ends_it_at_once() -> None:
    sound = spoken((1.0, 0.3), (2.0, 0.0))
    asked: list[float] = []

    def words(speech: Speech) -> float:
        """Knows at the third question that the sentence is over."""
        asked.append(speech.pause().seconds)
        return float(len(asked) >= 3)

    (part,) = ended(sound, detector(Segmentation(), is_finished=words))
    assert len(asked) == 3
    assert silence(part) < Segmentation().hangover + 3 * WINDOW_SECONDS
    assert asked == [_windows(1.0) * WINDOW_SECONDS] * 3


def test_where_another_person_speaks_on_the_first_ends_at_the_pause() -> None:
    sound = spoken((1.5, 0.3), (0.4, 0.0), (1.5, 0.1), (2.0, 0.0))
    judged = []

    def louder(before: NDArray[np.float32], after: NDArray[np.float32], pause: float) -> bool:
        assert pause == _windows(0.4) * WINDOW_SECONDS
        judged.append((np.abs(before).max(), np.abs(after).max()))
        return judged[-1][0] > 2 * judged[-1][1]

    first, second = ended(sound, detector(Segmentation(), changes=louder))
    assert len(judged) == 1
    assert first.end == _windows(1.5) * WINDOW
    assert second.speech.start == (_windows(1.5) + _windows(0.4)) * WINDOW
    assert second.end == second.speech.start + _windows(1.5) * WINDOW
    assert first.sound_end <= second.sound_start
    (one,) = ended(sound, detector(Segmentation(), changes=lambda before, after, pause: False))
    assert (one.speech.start, one.end) == (first.speech.start, second.end)


def test_a_short_pause_or_a_short_answer_is_not_judged() -> None:
    def never(before: object, after: object, pause: float) -> bool:
        raise AssertionError

    for sound in (
        spoken((1.5, 0.3), (0.2, 0.0), (1.5, 0.1), (2.0, 0.0)),
        spoken((1.5, 0.3), (0.4, 0.0), (0.5, 0.1), (2.0, 0.0)),
    ):
        assert len(ended(sound, detector(Segmentation(), changes=never))) == 1
