"""How few hold how much, against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.pareto import SHARES, TOP, held_by, pareto
from tests.insight.histories import Month, Person, history_of


def by_loop(values: list[float], hundredths: int) -> float | None:
    """What the richest hold: one by one until so many hundredths of all are counted, the last one whole."""
    if sum(values) <= 0:
        return None
    counted = 0
    held = 0.0
    for value in sorted(values, reverse=True):
        if counted * 100 >= hundredths * len(values):
            break
        counted, held = counted + 1, held + value
    return held / sum(values)


@given(st.lists(st.integers(0, 10_000_000), min_size=1, max_size=60), st.sampled_from([1, 10, 20, 50, 100]))
def test_the_top_share_is_what_a_loop_from_the_richest_on_counts(cents: list[int], hundredths: int) -> None:
    found, expected = held_by(np.array(cents, dtype=float), hundredths / 100), by_loop([*map(float, cents)], hundredths)
    assert found == (None if expected is None else pytest.approx(expected))


def test_every_month_and_figure_has_its_curve_over_customers_alone() -> None:
    """Ten customers of whom two hold 80 of 100; a prospect and a lost one hold more, and do not count."""
    rich: Month = {f"c{i}": Person("GROWTH", mda=40.0 if i < 2 else 2.5, value=10.0) for i in range(10)}
    rich = rich | {"p": Person("PROSPECT", mda=1e6, value=1.0), "l": Person("LOST", mda=1e6, value=1.0)}
    even: Month = {f"c{i}": Person("MATURE", mda=7.0, value=10.0 * (i == 0)) for i in range(10)}
    with history_of(rich, even, with_value=True) as history:
        found = {(curve.as_of.month, curve.figure): curve for curve in pareto(history)}
    assert {key: curve.top_share for key, curve in found.items()} == {
        (1, "aum"): 0.8, (1, "value"): 0.2, (2, "aum"): pytest.approx(0.2), (2, "value"): 1.0,
    }  # fmt: skip
    curve = found[1, "aum"]
    assert (curve.n, curve.total) == (10, 100.0)
    assert curve.held is not None
    assert curve.held[-1] == 1.0
    assert list(curve.held) == sorted(curve.held)
    assert curve.held[SHARES.index(0.1)] == 0.4, "one of ten"
    assert curve.to_json()["top_share"] == curve.held[SHARES.index(TOP)]


def test_a_bank_without_value_or_balances_says_none_and_not_zero() -> None:
    with history_of({"a": Person(mda=None), "b": Person(mda=None)}) as history:
        (found,) = pareto(history)
    assert (found.figure, found.n, found.held, found.top_share) == ("aum", 0, None, None)


def test_the_edge_takes_whole_customers_though_floats_say_a_little_more() -> None:
    """.07 · 100 is 7.000000000000001 in floats, and an eighth customer would be told as one of the top 7 %."""
    assert 0.07 * 100 > 7
    assert math.isclose(held_by(np.arange(1.0, 101.0), 0.07) or 0, sum(range(94, 101)) / 5050)
