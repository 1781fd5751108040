"""Qini and uplift@k against plain loops and scikit-uplift; resampling against repeated rows; known truths."""

from __future__ import annotations

import numpy as np
import pytest
import sklift.metrics as sklift
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import UserMistake
from training.judging.resampling import codes_of, resamples
from training.judging.uplift_curves import METRICS, SHARES, Ranking, paired_difference, with_intervals

ROWS = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 6)), min_size=4, max_size=40).filter(
    lambda rows: 0 < sum(t for _, t, _ in rows) < len(rows) and sum(y for y, _, _ in rows) > 0
)


def curve_by_hand(y: np.ndarray, t: np.ndarray, u: np.ndarray) -> tuple[list[float], list[float]]:
    """Rows and Q at the end of each level, from (0, 0)."""
    rows, gained = [0.0], [0.0]
    for level in sorted(set(u.tolist()), reverse=True):
        inside = u >= level
        n_t, n_c = (inside & (t == 1)).sum(), (inside & (t == 0)).sum()
        y_t, y_c = y[inside & (t == 1)].sum(), y[inside & (t == 0)].sum()
        rows.append(float(inside.sum()))
        gained.append(float(y_t - y_c * n_t / n_c) if n_c else float(y_t))
    return rows, gained


def qini_by_hand(y: np.ndarray, t: np.ndarray, u: np.ndarray) -> float:
    """Area over the straight line ÷ that of the ranking by y·t − y·(1 − t)."""
    ours, best = curve_by_hand(y, t, u), curve_by_hand(y, t, y * t - y * (1 - t))
    straight = ours[0][-1] * ours[1][-1] / 2
    areas = [float(np.trapezoid(gained, rows)) - straight for rows, gained in (ours, best)]
    return areas[0] / areas[1]


def trial(*, n: int = 4000, seed: int = 0, effect: float = 0.2, noise: float = 0.0) -> tuple[np.ndarray, ...]:
    """Outcomes, treatment and a score of an experiment in which one half is moved by `effect` and the other is not."""
    chance = np.random.default_rng(seed)
    moved, treated = chance.random(n), chance.integers(0, 2, n)
    y = (chance.random(n) < 0.1 + effect * (moved > 0.5) * treated).astype(float)
    return y, treated, moved + noise * np.random.default_rng(seed + 1).normal(size=n)


@settings(deadline=None)  # the first call compiles
@given(ROWS)
def test_the_coefficient_is_the_area_between_curve_and_line_over_that_of_the_perfect_curve(
    rows: list[tuple[bool, bool, int]],
) -> None:
    y, t, u = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    expected, found = qini_by_hand(y, t, u), Ranking(y, t, u).qini()
    assert found == pytest.approx(expected, abs=1e-9) or (np.isnan(found) and not np.isfinite(expected))


def test_curve_coefficient_and_uplift_are_those_of_scikit_uplift() -> None:
    for y, t, u in (trial(), (trial()[0], trial()[1], np.round(trial()[2], 1))):
        ours = Ranking(y, t, u)
        assert ours.qini() == pytest.approx(sklift.qini_auc_score(y, u, t), abs=1e-12)
        rows, gained = sklift.qini_curve(y, u, t)
        shares = np.linspace(0, 1, 101)
        expected = np.interp(shares * len(y), rows, gained) / t.sum()
        within = (
            {"abs": 1e-12} if len(np.unique(u)) == len(u) else {"abs": 2e-3}
        )  # inside a level sums are straight, not Q
        assert ours.curve(seed=0, n_resamples=2).gained == pytest.approx(expected, **within)
    y, t, u = trial()
    for share in SHARES:
        assert Ranking(y, t, u).uplift_at(share) == pytest.approx(
            sklift.uplift_at_k(y, u, t, "overall", share), abs=1e-12
        )


def test_a_score_that_says_nothing_has_no_area_and_reversing_one_turns_its_sign() -> None:
    y, t, u = trial(n=20_000)
    assert Ranking(y, t, np.zeros(len(y))).qini() == 0
    drawn = np.random.default_rng(9).random(len(y))
    assert abs(Ranking(y, t, drawn).qini()) < 0.05
    assert Ranking(y, t, -u).qini() < -0.05 < 0.05 < Ranking(y, t, u).qini()


def test_uplift_at_a_share_is_the_difference_of_the_arms_there() -> None:
    y, t, u = trial(n=50_000)
    ours = Ranking(y, t, u)
    assert ours.uplift_at(0.5) == pytest.approx(
        0.2, abs=0.02
    )  # the half that is moved, by the effect it was given; error .005
    assert ours.uplift_at(1.0) == pytest.approx(y[t == 1].mean() - y[t == 0].mean(), abs=1e-12)
    assert ours.curve(seed=0, n_resamples=2).gained[-1] == pytest.approx(ours.uplift_at(1.0), abs=1e-12)


