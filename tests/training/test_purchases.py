"""Purchase counts: what is counted, by hand; and what is foretold, where every customer's true rate is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.errors import MissingModel
from training.boosting import Parameters
from training.models.purchases import FIGURES, History, Purchases, train

DAY, AHEAD = 200, 100


def log(*rows: tuple[int, int, float]) -> Purchases:
    customers, days, amounts = zip(*rows, strict=True)
    return Purchases.of(np.array(customers), np.array(days), np.array(amounts, dtype=np.float64))


@pytest.fixture(scope="module")
def shop() -> tuple[Purchases, np.ndarray]:
    """Four thousand customers first seen within 50 days; half buy about every 20 days, half never come back."""
    chance = np.random.default_rng(3)
    n, rows = 4_000, []
    rates = np.where(np.arange(n) % 2 == 0, 0.05, 0.0)
    for customer in range(n):
        first = int(chance.integers(0, 50))
        later = first + 1 + np.flatnonzero(chance.random(DAY + AHEAD - first - 1) < rates[customer])
        rows += [(customer, int(day), 10.0) for day in (first, *later)]
    return log(*rows), rates


def test_purchases_of_one_day_are_one_and_their_amounts_add_up() -> None:
    found = log((7, 3, 2.0), (7, 3, 4.0), (5, 9, 1.0))
    assert [*zip(found.customers, found.days, found.amounts, strict=True)] == [(5, 9, 1.0), (7, 3, 6.0)]


def test_a_history_knows_only_what_was_bought_before_its_day() -> None:
    known = log((1, 10, 5.0), (1, 16, 7.0), (1, 20, 100.0), (2, 30, 1.0))
    history = History.of(known, 20)
    assert history.customers.tolist() == [1]
    assert (history.x[0], history.t[0], history.T[0], history.mean_amount[0]) == (1, 6, 9, 6)
    assert history.late.tolist() == [1]  # day 16 lies after day 15, the middle of his time
    assert known.counted(np.array([1, 2]), 20, 31).tolist() == [1, 1]
    assert known.counted(np.array([2]), 0, 31).tolist() == [1]


def test_own_rate_lies_between_his_and_that_of_all() -> None:
    """Six purchases again in 2 × 99 days; a quarter of one is worth as much as the pooled rate."""
    known = log(*((1, day, 1.0) for day in range(0, 60, 10)), (2, 0, 1.0), (2, 50, 1.0))
    history = History.of(known, 100)
    pooled = 6 / 198
    assert history.own_rate(30) == pytest.approx([30 * (5.25) / (99 + 0.25 / pooled), 30 * 1.25 / (99 + 0.25 / pooled)])


def test_each_kind_of_customer_is_told_his_true_rate(shop: tuple[Purchases, np.ndarray]) -> None:
    bought, rates = shop
    history = History.of(bought, DAY)
    told = train(bought, DAY, parameters=replace(FIGURES, min_leaf_rows=100)).expect(history, AHEAD)
    loyal = rates[history.customers] > 0
    assert told[loyal].mean() == pytest.approx(0.05 * AHEAD, rel=0.1)
    assert told[~loyal].mean() < 0.1
    truth = rates[history.customers] * AHEAD
    assert np.mean((told - truth) ** 2) < 0.2 * np.mean((history.own_rate(AHEAD) - truth) ** 2)


def test_what_was_bought_later_changes_nothing_and_equal_seeds_give_equal_text(
    shop: tuple[Purchases, np.ndarray],
) -> None:
    bought, _ = shop
    few = Parameters(n_rounds=10, n_leaves=7, min_leaf_rows=100)
    assert train(bought, DAY, parameters=few) == train(bought.before(DAY), DAY, parameters=few)


def test_a_log_without_repeats_is_refused() -> None:
    with pytest.raises(MissingModel, match="too few purchases"):
        train(log(*((customer, customer % 30, 1.0) for customer in range(500))), 60)
