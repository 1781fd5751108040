"""A shift follows a rate that moves, is drawn to nothing by few labels, and is dropped where it would have harmed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from training.recalibration import SHIFTS, Blend, Recalibration, moved


def stream(*, rates: list[float], n_days: int = 30, n_a_day: int = 100, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Probabilities that say .1 on average, outcomes whose rate steps through `rates`, and days."""
    chance = np.random.default_rng(seed)
    days = np.repeat(np.arange(n_days * len(rates)), n_a_day)
    p = chance.beta(1, 9, len(days))
    truth = np.repeat([np.log(rate / (1 - rate)) - np.log(0.1 / 0.9) for rate in rates], n_days * n_a_day)
    return p, (chance.random(len(days)) < 1 / (1 + np.exp(-(np.log(p / (1 - p)) + truth)))).astype(float), days


def log_loss(p: np.ndarray, y: np.ndarray) -> float:
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


def test_the_shift_is_the_maximum_of_its_penalised_likelihood() -> None:
    p, y, days = stream(rates=[0.3])
    ages = days.max() + 1.0 - days
    how = Recalibration(half_life_days=4, spread=0.3)
    logits, weights = np.log(p / (1 - p)), 0.5 ** (ages / 4)

    def cost(b: float) -> float:
        q = 1 / (1 + np.exp(-(logits + b)))
        return -float(np.dot(weights, y * np.log(q) + (1 - y) * np.log1p(-q))) + b**2 / (2 * 0.3**2)

    assert how.shift(p, y, ages) == pytest.approx(minimize_scalar(cost).x, abs=1e-5)


def test_without_labels_nothing_is_shifted_and_few_shift_little() -> None:
    how, none = Recalibration(spread=0.3), np.empty(0)
    assert how.shift(none, none, none) == 0
    few = how.shift(np.full(3, 0.1), np.ones(3), np.ones(3))
    many = how.shift(np.full(300, 0.1), np.ones(300), np.ones(300))
    assert 0 < few < 0.25 < 2 < many


def test_a_day_is_shifted_by_earlier_days_alone() -> None:
    p, y, days = stream(rates=[0.1, 0.4])
    said = Recalibration(delay_days=3).daily(p, y, days)
    changed = y.copy()
    changed[days >= 37] = 1 - changed[days >= 37]
    again = Recalibration(delay_days=3).daily(p, changed, days)
    assert (said[days < 40] == again[days < 40]).all()
    assert (said[days == 40] != again[days == 40]).any()


def test_a_rate_that_moved_is_followed_within_days() -> None:
    p, y, days = stream(rates=[0.1, 0.4])
    said = Recalibration().daily(p, y, days)
    later = days >= 45
    assert abs(p[later].mean() - y[later].mean()) > 0.2
    assert abs(said[later].mean() - y[later].mean()) < 0.03
    assert log_loss(said[later], y[later]) < log_loss(p[later], y[later]) - 0.1


def test_a_rate_that_stays_is_hardly_touched() -> None:
    p, y, days = stream(rates=[0.1])
    assert log_loss(Recalibration().daily(p, y, days), y) < log_loss(p, y) + 0.002


def test_shifts_that_would_have_harmed_are_not_applied() -> None:
    """The rate swings every day: yesterday says the opposite of today, and a shift that follows it does harm."""
    chance = np.random.default_rng(1)
    days = np.repeat(np.arange(60), 200)
    p = np.full(len(days), 0.3)
    y = (chance.random(len(days)) < np.where(days % 2 == 0, 0.1, 0.5)).astype(float)
    hasty = Recalibration(half_life_days=0.5, spread=2.0)
    unguarded = np.concatenate([
        moved(p[days == d], hasty.shift(p[days < d], y[days < d], d - days[days < d].astype(float))) for d in range(60)
    ])  # fmt: skip
    assert log_loss(unguarded, y) > log_loss(p, y) + 0.05
    said = hasty.daily(p, y, days)
    assert (said[days > 10] == p[days > 10]).all()


def test_a_shift_keeps_the_order_of_a_day() -> None:
    p, y, days = stream(rates=[0.1, 0.4])
    said = Recalibration().daily(p, y, days)
    for day in (5, 45):
        today = days == day
        assert (np.argsort(said[today]) == np.argsort(p[today])).all()


def test_a_blend_of_shifts_follows_as_the_best_of_them_and_harms_no_steady_rate() -> None:
    """One stream wants a short memory, the other none: the best for one loses on the other, the blend on neither."""
    for rates, least in ((([0.03, 0.4] * 5), 0.02), ([0.1] * 10, -0.001)):
        p, y, days = stream(rates=rates, n_days=10)
        late = days >= 10
        gain = log_loss(p[late], y[late]) - log_loss(Blend().daily(p, y, days)[late], y[late])
        each = [log_loss(p[late], y[late]) - log_loss(one.daily(p, y, days)[late], y[late]) for one in SHIFTS]
        assert gain > least
        assert gain > max(each) - 0.003


def test_a_blend_shifts_a_day_by_mature_days_alone() -> None:
    p, y, days = stream(rates=[0.1, 0.4])
    how = Blend(shifts=SHIFTS[::7], delay_days=3)
    changed = np.where(days >= 37, 1 - y, y)
    said, again = how.daily(p, y, days), how.daily(p, changed, days)
    assert (said[days < 40] == again[days < 40]).all()
    assert (said[days == 40] != again[days == 40]).any()
    assert np.allclose(said[days < 3], p[days < 3], rtol=1e-9, atol=0)


def test_what_lies_longer_ago_than_the_memory_weighs_less() -> None:
    """Ten days that asked for a shift, long followed by ten that asked for none."""
    p, y, days = stream(rates=[0.4, 0.1, 0.1], n_days=10)
    short = Blend(shifts=(Recalibration(half_life_days=50, spread=1.6),), memory_days=2)
    long = Blend(shifts=short.shifts, memory_days=1e6)
    last = days >= 25
    assert abs(short.daily(p, y, days)[last].mean() - p[last].mean()) < abs(
        long.daily(p, y, days)[last].mean() - p[last].mean()
    )
