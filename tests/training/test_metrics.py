"""Metrics against scikit-learn and plain loops; resampling against repeated rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer
from sklearn.linear_model import LogisticRegression

from features.errors import UserMistake
from training.judging.metrics import (
    METRICS,
    Interval,
    Judged,
    mean_difference,
    paired_difference,
    resamples,
    with_intervals,
)
from training.judging.resampling import codes_of, resampled

SCORED = st.lists(st.tuples(st.booleans(), st.integers(1, 9)), min_size=2, max_size=40).filter(
    lambda rows: 0 < sum(y for y, _ in rows) < len(rows)
)


def judged(*, n: int = 4000, seed: int = 0, noise: float = 0.0) -> Judged:
    """Scores in tenths whose outcome follows them, but for `noise` added to the score afterwards."""
    chance = np.random.default_rng(seed)
    p = chance.integers(1, 10, n) / 10
    y = (chance.random(n) < p).astype(float)
    return Judged(y, np.clip(p + noise * np.random.default_rng(seed + 1).normal(size=n), 0.01, 0.99))


def arrays(rows: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([float(y) for y, _ in rows]), np.array([p / 10 for _, p in rows])


def auc_by_pairs(y: np.ndarray, p: np.ndarray) -> float:
    pairs = [(p[i] > p[j]) + 0.5 * (p[i] == p[j]) for i in np.flatnonzero(y) for j in np.flatnonzero(y == 0)]
    return float(np.mean(pairs))


def recall_by_orders(y: np.ndarray, p: np.ndarray, share: float, n_orders: int = 4000) -> float:
    """Mean recall of the top rows over random orders of equal scores, for a share that cuts between rows."""
    chance = np.random.default_rng(0)
    n_top = round(share * len(y))
    found = [y[np.lexsort((chance.random(len(y)), -p))[:n_top]].sum() / y.sum() for _ in range(n_orders)]
    return float(np.mean(found))


@given(SCORED)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[bool, int]]) -> None:
    y, p = arrays(rows)
    assert Judged(y, p).auc() == pytest.approx(auc_by_pairs(y, p), abs=1e-12)


@given(SCORED)
def test_auc_log_loss_and_brier_are_those_of_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    y, p = arrays(rows)
    ours = Judged(y, p)
    assert ours.auc() == pytest.approx(peer.roc_auc_score(y, p), abs=1e-12)
    assert ours.log_loss() == pytest.approx(peer.log_loss(y, p), abs=1e-12)
    assert ours.brier() == pytest.approx(peer.brier_score_loss(y, p), abs=1e-12)


@settings(max_examples=30)
@given(SCORED, st.integers(0, 2**32 - 1))
def test_weights_mean_repeated_rows(rows: list[tuple[bool, int]], seed: int) -> None:
    y, p = arrays(rows)
    weights = np.random.default_rng(seed).integers(1, 4, len(y))
    repeated = Judged(np.repeat(y, weights), np.repeat(p, weights))
    for name, metric in METRICS.items():
        if name not in ("ece", "slope"):  # its bins are those of the whole sample; few rows may have no finite slope
            assert metric(Judged(y, p), weights.astype(float)) == pytest.approx(metric(repeated, None), abs=1e-12)


def test_weighted_auc_is_that_of_scikit_learn_on_a_resample() -> None:
    ours = judged()
    weights = next(resamples(np.arange(4000), 1, seed=3))
    theirs = peer.roc_auc_score(ours.outcomes, ours.scores, sample_weight=weights)
    assert ours.auc(weights) == pytest.approx(theirs, abs=1e-12)


def test_recall_at_the_top_is_the_mean_over_the_orders_of_equal_scores() -> None:
    y = np.array([1, 0, 1, 0, 1, 0, 0, 1, 0, 0], dtype=float)
    p = np.array([0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.2, 0.2, 0.2])
    assert Judged(y, p).recall_at_top(share=0.3) == pytest.approx(3 / 4 * 2 / 4)  # 3 of 4 rows hold 2 of 4 positives
    assert Judged(y, p).recall_at_top(share=0.6) == pytest.approx(recall_by_orders(y, p, 0.6), abs=0.01)


def test_lift_is_recall_over_the_share_taken() -> None:
    ours = judged()
    assert ours.lift_at_top() == pytest.approx(10 * ours.recall_at_top())


def test_ece_is_the_weighted_gap_of_ten_bins() -> None:
    ours = judged(noise=0.2)
    order = np.argsort(ours.scores, kind="stable")
    bins = np.array_split(order, 10)
    by_hand = sum(len(b) / 4000 * abs(ours.scores[b].mean() - ours.outcomes[b].mean()) for b in bins)
    assert len(np.unique(ours.scores)) > 3000  # hardly any ties, so that bins of equal size are the same ten
    assert ours.ece() == pytest.approx(by_hand, abs=2e-3)


def test_slope_is_that_of_an_unpenalised_logistic_regression() -> None:
    ours = judged(noise=0.1)
    logits = np.log(ours.scores / (1 - ours.scores)).reshape(-1, 1)
    theirs = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(logits, ours.outcomes).coef_[0, 0]
    assert ours.slope().value == pytest.approx(theirs, abs=1e-5)


def test_slope_of_true_probabilities_is_one_and_of_doubled_logits_a_half() -> None:
    ours = judged(n=20_000)
    logits = np.log(ours.scores / (1 - ours.scores))
    assert ours.slope().low < 1 < ours.slope().high
    doubled = Judged(ours.outcomes, 1 / (1 + np.exp(-2 * logits))).slope()
    assert doubled.value == pytest.approx(ours.slope().value / 2, abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_slope_of_a_score_that_says_nothing_is_about_nothing(seed: int) -> None:
    """Whole steps went over the top and back, and the fiftieth stood where the first began: at a slope of 1."""
    chance = np.random.default_rng(seed)
    scores, outcomes = chance.random(1_000), (chance.random(1_000) < 0.23).astype(float)
    found = Judged(outcomes, scores).slope()
    logits = np.log(scores / (1 - scores))[:, np.newaxis]
    assert found.value == pytest.approx(
        LogisticRegression(C=1e12, tol=1e-10).fit(logits, outcomes).coef_[0, 0], abs=1e-5
    )
    told = with_intervals({"x": Judged(outcomes, scores)}, np.arange(1_000), seed=1, n_resamples=200)["x"]["slope"]
    assert told.low < told.value < told.high


@pytest.mark.parametrize("name", METRICS)
def test_an_interval_is_that_of_the_metric_computed_anew_on_every_resample(name: str) -> None:
    """Levels of equal scores, several rows a customer, and both scores of a pair on the same resamples."""
    chance = np.random.default_rng(4)
    ours, other = judged(n=900), judged(n=900, noise=0.2)
    other = Judged(ours.outcomes, other.scores)
    customers = chance.integers(0, 300, 900)
    weights = list(resamples(codes_of(customers, ours.order), 200, seed=8))
    found = with_intervals({"ours": ours, "other": other}, customers, seed=8, n_resamples=200)
    difference = paired_difference(ours, other, customers, seed=8, n_resamples=200, metric=METRICS[name])
    drawn = {key: np.array([METRICS[name](one, w) for w in weights]) for key, one in (("ours", ours), ("other", other))}
    # a step of the slope is off by about 1 ÷ rows; everything else is exact
    exact = {"abs": 0.02} if name == "slope" else {"abs": 1e-12}
    for key, draws in drawn.items():
        assert found[key][name].value == METRICS[name]({"ours": ours, "other": other}[key], None)
        assert [found[key][name].low, found[key][name].high] == pytest.approx(
            np.quantile(draws, [0.025, 0.975]), **exact
        )
    expected = np.quantile(drawn["ours"] - drawn["other"], [0.025, 0.975])
    assert [difference.low, difference.high] == pytest.approx(expected, **exact)


def test_the_interval_of_the_slope_is_that_of_its_information_where_rows_are_independent() -> None:
    ours = judged(n=3000, noise=0.1)
    found = with_intervals({"x": ours}, np.arange(3000), seed=1, n_resamples=600)["x"]["slope"]
    wald = ours.slope()
    assert found.value == wald.value
    assert found.high - found.low == pytest.approx(wald.high - wald.low, rel=0.12)


def test_a_metric_that_is_not_resampled_is_refused() -> None:
    with pytest.raises(UserMistake, match="no such metric"):
        paired_difference(judged(), judged(), np.arange(4000), seed=0, metric=lambda one, _: one.auc())


def test_what_one_class_alone_cannot_tell_is_nan() -> None:
    alone = Judged(np.zeros(4), np.array([0.1, 0.2, 0.3, 0.4]))
    assert all(np.isnan([alone.auc(), alone.recall_at_top(), alone.slope().value]))


def test_resamples_draw_customers_whole_and_come_out_the_same_for_a_seed() -> None:
    customers = np.array(["a", "b", "a", "c", "b"])
    for weights, again in zip(resamples(customers, 50, seed=5), resamples(customers, 50, seed=5), strict=True):
        assert weights[0] == weights[2]
        assert weights[1] == weights[4]
        assert weights[0] + weights[1] + weights[3] == 3
        assert weights.tolist() == again.tolist()


def test_resamples_are_the_same_on_one_thread_and_on_many() -> None:
    codes = np.random.default_rng(0).permutation(500).astype(np.int32)
    alone, many = (resampled(codes, 37, 5, lambda counts: counts[:3] + 0.0, n_threads=k) for k in (1, 4))
    assert alone.tolist() == many.tolist()
    again = np.array([weights[np.argsort(codes)][:3] for weights in resamples(codes, 37, 5)])
    assert alone.tolist() == again.tolist()


def test_every_customer_is_drawn_as_often_as_chance_would() -> None:
    """Counts are a multinomial of one draw a customer: mean 1, variance 1 − 1/n, and they sum to n."""
    counts = np.array(list(resamples(np.arange(50), 20_000, seed=2)))
    assert (counts.sum(axis=1) == 50).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(50), abs=0.05)
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.01)
    assert np.corrcoef(counts[:, 0], counts[:, 1])[0, 1] == pytest.approx(-1 / 49, abs=0.03)


def test_the_interval_of_the_auc_has_the_width_of_its_known_standard_error() -> None:
    """Hanley and McNeil give the standard error of an AUC from n⁺, n⁻ and itself (an approximation: within a third)."""
    ours = judged(n=2000)
    found = with_intervals({"x": ours}, np.arange(2000), seed=1, n_resamples=400)["x"]["auc"]
    area, n_pos = found.value, ours.outcomes.sum()
    n_neg = 2000 - n_pos
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (n_pos - 1) * (q1 - area**2) + (n_neg - 1) * (q2 - area**2)) / (n_pos * n_neg)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(np.sqrt(variance), rel=0.33)
    assert found.low < found.value < found.high


def test_rows_of_one_customer_widen_the_interval() -> None:
    ours = judged(n=500)
    twice = Judged(np.tile(ours.outcomes, 4), np.tile(ours.scores, 4))
    honest = with_intervals({"x": twice}, np.tile(np.arange(500), 4), seed=1, n_resamples=300)["x"]["auc"]
    naive = with_intervals({"x": twice}, np.arange(2000), seed=1, n_resamples=300)["x"]["auc"]
    assert 1.6 < (honest.high - honest.low) / (naive.high - naive.low) < 2.4  # four copies are worth one: √4


def test_a_paired_difference_is_narrower_than_its_parts_and_finds_the_better_score() -> None:
    good, worse = judged(), judged(noise=0.3)
    rows = np.arange(4000)
    difference = paired_difference(good, worse, rows, seed=2, n_resamples=300)
    alone = with_intervals({"x": good}, rows, seed=2, n_resamples=300)["x"]["auc"]
    assert difference.low > 0
    assert difference.value == pytest.approx(good.auc() - worse.auc())
    same = paired_difference(good, good, rows, seed=2, n_resamples=50)
    assert same == Interval(0.0, 0.0, 0.0)
    assert difference.high - difference.low < 2 * (alone.high - alone.low)


def test_a_mean_over_seeds_is_resampled_as_one() -> None:
    truth = judged(n=1500)
    seeds = [Judged(truth.outcomes, judged(n=1500, noise=noise).scores) for noise in (0.1, 0.2, 0.3)]
    rows = np.arange(1500)
    found = mean_difference(seeds[:2], seeds[2:], rows, seed=3, n_resamples=100)
    weights = list(resamples(codes_of(rows, seeds[0].order), 100, seed=3))
    draws = [(seeds[0].auc(w) + seeds[1].auc(w)) / 2 - seeds[2].auc(w) for w in weights]
    assert found.value == pytest.approx((seeds[0].auc() + seeds[1].auc()) / 2 - seeds[2].auc(), abs=1e-12)
    assert [found.low, found.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=1e-12)


def test_gains_and_reliability_describe_the_same_rows() -> None:
    ours = judged(noise=0.2)
    taken, found = ours.gains()
    assert (taken[0], found[0], taken[-1], found[-1]) == (0, 0, 1, 1)
    assert np.interp(0.1, taken, found) == pytest.approx(ours.recall_at_top())
    mean_p, mean_y, rows = ours.reliability()
    assert rows.sum() == 4000
    assert np.dot(rows, np.abs(mean_p - mean_y)) / 4000 == pytest.approx(ours.ece())
