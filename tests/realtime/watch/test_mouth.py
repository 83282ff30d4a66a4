"""A mouth that opens moves; a head that turns, light that changes and noise hardly do."""

import cv2
import numpy as np
from skimage import data

from gscon_live.realtime.recognise.face_memory import MIN_MOVEMENT
from gscon_live.realtime.watch.mouth import Mouths

FACE = cv2.resize(
    cv2.cvtColor(np.ascontiguousarray(data.astronaut()[70:210, 155:295]), cv2.COLOR_RGB2GRAY),
    (48, 48),
)


def opened(how_far: float) -> np.ndarray:
    """The portrait with its mouth opened: what is below it moves down, and it is dark between."""
    made = FACE.copy()
    gap = round(6 * how_far)
    if gap:
        made[36 + gap :] = FACE[36 : 48 - gap]
        made[36 : 36 + gap, 16:32] = 30
    return made


def movement(frames: list[np.ndarray]) -> float:
    mouths = Mouths()
    moved = [mouths.moved([1], frame[None])[0] for frame in frames]
    assert moved[0] == 0
    return float(np.mean(moved[1:]))


def test_speech_moves_a_mouth_more_than_anything_else_does() -> None:
    rng = np.random.default_rng(0)
    talking = movement([opened(number % 3 / 2) for number in range(12)])
    noisy = movement(
        [np.clip(FACE + rng.normal(0, 4, FACE.shape), 0, 255).astype(np.uint8) for _ in range(12)]
    )
    lit = movement([np.clip(FACE * (0.7 + 0.05 * n), 0, 255).astype(np.uint8) for n in range(12)])
    swaying = movement([np.roll(FACE, number % 3, 1) for number in range(12)])
    assert talking > 2 * MIN_MOVEMENT
    assert talking > 1.5 * max(noisy, lit, swaying)
    assert max(noisy, lit) < MIN_MOVEMENT


def test_each_face_is_compared_with_itself_and_only_with_the_frame_before() -> None:
    mouths = Mouths()
    shut, wide = opened(0), opened(1)
    assert mouths.moved([1, 2], np.stack([shut, wide])) == [0, 0]
    assert mouths.moved([2, 1], np.stack([wide, shut])) == [0, 0]
    opening, still = mouths.moved([1, 2], np.stack([wide, wide]))
    assert opening > 0 == still
    mouths.moved([2], wide[None])
    # Out of view in the frame before: nothing to compare with.
    assert mouths.moved([1], shut[None]) == [0]
