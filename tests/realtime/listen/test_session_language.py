"""A session has one language: that of its first seconds of speech, or the one that is given."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.realtime.listen.session_language import (
    HOLD,
    OBSERVATION,
    Evidence,
    Language,
    SessionLanguage,
)

shares = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(
    lambda parts: dict(zip(("en", "de", "fr"), (part / sum(parts) for part in parts), strict=True))
)
heard = st.builds(Evidence, shares, st.floats(0.1, 6))


def test_a_given_language_is_known_at_once_and_stays() -> None:
    session = SessionLanguage("fr")
    assert session.known
    assert session.provisional(Evidence({"en": 1.0}, 9)) == Language("fr", 1.0)
    session.final(Evidence({"en": 1.0}, 99))
    session.reset()
    assert session.provisional(None) == Language("fr", 1.0)


def test_provisional_evidence_is_not_remembered() -> None:
    session = SessionLanguage(None)
    session.provisional(Evidence({"en": 0.1, "de": 0.9}, 5))
    assert session.provisional(Evidence({"en": 0.6, "de": 0.4}, 5)) == Language("en", 0.6)


def test_a_long_sound_outweighs_a_short_one() -> None:
    session = SessionLanguage(None)
    session.final(Evidence({"en": 0.9, "de": 0.1}, 3))
    assert session.provisional(Evidence({"en": 0.05, "de": 0.95}, 0.3)).code == "en"
    assert session.provisional(Evidence({"en": 0.05, "de": 0.95}, 6)).code == "de"


def test_after_ten_seconds_the_language_is_held() -> None:
    session = SessionLanguage(None)
    for _ in range(3):
        assert not session.known
        session.final(Evidence({"en": 0.2, "de": 0.8}, HOLD / 3 + 0.1))
    assert session.known
    session.final(Evidence({"en": 1.0, "de": 0.0}, 60))
    assert session.provisional(Evidence({"en": 1.0, "de": 0.0}, 60)).code == "de"
    session.reset()
    assert not session.known
    assert session.provisional(Evidence({"en": 1.0, "de": 0.0}, 60)).code == "en"


@given(evidence=st.lists(heard, max_size=3), last=heard)
def test_observations_multiply(evidence: list[Evidence], last: Evidence) -> None:
    session, product = SessionLanguage(None), {"en": 1.0, "de": 1.0, "fr": 1.0}
    held = False
    for one in evidence:
        session.final(one)
        held = held or session.known
    for one in [*evidence, last]:
        for code in product:
            product[code] *= one.probabilities[code] ** min(1, one.seconds / OBSERVATION)
    if held:
        return
    found = session.provisional(last)
    best = max(product.values())
    assert product[found.code] == pytest.approx(best)
    assert found.probability == pytest.approx(best / sum(product.values()), abs=1e-4)


def test_no_single_sound_excludes_a_language() -> None:
    session = SessionLanguage(None)
    session.final(Evidence({"en": 0.0, "de": 1.0}, 3))
    assert math.isfinite(session.provisional(None).probability)
    for _ in range(2):
        found = session.provisional(Evidence({"en": 0.9999, "de": 0.0001}, 3))
        session.final(Evidence({"en": 0.9999, "de": 0.0001}, 0.1))
    assert found.probability < 1
