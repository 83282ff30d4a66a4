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
        np.where(random.random(len(row)) < right, row, random.integers(0, 3, len(row)))
        for row in labels
    ]
    for row in labels:
        row[random.random(len(row)) < 0.2] = -1
        row[0] = 1
    return answers, labels


def test_resampled_scores_are_those_of_all_possible_resamples() -> None:
    """With four dialogues all 256 can be written down."""
    answers, labels = dialogues(3, 4)
    exact = []
    for drawn in product(range(4), repeat=4):
        predicted = np.concatenate([answers[dialogue] for dialogue in drawn])
        true = np.concatenate([labels[dialogue] for dialogue in drawn])
        score = f1_score(true[true >= 0], predicted[true >= 0], average="weighted", zero_division=0)
        exact.append(score)
    values = bootstrap_weighted_f1(confusions_by_dialogue(answers, labels, 3), draws=40_000)
    assert {round(value, 9) for value in values} <= {round(value, 9) for value in exact}
    assert values.mean() == pytest.approx(np.mean(exact), abs=2e-3)
    assert values.std() == pytest.approx(np.std(exact), abs=2e-3)
    low, high = np.quantile(exact, [0.025, 0.975], method="inverted_cdf")
    bounds = percentile_interval(values)
    assert (bounds.low, bounds.high) == pytest.approx((low, high), abs=0.02)


def test_whole_dialogues_are_drawn_not_utterances() -> None:
    """Where each dialogue is all right or all wrong, there is far more doubt than the number of
    utterances would suggest."""
    labels = [np.arange(40) % 2 for _ in range(10)]
    answers = [row if place % 2 else 1 - row for place, row in enumerate(labels)]
    by_cluster = percentile_interval(
        bootstrap_weighted_f1(confusions_by_dialogue(answers, labels, 2))
    )
    single = [np.array([row]) for row in np.concatenate(labels)]
    predicted = [np.array([row]) for row in np.concatenate(answers)]
    by_utterance = percentile_interval(
        bootstrap_weighted_f1(confusions_by_dialogue(predicted, single, 2))
    )
    assert by_cluster.high - by_cluster.low > 4 * (by_utterance.high - by_utterance.low)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 12))
def test_the_same_seed_draws_the_same_and_unlabelled_dialogues_do_not_count(
    seed: int, count: int
) -> None:
    answers, labels = dialogues(seed, count)
    counts = confusions_by_dialogue(answers, labels, 3)
    values = bootstrap_weighted_f1(counts, draws=50, seed=seed)
    assert np.array_equal(values, bootstrap_weighted_f1(counts, draws=50, seed=seed))
    more = confusions_by_dialogue([*answers, np.array([1, 2])], [*labels, np.array([-1, -1])], 3)
    assert np.array_equal(values, bootstrap_weighted_f1(more, draws=50, seed=seed))
    assert (values >= 0).all()
    assert (values <= 1).all()


def test_without_any_label_there_is_no_score() -> None:
    with pytest.raises(ValueError, match="label"):
        bootstrap_weighted_f1(confusions_by_dialogue([np.array([0])], [np.array([-1])], 3))


def test_paired_dialogues_leave_out_what_both_systems_share() -> None:
    """Two systems that differ in one answer of each dialogue are told apart, though the interval
    of each is wide."""
    random = np.random.default_rng(0)
    labels = [random.integers(0, 2, 10) for _ in range(20)]
    hard = [1 - row if place % 2 else row.copy() for place, row in enumerate(labels)]
    better = [row.copy() for row in hard]
    for predicted, true in zip(better, labels, strict=True):
        predicted[0] = true[0]
    first, second = (
        confusions_by_dialogue(hard, labels, 2),
        confusions_by_dialogue(better, labels, 2),
    )
    result = paired_bootstrap(system([first]), system([second]))
    assert result.interval.low > 0
    alone = percentile_interval(bootstrap_weighted_f1(first))
    assert result.interval.high - result.interval.low < (alone.high - alone.low) / 2
    back = paired_bootstrap(system([second]), system([first]))
    assert result.p == back.p == pytest.approx(2 / 10_001)
    assert back.mean == pytest.approx(-result.mean)
    assert (back.interval.low, back.interval.high) == pytest.approx(
        (-result.interval.high, -result.interval.low)
    )


