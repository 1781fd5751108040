"""Tiers: one fen decides, up at once, down by grace and watch, landing on the best month of the window."""

from __future__ import annotations

import calendar
import itertools
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from features import profiles
from features.bank.engines import arrow_schema
from features.bank.quarantine import receive
from features.bank.tables import TABLES
from features.policy import PolicyBook, SegmentsPolicy, Tiers
from features.vocabulary import Kind
from tests.features.tier_policy import ALL_AT_ONCE, BOOK, changed

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


def in_a_loop(path: list[dict[str, int]], ends: list[date], tiers: Tiers) -> list[tuple[str, str, int]]:
    """The rule told for one customer, month by month, as a plain loop over balances by asset class, in fractions."""
    names, floors = list(tiers.thresholds), list(tiers.thresholds.values())
    weights = {name: Fraction(str(weight)) for name, weight in tiers.asset_weights.items()}
    months_together = 3 if tiers.basis == "quarter" else 1
    told: list[tuple[str, str, int]] = []
    tier, below, window = -1, 0, []
    for k, end in enumerate(ends):
        span = range(max(0, k - months_together + 1), k + 1)
        days = sum(ends[i].day for i in span)
        net = Fraction(sum(ends[i].day * sum(path[i].values()) for i in span), days)
        rated = sum(ends[i].day * weights.get(name, 1) * held for i in span for name, held in path[i].items()) / days
        met = [(net if i == len(floors) - 1 else rated) >= floor for i, floor in enumerate(floors)]
        earned = max((i for i, is_met in enumerate(met) if is_met), default=0)
        if earned >= tier:
            tier, below, window = earned, 0, []
        else:
            below += 1
            may_fall = not tiers.assessment_months or end.month in tiers.assessment_months
            if below > tiers.grace_of(names[tier]).demote_after_months and may_fall:
                best = max(i for i, floor in enumerate(floors[:-1]) if max(window) >= floor)
                tier = max(earned, best)
                below, window = (1, [rated]) if earned < tier else (0, [])
            else:
                window = [*window, rated]
        watch = tiers.grace_of(names[tier]).watch_after_months
        state = "NORMAL" if below == 0 else "WATCH" if below > watch else "GRACE"
        told.append((names[tier], "SEEDED" if not told and below == 0 else state, below))
    return told


def drawn_levels(n: int, months: int, seed: int) -> dict[str, NDArray[np.int64]]:
    """Random histories (n, months) by asset class: half of the months keep what the month before had.

    Levels lie around every threshold and on it, one asset class beside another.
    """
    chance = np.random.default_rng(seed)
    floors = np.array([5_000, *list(FLOORS.values())[1:]])
    around = np.concatenate([floors, floors * 12 // 10, floors * 9 // 10, floors * 3 // 10, floors - 1])
    found = {}
    for name, share in (("DEMAND", 0.9), ("FUND", 0.3), ("TIME", 0.2)):
        level = chance.choice(around, size=n) * (chance.random(n) < share)
        path = np.empty((n, months), dtype=np.int64)
        for k in range(months):
            moved = chance.random(n) < 0.4
            fresh = chance.choice(around, size=n) * (chance.random(n) < share)
            level = np.where(moved, fresh, level)
            path[:, k] = level
        found[name] = path
    return found


def bank_with(home: Path, levels: dict[str, NDArray[np.int64]], ends: list[date]) -> Path:
    """A bank whose customers c0, c1, … hold these levels, written as one table and not row by row."""
    n = len(next(iter(levels.values())))
    ids = [f"c{i}" for i in range(n)]
    long_ago, known = date(2020, 1, 1), datetime(2020, 1, 2, tzinfo=UTC)
    people = pa.table({"customer_id": ids}).append_column("registered_on", pa.array([long_ago] * n, pa.date32()))
    parts = []
    for name, path in levels.items():
        for k, end in enumerate(ends):
            held = np.flatnonzero(path[:, k])
            size = len(held)
            parts.append(pa.table({
                "customer_id": np.array(ids, object)[held], "account_id": [name] * size, "asset_class": [name] * size,
                "from_on": pa.array([end.replace(day=1)] * size, pa.date32()),
                "to_on": pa.array([end + timedelta(days=1)] * size, pa.date32()),
                "amount": pa.array(path[held, k]).cast(pa.decimal128(38, 2)).cast(pa.decimal128(18, 2)),
                "known_at": pa.array([datetime.combine(end, time(4), UTC)] * size, pa.timestamp("us", tz="UTC")),
            }))  # fmt: skip
    people = people.append_column("known_at", pa.array([known] * n, pa.timestamp("us", tz="UTC")))
    receive(home, {"customer": _whole("customer", people), "balance": _whole("balance", pa.concat_tables(parts))})
    return home


def _whole(name: str, given: pa.Table) -> pa.Table:
    """A bank table with the columns given, and the emptiest allowed values in the others."""
    empty = {Kind.FLAG: False, Kind.AMOUNT: Decimal(0)}
    columns = {}
    for field, column in zip(arrow_schema(TABLES[name]), TABLES[name].columns, strict=True):
        value = None if column.is_nullable else empty.get(column.kind)
        is_given = field.name in given.column_names
        columns[field.name] = given[field.name] if is_given else pa.array([value] * given.num_rows, field.type)
    return pa.table(columns)


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


@pytest.mark.parametrize(("book", "seed"), [(BOOK, 7), (ALL_AT_ONCE, 8)], ids=["as shipped", "all at once"])
def test_the_vectorised_way_equals_a_plain_loop_on_ten_thousand_random_histories(
    tmp_path: Path, book: PolicyBook[SegmentsPolicy], seed: int
) -> None:
    n, ends = 10_000, month_ends(15)
    levels = drawn_levels(n, len(ends), seed)
    frame = built(bank_with(tmp_path, levels, ends), len(ends), book).reset_index()
    tiers = book.view(ends[0]).tiers
    rows = frame.pivot(index="customer_id", columns="as_of", values=["tier", "tier_state", "months_below"])
    found = {name: rows[name].to_numpy() for name in ("tier", "tier_state", "months_below")}
    fallen = 0
    for place, customer in enumerate(rows.index):
        i = int(customer[1:])
        path = [{name: int(level[i, k]) for name, level in levels.items()} for k in range(len(ends))]
        told = in_a_loop(path, ends, tiers)
        assert list(zip(*[found[name][place] for name in found], strict=True)) == told, (customer, path)
        fallen += sum(list(FLOORS).index(a[0]) > list(FLOORS).index(b[0]) for a, b in itertools.pairwise(told))
    assert fallen > 1_000


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
        "60,000 is less than half of what was assessed": ([90_000, 150_000, 90_000], False),
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
