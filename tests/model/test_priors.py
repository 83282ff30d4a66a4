"""A prior is chosen by name or by shares, and moves answers as Bayes' rule says."""

import csv
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.common.errors import InputError
from gscon_live.model import priors
from gscon_live.model.labels import EMOTIONS

OWN = (0.4, 0.1, 0.1, 0.1, 0.1, 0.15, 0.05)
FLAT = dict.fromkeys(EMOTIONS, 1 / 7)

distributions = st.lists(st.floats(0.01, 1), min_size=7, max_size=7).map(
    lambda weights: np.array(weights) / sum(weights)
)


def named(shares: np.ndarray) -> dict[str, float]:
    return dict(zip(EMOTIONS, shares.tolist(), strict=True))


@given(own=distributions, name=st.sampled_from([priors.MODEL, *priors.PROFILES, "neutral:0.3"]))
def test_every_choice_is_a_distribution(own: np.ndarray, name: str) -> None:
    shares = priors.shares(name, own.tolist())
    assert shares.shape == (7,)
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert (shares > 0).all()


@given(own=distributions, target=distributions)
def test_given_shares_are_taken_by_name_and_not_by_order(
    own: np.ndarray, target: np.ndarray
) -> None:
    reordered = dict(reversed(named(target).items()))
    np.testing.assert_allclose(priors.shares(reordered, own.tolist()), target, rtol=1e-12)


@given(target=distributions, error=st.floats(-0.0049, 0.0049))
def test_a_sum_that_rounding_explains_becomes_one(target: np.ndarray, error: float) -> None:
    shares = priors.shares(named(target * (1 + error)), OWN)
    np.testing.assert_allclose(shares, target, rtol=1e-9)


@given(own=distributions, share=st.floats(0.001, 0.999))
def test_a_share_of_neutral_leaves_the_others_in_proportion(own: np.ndarray, share: float) -> None:
    shares = priors.shares(priors.neutral_share(share), own.tolist())
    assert shares[0] == pytest.approx(share, rel=1e-9)
    np.testing.assert_allclose(shares[1:] / shares[1:].sum(), own[1:] / own[1:].sum(), rtol=1e-9)


def test_the_profiles_are_what_they_say() -> None:
    assert priors.shares("flat", OWN) == pytest.approx([1 / 7] * 7)
    assert priors.shares("expressive", OWN) == pytest.approx([0.25, *[0.125] * 6])
    assert priors.shares("model", OWN) == pytest.approx(OWN)
    assert priors.shares("conversation", OWN)[0] == pytest.approx(0.4715, abs=1e-4)


def test_the_profile_of_conversation_is_counted_in_melds_training_set() -> None:
    data = Path(os.environ.get("GSCON_DATA", Path(__file__).parents[2] / "../shared/data"))
    path = data / "erc/meld.csv"
    if not path.is_file():
        pytest.skip(f"no corpus at {path}")
    with path.open(encoding="utf-8", newline="") as file:
        counts = Counter(r["emotion"] for r in csv.DictReader(file) if r["split"] == "train")
    shares = [counts[emotion] / counts.total() for emotion in EMOTIONS]
    assert priors.shares("conversation", OWN) == pytest.approx(shares, abs=1e-12)


WRONG: dict[str, tuple[priors.Prior, str]] = {
    "unknown profile": ("calm", "expected model, flat, conversation, expressive, neutral:SHARE"),
    "no profile": ("", "expected model"),
    "share above one": ("neutral:1.5", "above 0 and below 1"),
    "share of nothing": ("neutral:", "above 0 and below 1"),
    "share that is no number": ("neutral:nan", "above 0 and below 1"),
    "missing emotion": ({k: v for k, v in FLAT.items() if k != "fear"}, "without fear"),
    "unknown emotion": ({**FLAT, "calm": 0.1}, "'calm' is not among the emotions"),
    "zero": ({**FLAT, "fear": 0.0}, "fear is 0"),
    "negative": ({**FLAT, "fear": -0.1}, "fear is -0.1"),
    "infinite": ({**FLAT, "fear": math.inf}, "fear is inf"),
    "not a number": ({**FLAT, "fear": math.nan}, "fear is nan"),
    "sum": ({**FLAT, "fear": 0.3}, "the sum is 1.157"),
}


@pytest.mark.parametrize(("prior", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_prior_is_refused_in_one_line_that_says_what_is_expected(
    prior: priors.Prior, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        priors.check(prior)
    message = str(caught.value)
    assert message.startswith("recognition.prior")
    assert words in message
    assert "expected" in message
    assert "\n" not in message
