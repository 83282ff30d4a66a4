"""Priors: how frequent each emotion is, before anything is heard or seen.

A model has a prior of its own: its mean probabilities on the data that it was calibrated on. Where
others hold, its answers are moved there: each probability is multiplied by the emotion's new share
over its old one, and all are normalised (Saerens et al. 2002, Adjusting the Outputs of a Classifier
to New a Priori Probabilities).
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS

#: A choice of prior: `model`, the name of a profile, `neutral:SHARE`, or the share of each emotion.
#: A number alone is refused; it is among the types so that the error names the choices.
Prior = str | float | Mapping[str, float]

#: The choice that moves nothing.
MODEL = "model"

#: The named priors, in the order of `EMOTIONS`.
PROFILES: Mapping[str, tuple[float, ...]] = {
    # All emotions are equally frequent.
    "flat": (1 / 7,) * 7,
    # Measured: MELD's 9,989 training utterances, from a television series (Poria et al. 2019).
    "conversation": tuple(n / 9989 for n in (4710, 1205, 268, 683, 1743, 271, 1109)),
    # A choice, not a measurement: a quarter is neutral, the six others are equally frequent.
    "expressive": (0.25, *(0.125,) * 6),
}

#: How far the sum of given shares may be from 1: seven shares with three decimals reach it.
TOLERANCE = 0.005

_NEUTRAL = "neutral:"


def shares(prior: Prior, own: Sequence[float]) -> NDArray[np.float64]:
    """The share of each emotion, float64 [7] in the order of `EMOTIONS`, above 0, with sum 1.

    Args:
        prior: a choice; `neutral:SHARE` gives neutral this share, and the other emotions the rest
            in the model's own proportions.
        own: the model's own prior, [7], above 0.

    Raises:
        InputError: no such profile; an emotion is missing or unknown; a share is not above 0; or
            the sum is not 1.
    """
    if isinstance(prior, Mapping):
        values = _given(prior)
    elif prior == MODEL:
        values = np.array(own, np.float64)
    elif isinstance(prior, str) and prior in PROFILES:
        values = np.array(PROFILES[prior])
    else:
        share, neutral = _neutral_share(prior), EMOTIONS.index("neutral")
        values = np.array(own, np.float64) * ((1 - share) / (1 - own[neutral]))
        values[neutral] = share
    return np.asarray(values / values.sum(), np.float64)


def check(prior: Prior) -> None:
    """Raises `InputError` as `shares` does, for a choice that no model could take."""
    shares(prior, PROFILES["flat"])


def neutral_share(share: float) -> str:
    """The choice of a share of neutral, above 0 and below 1, for example `neutral:0.8`."""
    return f"{_NEUTRAL}{share}"


def _neutral_share(prior: str | float) -> float:
    share = math.nan
    if isinstance(prior, str) and prior.startswith(_NEUTRAL):
        with suppress(ValueError):
            share = float(prior.removeprefix(_NEUTRAL))
    if not 0 < share < 1:
        raise InputError(
            f"recognition.prior {prior!r}: expected {MODEL}, {', '.join(PROFILES)}, "
            f"{_NEUTRAL}SHARE with a share above 0 and below 1, or a mapping of all seven emotions "
            "to their shares"
        )
    return share


def _given(prior: Mapping[str, float]) -> NDArray[np.float64]:
    missing = [emotion for emotion in EMOTIONS if emotion not in prior]
    unknown = [name for name in prior if name not in EMOTIONS]
    wrong = [
        f"{emotion} is {share:g}"
        for emotion, share in prior.items()
        if not (share > 0 and math.isfinite(share))
    ]
    total = sum(prior.values())
    if unknown:
        fault = f"{', '.join(map(repr, unknown))} is not among the emotions"
    elif missing:
        fault = f"without {', '.join(missing)}"
    elif wrong:
        fault = ", ".join(wrong)
    elif abs(total - 1) > TOLERANCE:
        fault = f"the sum is {total:g}"
    else:
        return np.array([prior[emotion] for emotion in EMOTIONS], np.float64)
    raise InputError(
        f"recognition.prior: {fault}; expected a share above 0 for each of {', '.join(EMOTIONS)}, "
        "with sum 1"
    )
