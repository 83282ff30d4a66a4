"""Intervals are those of resampled dialogues; paired comparisons are paired."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from gscon_live.train.scoring.significance import (
    bootstrap_weighted_f1,
    confusions_by_dialogue,
    false_discovery_rates,
    paired_bootstrap,
    paired_t_test,
    percentile_interval,
    system,
)


def dialogues(seed: int, count: int, right: float = 0.6) -> tuple[list, list]:
    """Answers and labels of dialogues with three classes, some utterances without a label."""
    random = np.random.default_rng(seed)
    labels = [random.integers(0, 3, random.integers(2, 9)) for _ in range(count)]
    answers = [
        np.where(random.random(len(one)) < right, one, random.integers(0, 3, len(one)))
        for one in labels
    ]
    for one in labels:
        one[random.random(len(one)) < 0.2] = -1
        one[0] = 1
    return answers, labels


def test_resampled_scores_are_those_of_all_possible_resamples() -> None:
    """With four dialogues all 256 can be written down."""
    answers, labels = dialogues(3, 4)
    exact = []
    for drawn in product(range(4), repeat=4):
        said = np.concatenate([answers[one] for one in drawn])
        true = np.concatenate([labels[one] for one in drawn])
        score = f1_score(true[true >= 0], said[true >= 0], average="weighted", zero_division=0)
        exact.append(score)
    found = bootstrap_weighted_f1(confusions_by_dialogue(answers, labels, 3), draws=40_000)
    assert {round(one, 9) for one in found} <= {round(one, 9) for one in exact}
    assert found.mean() == pytest.approx(np.mean(exact), abs=2e-3)
    assert found.std() == pytest.approx(np.std(exact), abs=2e-3)
    low, high = np.quantile(exact, [0.025, 0.975], method="inverted_cdf")
    bounds = percentile_interval(found)
    assert (bounds.low, bounds.high) == pytest.approx((low, high), abs=0.02)


def test_whole_dialogues_are_drawn_not_utterances() -> None:
    """Where each dialogue is all right or all wrong, there is far more doubt than the number of
    utterances would suggest."""
    labels = [np.arange(40) % 2 for _ in range(10)]
    answers = [one if place % 2 else 1 - one for place, one in enumerate(labels)]
    by_cluster = percentile_interval(
        bootstrap_weighted_f1(confusions_by_dialogue(answers, labels, 2))
    )
    single = [np.array([one]) for one in np.concatenate(labels)]
    said = [np.array([one]) for one in np.concatenate(answers)]
    by_utterance = percentile_interval(
        bootstrap_weighted_f1(confusions_by_dialogue(said, single, 2))
    )
    assert by_cluster.high - by_cluster.low > 4 * (by_utterance.high - by_utterance.low)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 12))
def test_the_same_seed_draws_the_same_and_unlabelled_dialogues_do_not_count(
    seed: int, count: int
) -> None:
    answers, labels = dialogues(seed, count)
    counts = confusions_by_dialogue(answers, labels, 3)
    found = bootstrap_weighted_f1(counts, draws=50, seed=seed)
    assert np.array_equal(found, bootstrap_weighted_f1(counts, draws=50, seed=seed))
    more = confusions_by_dialogue([*answers, np.array([1, 2])], [*labels, np.array([-1, -1])], 3)
    assert np.array_equal(found, bootstrap_weighted_f1(more, draws=50, seed=seed))
    assert (found >= 0).all()
    assert (found <= 1).all()


def test_without_any_label_there_is_no_score() -> None:
    with pytest.raises(ValueError, match="label"):
        bootstrap_weighted_f1(confusions_by_dialogue([np.array([0])], [np.array([-1])], 3))


def test_paired_dialogues_leave_out_what_both_systems_share() -> None:
    """Two systems that differ in one answer of each dialogue are told apart, though the interval
    of each is wide."""
    random = np.random.default_rng(0)
    labels = [random.integers(0, 2, 10) for _ in range(20)]
    hard = [1 - one if place % 2 else one.copy() for place, one in enumerate(labels)]
    better = [one.copy() for one in hard]
    for said, true in zip(better, labels, strict=True):
        said[0] = true[0]
    first, second = (
        confusions_by_dialogue(hard, labels, 2),
        confusions_by_dialogue(better, labels, 2),
    )
    found = paired_bootstrap(system([first]), system([second]))
    assert found.interval.low > 0
    alone = percentile_interval(bootstrap_weighted_f1(first))
    assert found.interval.high - found.interval.low < (alone.high - alone.low) / 2
    back = paired_bootstrap(system([second]), system([first]))
    assert found.p == back.p == pytest.approx(2 / 10_001)
    assert back.mean == pytest.approx(-found.mean)
    assert (back.interval.low, back.interval.high) == pytest.approx(
        (-found.interval.high, -found.interval.low)
    )


def test_a_system_of_several_trainings_is_scored_with_their_mean() -> None:
    answers, labels = dialogues(1, 8, right=0.3)
    better, _ = dialogues(1, 8, right=0.9)
    low, high = (
        confusions_by_dialogue(answers, labels, 3),
        confusions_by_dialogue(better, labels, 3),
    )
    assert paired_bootstrap(system([low, high]), system([high, low])).p == 1
    found = paired_bootstrap(system([low, low]), system([low, high]))
    assert found.mean == pytest.approx(paired_bootstrap(system([low]), system([high])).mean / 2)


@settings(max_examples=25, deadline=None)
@given(
    first=st.lists(st.floats(0, 1), min_size=3, max_size=10),
    shift=st.floats(-0.2, 0.2),
    seed=st.integers(0, 1000),
)
def test_the_paired_test_over_seeds_is_the_reference(
    first: list[float], shift: float, seed: int
) -> None:
    noise = np.random.default_rng(seed).normal(shift, 0.05, len(first))
    second = np.asarray(first) + noise
    found = paired_t_test(first, second.tolist())
    reference = stats.ttest_rel(second, first)
    assert found.n == len(first)
    assert found.mean == pytest.approx(noise.mean(), abs=1e-9)
    assert found.sd == pytest.approx(noise.std(ddof=1), abs=1e-9)
    assert found.p == pytest.approx(reference.pvalue)
    half = stats.t.ppf(0.975, len(first) - 1) * noise.std(ddof=1) / len(first) ** 0.5
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (noise.mean() - half, noise.mean() + half), abs=1e-9
    )


def test_one_seed_and_equal_differences_have_no_test() -> None:
    one = paired_t_test([0.5], [0.6])
    assert (one.n, one.sd, one.interval, one.p) == (1, None, None, None)
    assert one.mean == pytest.approx(0.1)
    same = paired_t_test([0.5, 0.6, 0.7], [0.5, 0.6, 0.7])
    assert (same.mean, same.sd, same.interval, same.p) == (0, 0, None, None)


def test_p_over_dialogues_is_how_often_the_sign_is_the_rarer_one() -> None:
    answers, labels = dialogues(5, 10, right=0.5)
    random = np.random.default_rng(6)
    others = [np.where(random.random(len(one)) < 0.6, one, 0) for one in labels]
    first, second = (
        confusions_by_dialogue(answers, labels, 3),
        confusions_by_dialogue(others, labels, 3),
    )
    scores = [bootstrap_weighted_f1(one, draws=1000) for one in (first, second)]
    draws = [float(b - a) for a, b in zip(*scores, strict=True)]
    rarer = min(sum(one <= 0 for one in draws), sum(one >= 0 for one in draws))
    assert 10 < rarer < 500
    found = paired_bootstrap(system([first], 1000), system([second], 1000))
    assert found.p == pytest.approx(2 * (rarer + 1) / 1001)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_the_share_of_false_discoveries_is_that_of_benjamini_and_hochberg(p: list[float]) -> None:
    """A q is at most some level if and only if the step-up procedure rejects at that level."""
    found = false_discovery_rates(p)
    assert len(found) == len(p)
    for level in (0.01, 0.05, 0.3):
        passing = [
            value for rank, value in enumerate(sorted(p), start=1) if value <= level * rank / len(p)
        ]
        for value, q in zip(p, found, strict=True):
            if abs(q - level) > 1e-9:
                assert (q < level) == (bool(passing) and value <= max(passing))