def test_a_system_of_several_trainings_is_scored_with_their_mean() -> None:
    answers, labels = dialogues(1, 8, right=0.3)
    better, _ = dialogues(1, 8, right=0.9)
    low, high = (
        confusions_by_dialogue(answers, labels, 3),
        confusions_by_dialogue(better, labels, 3),
    )
    assert paired_bootstrap(system([low, high]), system([high, low])).p == 1
    result = paired_bootstrap(system([low, low]), system([low, high]))
    assert result.mean == pytest.approx(paired_bootstrap(system([low]), system([high])).mean / 2)


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
    result = paired_t_test(first, second.tolist())
    reference = stats.ttest_rel(second, first)
    assert result.n == len(first)
    assert result.mean == pytest.approx(noise.mean(), abs=1e-9)
    assert result.sd == pytest.approx(noise.std(ddof=1), abs=1e-9)
    assert result.p == pytest.approx(reference.pvalue)
    half = stats.t.ppf(0.975, len(first) - 1) * noise.std(ddof=1) / len(first) ** 0.5
    assert result.interval is not None
    assert (result.interval.low, result.interval.high) == pytest.approx(
        (noise.mean() - half, noise.mean() + half), abs=1e-9
    )


def test_seeds_of_a_group_count_once() -> None:
    first, second = [0.5, 0.6, 0.7, 0.4], [0.6, 0.6, 0.9, 0.7]
    result = paired_t_test(first, second, groups=[7, 3, 7, 3])
    means = [(0.1 + 0.2) / 2, (0.0 + 0.3) / 2]
    assert (result.n, result.mean) == (2, pytest.approx(np.mean(means)))
    assert result.sd == pytest.approx(np.std(means, ddof=1))
    assert paired_t_test(first, second, groups=[1, 2, 3, 4]) == paired_t_test(first, second)


def test_without_an_effect_groups_keep_the_rate_of_false_findings() -> None:
    random = np.random.default_rng(1)
    groups = [number % 4 for number in range(12)]
    found = {"seeds": 0, "groups": 0}
    for _ in range(400):
        shared = random.normal(0, 1, 4)
        second = [shared[group] + random.normal(0, 1) for group in groups]
        for name in found:
            p = paired_t_test([0.0] * 12, second, groups if name == "groups" else None).p
            assert p is not None
            found[name] += p < 0.05
    # 5 % are 20.
    assert found["groups"] < 40 < found["seeds"]


def test_one_seed_and_equal_differences_have_no_test() -> None:
    single = paired_t_test([0.5], [0.6])
    assert (single.n, single.sd, single.interval, single.p) == (1, None, None, None)
    assert single.mean == pytest.approx(0.1)
    same = paired_t_test([0.5, 0.6, 0.7], [0.5, 0.6, 0.7])
    assert (same.mean, same.sd, same.interval, same.p) == (0, 0, None, None)


def test_p_over_dialogues_is_how_often_the_sign_is_the_rarer_one() -> None:
    answers, labels = dialogues(5, 10, right=0.5)
    random = np.random.default_rng(6)
    others = [np.where(random.random(len(row)) < 0.6, row, 0) for row in labels]
    first, second = (
        confusions_by_dialogue(answers, labels, 3),
        confusions_by_dialogue(others, labels, 3),
    )
    scores = [bootstrap_weighted_f1(confusions, draws=1000) for confusions in (first, second)]
    draws = [float(b - a) for a, b in zip(*scores, strict=True)]
    rarer = min(
        sum(difference <= 0 for difference in draws), sum(difference >= 0 for difference in draws)
    )
    assert 10 < rarer < 500
    result = paired_bootstrap(system([first], 1000), system([second], 1000))
    assert result.p == pytest.approx(2 * (rarer + 1) / 1001)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_the_share_of_false_discoveries_is_that_of_benjamini_and_hochberg(p: list[float]) -> None:
    """A q is at most some level if and only if the step-up procedure rejects at that level."""
    q_values = false_discovery_rates(p)
    assert len(q_values) == len(p)
    for level in (0.01, 0.05, 0.3):
        passing = [
            value for rank, value in enumerate(sorted(p), start=1) if value <= level * rank / len(p)
        ]
        for value, q in zip(p, q_values, strict=True):
            if abs(q - level) > 1e-9:
                assert (q < level) == (bool(passing) and value <= max(passing))