def test_known_chances_undo_an_experiment_that_treats_some_more_often() -> None:
    """Those who answer anyway are treated more often: without their chances treatment looks better than it is."""
    chance = np.random.default_rng(3)
    n = 100_000
    eager = chance.random(n) < 0.5
    chances = np.where(eager, 0.8, 0.2)
    treated = chance.random(n) < chances
    y = (chance.random(n) < 0.1 + 0.3 * eager + 0.05 * treated).astype(float)
    u = chance.random(n)
    assert Ranking(y, treated, u).uplift_at(1.0) > 0.15
    assert Ranking(y, treated, u, chances).uplift_at(1.0) == pytest.approx(0.05, abs=0.01)


def test_one_chance_for_all_changes_nothing() -> None:
    y, t, u = trial()
    known = Ranking(y, t, u, np.full(len(y), 0.5))
    assert known.qini() == pytest.approx(Ranking(y, t, u).qini(), abs=1e-12)
    assert known.uplift_at(0.3) == pytest.approx(Ranking(y, t, u).uplift_at(0.3), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_an_interval_is_that_of_the_metric_on_repeated_rows(metric: str) -> None:
    y, t, u = trial(n=600)
    u, other = np.round(u, 1), trial(n=600, noise=0.5)[2]
    customers = np.random.default_rng(5).integers(0, 250, 600)
    ours, theirs = Ranking(y, t, u), Ranking(y, t, other)
    drawn = []
    for weights in resamples(codes_of(customers, ours.order), 100, seed=6):
        rows = np.repeat(np.arange(600), weights.astype(int))
        drawn.append([METRICS[metric](Ranking(y[rows], t[rows], score[rows])) for score in (u, other)])
    draws = np.array(drawn)
    found = with_intervals({"ours": ours, "theirs": theirs}, customers, seed=6, n_resamples=100)
    for place, name in enumerate(("ours", "theirs")):
        expected = np.quantile(draws[:, place], [0.025, 0.975])
        assert [found[name][metric].low, found[name][metric].high] == pytest.approx(expected, abs=1e-12)
    difference = paired_difference(ours, theirs, customers, seed=6, n_resamples=100, metric=metric)
    expected = np.quantile(draws[:, 0] - draws[:, 1], [0.025, 0.975])
    assert [difference.low, difference.high] == pytest.approx(expected, abs=1e-12)


def test_threads_change_no_interval() -> None:
    y, t, u = trial(n=2000)
    alone, many = (with_intervals({"x": Ranking(y, t, u)}, seed=3, n_resamples=50, n_threads=k) for k in (1, 3))
    assert alone == many


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Uplift among the first half is .2 by construction; 95 % of the intervals of 200 experiments should hold it."""
    held = 0
    for seed in range(200):
        y, t, u = trial(n=1500, seed=seed)
        found = with_intervals({"x": Ranking(y, t, u)}, seed=seed, n_resamples=300)["x"]["uplift_at_30"]
        held += found.low <= 0.2 <= found.high
    assert 0.90 <= held / 200 <= 0.985


def test_a_paired_difference_tells_the_better_ranking() -> None:
    y, t, u = trial(n=20_000)
    better = paired_difference(Ranking(y, t, u), Ranking(y, t, trial(n=20_000, noise=1.0)[2]), seed=1, n_resamples=200)
    assert better.low > 0
    same = paired_difference(Ranking(y, t, u), Ranking(y, t, u), seed=1, n_resamples=20)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_amounts_have_a_curve_and_no_coefficient() -> None:
    y, t, u = trial()
    spent = Ranking(40.0 * y, t, u)
    assert np.isnan(spent.qini())
    assert spent.uplift_at(0.3) == pytest.approx(40 * Ranking(y, t, u).uplift_at(0.3))


def test_the_band_of_a_curve_holds_it_and_widens_with_few_rows() -> None:
    few, many = (Ranking(*trial(n=n)).curve(seed=2, n_resamples=200) for n in (500, 8000))
    for curve in (few, many):
        assert (curve.low[1:-1] <= curve.gained[1:-1]).all()
        assert (curve.gained[1:-1] <= curve.high[1:-1]).all()
    assert np.mean(few.high - few.low) == pytest.approx(4 * np.mean(many.high - many.low), rel=0.3)  # √16


def test_what_is_no_experiment_is_refused() -> None:
    y, t, u = trial(n=50)
    with pytest.raises(UserMistake, match="treated and untreated"):
        Ranking(y, np.ones(50), u)
    with pytest.raises(UserMistake, match="the same rows"):
        Ranking(y, t, u[1:])
    with pytest.raises(UserMistake, match="between 0 and 1"):
        Ranking(y, t, u, np.zeros(50))
    with pytest.raises(UserMistake, match="no such metric"):
        paired_difference(Ranking(y, t, u), Ranking(y, t, u), seed=0, metric="auuc")
