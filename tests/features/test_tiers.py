"""Tiers: one fen decides, up at once, down by grace and watch, landing on the best month of the window."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features import profiles
from features.policy import PolicyBook, SegmentsPolicy
from tests.features.tier_policy import BOOK, changed

FLOORS = {
    "V0": 0,
    "V1": 10_000,
    "V2": 50_000,
    "V3": 200_000,
    "V4": 500_000,
    "V5": 1_000_000,
    "VIP": 3_000_000,
    "VVIP": 6_000_000,
}


def month_ends(n: int, first: date = date(2024, 1, 31)) -> list[date]:
    ends = [first]
    while len(ends) < n:
        following = ends[-1] + timedelta(days=1)
        ends.append(following.replace(day=calendar.monthrange(following.year, following.month)[1]))
    return ends


def balances(customer: str, levels: list[float]) -> list[dict[str, Any]]:
    """One level balance a month, so that mda is that level."""
    rows = []
    for end, level in zip(month_ends(len(levels)), levels, strict=True):
        rows.append(
            {"customer_id": customer, "from_on": end.replace(day=1), "to_on": end + timedelta(days=1), "amount": level}
        )
    return rows


def built(home: Path, months: int, book: PolicyBook[SegmentsPolicy] = BOOK) -> pd.DataFrame:
    instant = datetime.combine(month_ends(months)[-1] + timedelta(days=2), datetime.min.time(), UTC)
    builds = profiles.build(home, book, instant=instant)
    return pd.concat([pd.read_parquet(build.path) for build in builds]).set_index(["customer_id", "as_of"]).sort_index()


def test_the_published_rule_holds_to_the_digit(bank_of: Callable[..., Path]) -> None:
    """V4 with 400k, 300k, 450k, 200k, 150k, 100k stays V4 six months and then lands on V3, the tier of 450k."""
    levels = [600_000.0, 400_000, 300_000, 450_000, 200_000, 150_000, 100_000, 100_000]
    frame = built(bank_of(customer=[{"customer_id": "c"}], balance=balances("c", levels)), len(levels))
    assert frame.tier.tolist() == ["V4"] * 7 + ["V3"]
    assert frame.tier_state.tolist() == ["SEEDED", *["GRACE"] * 3, *["WATCH"] * 3, "GRACE"]
    assert frame.months_below.tolist() == [0, 1, 2, 3, 4, 5, 6, 1]


def test_a_good_month_within_the_window_clears_it(bank_of: Callable[..., Path]) -> None:
    levels = [600_000.0, 400_000, 300_000, 450_000, 520_000, 400_000]
    frame = built(bank_of(customer=[{"customer_id": "c"}], balance=balances("c", levels)), len(levels))
    assert frame.tier.tolist() == ["V4"] * 6
    assert frame.tier_state.tolist()[-2:] == ["NORMAL", "GRACE"]
    assert frame.months_below.tolist() == [0, 1, 2, 3, 0, 1]


@pytest.mark.parametrize(("amount", "tier"), [("500000.00", "V4"), ("499999.99", "V3")])
def test_one_fen_decides(bank_of: Callable[..., Path], amount: str, tier: str) -> None:
    frame = built(bank_of(customer=[{"customer_id": "c"}], balance=balances("c", [amount])), 1)
    assert frame.tier.tolist() == [tier]


def test_one_day_a_fen_below_is_below_for_the_month(bank_of: Callable[..., Path]) -> None:
    rows = [
        {"customer_id": "c", "from_on": date(2024, 1, 1), "to_on": date(2024, 1, 31), "amount": "500000.00"},
        {"customer_id": "c", "from_on": date(2024, 1, 31), "amount": "499999.99"},
    ]
    frame = built(bank_of(customer=[{"customer_id": "c"}], balance=rows), 1)
    assert frame.tier.tolist() == ["V3"]
    assert frame.aum_day_minor.tolist() == [50_000_000 * 31 - 1]


def test_the_quarter_counts_the_days_of_three_months_and_of_no_more_than_there_are(
    bank_of: Callable[..., Path],
) -> None:
    """587,096.78 in March alone makes 200,000 over the 91 days of three months; two fen a day less do not."""
    needed = Decimal(200_000 * 91) / 31
    book = changed(basis="quarter")
    tiers = {}
    for name, level in (("enough", needed.quantize(Decimal("0.01"), ROUND_UP)), ("short", Decimal("587096.76"))):
        rows = [r for r in balances(name, [0, 0, level]) if r["amount"]]
        tiers[name] = (rows, level)
    home = bank_of(
        customer=[{"customer_id": name} for name in (*tiers, "anchor")],
        balance=[r for rows, _ in tiers.values() for r in rows]
        + [{"customer_id": "anchor", "from_on": date(2024, 1, 1), "amount": 200_000}],
    )
    frame = built(home, 3, book)
    last = date(2024, 3, 31)
    assert frame.loc[("anchor", date(2024, 1, 31))].tier == "V3"
    assert {name: frame.loc[(name, last)].tier for name in tiers} == {"enough": "V3", "short": "V2"}
    for name, (_, level) in tiers.items():
        assert frame.loc[(name, last)].rated_mda == float(level * 31 / 91)


def test_weights_count_below_the_highest_tier_which_counts_net_assets_once(bank_of: Callable[..., Path]) -> None:
    """6,000,000 in funds at half weight is V5 by weight, and the highest tier by net assets; a fen less is V5."""
    amounts = {"private": "6000000.00", "short": "5999999.99", "weighed": "1000000.00"}
    home = bank_of(
        customer=[{"customer_id": name} for name in amounts],
        balance=[{"customer_id": name, "asset_class": "FUND", "amount": amount} for name, amount in amounts.items()],
    )
    frame = built(home, 1, changed(asset_weights={"FUND": 0.5})).reset_index().set_index("customer_id")
    assert frame.tier.to_dict() == {"private": "VVIP", "short": "V5", "weighed": "V4"}
    assert frame.rated_mda.to_dict() == {"private": 3_000_000.0, "short": 2_999_999.995, "weighed": 500_000.0}
    assert frame.tier_level.to_dict()["private"] == 1


def test_the_next_tier_is_near_and_its_gap_told_by_what_that_tier_is_measured_by(bank_of: Callable[..., Path]) -> None:
    """Funds at half weight: the way to VIP is weighed, the one to the highest tier is net; beyond it there is none."""
    kept = {  # demand money, funds; tier, near the next, what is missing
        "to VIP by weight": (0, "5000000", "V5", True, 500_000.0),
        "to the highest by net": ("2000000", "3000000", "VIP", True, 1_000_000.0),
        "a fen below near": ("3000000", "1799999.99", "VIP", False, 1_200_000.01),
        "the highest": ("6000000", 0, "VVIP", False, None),
        "the lowest": ("9999.99", 0, "V0", False, 0.01),
    }
    home = bank_of(
        customer=[{"customer_id": who} for who in kept],
        balance=[
            {"customer_id": who, "account_id": f"{who} {kind}", "asset_class": kind, "amount": amount}
            for who, (demand, fund, *_) in kept.items()
            for kind, amount in (("DEMAND", demand), ("FUND", fund))
        ],
    )
    frame = built(home, 1, changed(asset_weights={"FUND": 0.5})).reset_index().set_index("customer_id")
    gaps = frame.next_tier_gap.round(4)
    told = {who: (frame.tier[who], frame.near_up[who], None if pd.isna(gaps[who]) else gaps[who]) for who in kept}
    assert told == {who: tuple(expected) for who, (_, _, *expected) in kept.items()}


def test_the_highest_tier_has_levels(bank_of: Callable[..., Path]) -> None:
    levels = {6_000_000: 1, 10_000_000: 2, 29_999_999: 2, 100_000_000: 4, 5_999_999: None}
    home = bank_of(
        customer=[{"customer_id": str(amount)} for amount in levels],
        balance=[{"customer_id": str(amount), "amount": amount} for amount in levels],
    )
    found = built(home, 1).reset_index().set_index("customer_id").tier_level
    assert {int(name): None if pd.isna(level) else level for name, level in found.items()} == levels


def test_hot_money_came_before_the_assessment_and_left_after_it(bank_of: Callable[..., Path]) -> None:
    told = {
        "came in February, gone by the end of March": ([10_000, 110_000, 10_000], True),
        "stayed": ([10_000, 110_000, 110_000], False),
        "was there before": ([110_000, 110_000, 10_000], False),
        "49,999 is less than the policy's amount": ([10_000, 59_999, 10_000], False),
        "50,000 is the policy's amount": ([10_000, 60_000, 10_000], True),
        "60,000 is less than half of what was assessed": ([90_000, 150_000, 90_000], False),
        "half of it is enough": ([100_000, 200_000, 100_000], True),
    }
    home = bank_of(
        customer=[{"customer_id": name} for name in told],
        balance=[row for name, (levels, _) in told.items() for row in balances(name, levels)],
    )
    frame = built(home, 3).reset_index()
    assert frame.is_hot_money[frame.as_of < date(2024, 3, 31)].isna().all()
    march = frame[frame.as_of == date(2024, 3, 31)].set_index("customer_id")
    assert march.is_hot_money.to_dict() == {name: is_hot for name, (_, is_hot) in told.items()}
    assert march.tags.str.contains("|hot_money|", regex=False).to_dict() == march.is_hot_money.to_dict()


def test_hot_money_is_looked_for_after_assessment_months_where_there_are_some(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=[{"customer_id": "c"}], balance=balances("c", [10_000, 110_000, 10_000]))
    flags = [built(bank, 3, changed(assessment_months=months)).is_hot_money.iloc[-1] for bank, months in (
        (home, [6, 12]), (bank_of(home=home.parent / "other", customer=[{"customer_id": "c"}],
                                  balance=balances("c", [10_000, 110_000, 10_000])), [2, 8]))]  # fmt: skip
    assert flags == [False, True]


def test_without_balances_nobody_has_a_tier(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=[{"customer_id": "c"}], txn=[{"customer_id": "c", "business_on": date(2024, 1, 5)}])
    frame = built(home, 1)
    assert frame[["tier", "tier_state", "mda", "grade"]].isna().all().all()
    assert frame.stage.tolist() == ["NEW"]
