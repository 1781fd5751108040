"""Alerts: what must be told, what must not, and how rarely chance alone is told."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from insight.jumps import Jump, jumps
from insight.policy import Jumps, insight
from tests.insight.histories import days

POLICY = Jumps(share_points=3, deviations=4, history_months=12, least_months=6, least_customers=30)
QUIET = [1000, 1010, 1000, 1010, 1000, 1010, 1000, 1010]


def told(*dormant: int, others: int = 100_000, policy: Jumps = POLICY) -> list[Jump]:
    """Jumps in a bank with so many dormant month by month, and many others."""
    counts = [{"DORMANT": n, "GROWTH": others} for n in dormant]
    return jumps(days(len(dormant)), counts, policy)


def test_a_share_that_moves_by_more_than_the_bound_is_named_with_its_figures() -> None:
    """From 10 % to 14 % of all: four points, in both stages, since what one gains the other loses."""
    found = jumps(days(2), [{"DORMANT": 100, "GROWTH": 900}, {"DORMANT": 140, "GROWTH": 860}], POLICY)
    assert [(jump.name, jump.rule, jump.before, jump.after) for jump in found] == [
        ("DORMANT", "SHARE", 100, 140), ("GROWTH", "SHARE", 900, 860),
    ]  # fmt: skip
    assert found[0].moved == pytest.approx(4)
    assert str(found[0]) == "DORMANT 100 -> 140 (+4.0 points of all), beyond 3 points"
    assert not jumps(days(2), [{"DORMANT": 100, "GROWTH": 900}, {"DORMANT": 129, "GROWTH": 871}], POLICY)


def test_a_population_is_held_against_its_own_history() -> None:
    """Rates of ±1 % for seven months, then +20 %: mean and deviation are worked out here a second time."""
    rates = [after / before - 1 for before, after in pairwise(QUIET)]
    usual = sum(rates) / 7
    spread = (sum((rate - usual) ** 2 for rate in rates) / 6) ** 0.5
    assert spread < (1 / 1010) ** 0.5, "chance alone over 1,010 people is the larger"
    (found,) = told(*QUIET, 1212)
    assert (found.rule, found.name, found.as_of) == ("COUNT", "DORMANT", days(9)[-1])
    assert found.usual == pytest.approx(usual)
    assert found.deviation == pytest.approx((1 / 1010) ** 0.5)
    assert found.moved == pytest.approx((1212 / 1010 - 1 - usual) * 1010**0.5)
    assert "+20.0% where +0.1% is usual: 6.3 deviations, beyond 4" in str(found)


@pytest.mark.parametrize(
    ("dormant", "why"),
    [
        ((*QUIET, 1111), "3.1 deviations are within the bound"),
        ((*QUIET[:6], 1212), "five rates are no history yet"),
        ((1000, 1300, 900, 1400, 800, 1300, 900, 1300, 1000), "what always swings does not jump"),
        ((5, 5, 5, 5, 5, 5, 5, 5, 25), "a handful of people"),
    ],
)
def test_what_is_no_jump_is_not_told(dormant: tuple[int, ...], why: str) -> None:
    assert not told(*dormant), why


def test_a_label_that_comes_from_nothing_is_told_by_its_share_alone() -> None:
    assert not told(0, 0, 0, 0, 0, 0, 0, 0, 500)
    (dormant, growth) = told(0, 0, 0, 0, 0, 0, 0, 0, 500, others=9_500)
    assert (dormant.name, dormant.rule, growth.name) == ("DORMANT", "SHARE", "GROWTH")


def test_chance_alone_is_hardly_ever_told() -> None:
    """Sixty banks of nothing but chance, thirty-six months each: of some 1,700 comparisons about none lies beyond 4."""
    chance = np.random.default_rng(3)
    found = sum(len(told(*chance.poisson(2_000, 36).tolist())) for _ in range(60))
    assert found <= 3


def test_the_shipped_bounds_are_dated() -> None:
    book = insight()
    assert book.view(date(2025, 12, 31)).jumps == POLICY
    assert book.dates() == [date(1990, 1, 1)]
