"""What a month's daily average counts (R08) and what it is divided by (R09), to the fen and by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features import profiles
from features.bank.tables import AUM_CLASSES
from features.policy import segments

BOOK = segments()
C = {"customer_id": "c"}


def held(since: tuple[int, int], until: tuple[int, int] | None, amount: float, **more: Any) -> dict[str, Any]:
    """A balance of 2024 from a day on, up to the one before another."""
    span = {"from_on": date(2024, *since), "to_on": None if until is None else date(2024, *until)}
    return C | span | {"amount": amount} | more


def built(bank_of: Callable[..., Path], months: int, *balances: dict[str, Any]) -> pd.DataFrame:
    home = bank_of(customer=[C], balance=list(balances))
    last = date(2024, months + 1, 1) - timedelta(days=1)
    instant = datetime.combine(last + timedelta(days=2), time(), UTC)
    return pd.concat([pd.read_parquet(b.path) for b in profiles.build(home, BOOK, instant=instant)]).reset_index()


def test_R09_each_balance_counts_for_the_days_it_was_held_over_the_days_of_the_calendar_month(
    bank_of: Callable[..., Path],
) -> None:
    """The day it came counts and the day it went does not; of thirty-one, twenty-nine, thirty-one and thirty days."""
    frame = built(bank_of, 4, held((1, 10), (1, 20), 31_000), held((2, 29), (3, 1), 2_900), held((3, 31), None, 6_200))
    assert frame.aum_day_minor.tolist() == [310_000_00, 2_900_00, 6_200_00, 186_000_00]
    assert frame.mda.tolist() == [10_000.0, 100.0, 200.0, 6_200.0]


def test_R09_a_fund_counts_at_the_value_of_each_day(bank_of: Callable[..., Path]) -> None:
    """A thousand units at 1.20 for ten days, at 1.35 for eleven, at 1.10 for ten: a row a change of the NAV."""
    prices = [((1, 1), (1, 11), 1.20), ((1, 11), (1, 22), 1.35), ((1, 22), (2, 1), 1.10)]
    rows = [held(since, until, 1_000 * nav, asset_class="FUND", account_id="f") for since, until, nav in prices]
    (month,) = built(bank_of, 1, *rows).itertuples()
    assert month.aum_day_minor == (10 * 1_200 + 11 * 1_350 + 10 * 1_100) * 100
    assert month.mda == pytest.approx(37_850 / 31)
    assert (month.aum_end, month.invest_end) == (1_100.0, 1_100.0)


def test_R08_loan_proceeds_and_money_in_transit_do_not_count_for_as_long_as_they_are_that(
    bank_of: Callable[..., Path],
) -> None:
    """Of 100,000 a loan paid out 60,000 until the 11th, and 25,000 of a fund were clearing until the 21st."""
    frame = built(
        bank_of, 1,
        held((1, 1), (1, 11), 100_000, loan_proceeds_amount=60_000),
        held((1, 11), None, 100_000),
        held((1, 1), (1, 21), 25_000, asset_class="FUND", account_id="f", in_transit_amount=25_000),
        held((1, 21), None, 25_000, asset_class="FUND", account_id="f"),
    )  # fmt: skip
    assert frame.mda[0] == pytest.approx((40_000 * 10 + 100_000 * 21 + 25_000 * 11) / 31)
    assert frame.aum_end[0] == 125_000.0


def test_R08_what_is_taken_off_never_makes_a_customer_owe_us_a_tier(bank_of: Callable[..., Path]) -> None:
    """More in transit than there is: nothing is left, which is the lowest tier and no negative balance."""
    (month,) = built(bank_of, 1, held((1, 1), None, 1_000, in_transit_amount=1_500)).itertuples()
    assert (month.aum_day_minor, month.mda, month.tier) == (0, 0.0, "V0")


@pytest.mark.parametrize("asset_class", [*AUM_CLASSES, "CUSTODY_3P"])
def test_R08_both_come_off_whatever_class_they_stand_in(bank_of: Callable[..., Path], asset_class: str) -> None:
    rows = held((1, 1), None, 3_100, asset_class=asset_class, loan_proceeds_amount=1_000, in_transit_amount=100)
    (month,) = built(bank_of, 1, rows).itertuples()
    assert month.mda == (0.0 if asset_class == "CUSTODY_3P" else 2_000.0)
