"""Tiers: one fen decides, up at once, down by grace and watch, landing on the best month of the window."""

from __future__ import annotations

import calendar
import itertools
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features import profiles
from features.policy import Grace, SegmentsPolicy, segments

BOOK = segments()
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


def built(home: Path, months: int) -> pd.DataFrame:
    instant = datetime.combine(month_ends(months)[-1] + timedelta(days=2), datetime.min.time(), UTC)
    builds = profiles.build(home, BOOK, instant=instant)
    return pd.concat([pd.read_parquet(build.path) for build in builds]).set_index(["customer_id", "as_of"]).sort_index()


def in_a_loop(levels: list[float], policy: SegmentsPolicy) -> list[tuple[str, str]]:
    """The rule told for one customer, month by month, as a plain loop."""
    names, floors = list(FLOORS), list(FLOORS.values())
    told: list[tuple[str, str]] = []
    tier, below, window = -1, 0, []
    for level in levels:
        earned = max(i for i, floor in enumerate(floors) if level >= floor)
        if earned >= tier:
            tier, below, window = earned, 0, []
        else:
            grace: Grace = policy.tiers.grace_of(names[tier])
            if below + 1 > grace.demote_after_months:
                tier = max(earned, max(i for i, floor in enumerate(floors) if max(window) >= floor))
                below, window = (1, [level]) if earned < tier else (0, [])
            else:
                below, window = below + 1, [*window, level]
        watch = policy.tiers.grace_of(names[tier]).watch_after_months
        state = "NORMAL" if below == 0 else "WATCH" if below > watch else "GRACE"
        told.append((names[tier], "SEEDED" if not told else state))
    return told


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


def test_the_vectorised_way_equals_a_plain_loop_on_random_histories(bank_of: Callable[..., Path]) -> None:
    chance = random.Random(7)
    levels = [5_000, 20_000, 60_000, 250_000, 550_000, 1_200_000, 3_500_000, 7_000_000]
    months = 14
    histories = {}
    for i in range(400):
        level = chance.choice(levels)
        histories[f"c{i:03}"] = [
            level := chance.choice([level, level, level, chance.choice(levels)]) for _ in range(months)
        ]
    home = bank_of(
        customer=[{"customer_id": c} for c in histories],
        balance=[r for c, path in histories.items() for r in balances(c, path)],
    )
    frame = built(home, months)
    policy = BOOK.view(date(2024, 1, 31))
    moved = 0
    for customer, path in histories.items():
        told = in_a_loop(path, policy)
        rows = frame.loc[customer]
        assert list(zip(rows.tier, rows.tier_state, strict=True)) == told, (customer, path)
        moved += sum(a[0] != b[0] for a, b in itertools.pairwise(told))
    assert moved > 400


def test_without_balances_nobody_has_a_tier(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=[{"customer_id": "c"}], txn=[{"customer_id": "c", "business_on": date(2024, 1, 5)}])
    frame = built(home, 1)
    assert frame[["tier", "tier_state", "mda", "grade"]].isna().all().all()
    assert frame.stage.tolist() == ["NEW"]
