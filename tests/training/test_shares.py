"""Incremental shares from arms: what many customers say, and what few do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.models.shares import DEFAULT_SHARE, ArmRow, incremental_shares

RATES = st.floats(0, 1)


def share_of(treated: float, control: float, *, n: int) -> tuple[float, bool]:
    rows = [ArmRow("c", "TREAT", n, float(n), treated), ArmRow("c", "CONTROL", n, float(n), control)]
    (found,) = incremental_shares(rows, ["c"])
    return found.share, found.is_assumed


def test_large_arms_say_what_they_measured() -> None:
    assert share_of(0.04, 0.02, n=1_000_000) == (pytest.approx(0.5, abs=0.002), False)


def test_small_arms_say_little() -> None:
    share, is_assumed = share_of(0.10, 0.0, n=40)
    assert not is_assumed
    assert DEFAULT_SHARE < share < 0.75  # measured .89 on four conversions


def test_the_pull_towards_the_default_weakens_as_arms_grow() -> None:
    distances = [abs(share_of(0.04, 0.008, n=n)[0] - 0.8) for n in (200, 1_000, 5_000, 25_000, 125_000)]
    assert distances == sorted(distances, reverse=True)


def test_the_estimate_covers_the_truth_about_as_often_as_its_spread_promises() -> None:
    """Treated 4 %, control 2.6 %, 20,000 each: the truth .35 lies within the spread of a thousand experiments."""
    chance = np.random.default_rng(0)
    treated, control = chance.binomial(20_000, 0.04, 1000) / 20_000, chance.binomial(20_000, 0.026, 1000) / 20_000
    found = [share_of(t, c, n=20_000)[0] for t, c in zip(treated, control, strict=True)]
    assert np.mean(found) == pytest.approx(0.35, abs=0.01)
    assert np.std(found) < 0.05


@given(RATES, RATES, st.integers(1, 10_000))
def test_a_share_is_a_share(treated: float, control: float, n: int) -> None:
    assert 0 <= share_of(treated, control, n=n)[0] <= 1


@pytest.mark.parametrize(
    "rows", [[], [ArmRow("c", "TREAT", 9, 9.0, 0.5)], [ArmRow("c", "CONTROL", 9, 9.0, 0.5)],
             [ArmRow("c", "TREAT", 9, 9.0, 0.0), ArmRow("c", "CONTROL", 9, 9.0, 0.5)]],
)  # fmt: skip
def test_a_category_without_both_arms_or_without_conversions_is_assumed(rows: list[ArmRow]) -> None:
    (found,) = incremental_shares(rows, ["c"], default_share=0.25)
    assert (found.share, found.is_assumed) == (0.25, True)
    assert found.n_treat + found.n_control == sum(row.n for row in rows)


def test_a_category_without_arms_takes_what_the_others_say_together() -> None:
    """Two large categories say .7 and .5, the policy .3: with even weights the mean is .5, and it is assumed."""
    rows = [
        ArmRow(name, arm, 10**7, 1e7, share)
        for name, control in (("a", 0.03), ("b", 0.05))
        for arm, share in (("TREAT", 0.10), ("CONTROL", control))
    ]
    found = {row.category: row for row in incremental_shares(rows, ["a", "b", "none"], default_share=0.3)}
    assert found["none"].share == pytest.approx(0.5, abs=0.001)
    assert [found[name].is_assumed for name in ("a", "b", "none")] == [False, False, True]
    assert found["a"].share == pytest.approx(0.7, abs=0.001)


@given(st.lists(st.tuples(RATES, RATES), max_size=5), RATES)
def test_what_is_assumed_is_a_share_whatever_the_arms_say(pairs: list[tuple[float, float]], default: float) -> None:
    rows = [
        ArmRow(f"c{place}", arm, 500, 500.0, share)
        for place, pair in enumerate(pairs)
        for arm, share in zip(("TREAT", "CONTROL"), pair, strict=True)
    ]
    (found,) = incremental_shares(rows, ["none"], default_share=default)
    assert found.is_assumed
    assert 0 <= found.share <= 1
