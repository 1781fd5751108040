"""Tiers of ten thousand random histories, told month by month for one customer after the other in a plain loop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from features import profiles
from features.bank.engines import arrow_schema, month_end
from features.bank.quarantine import receive
from features.bank.tables import TABLES
from features.policy import PolicyBook, SegmentsPolicy, Tiers
from features.vocabulary import Kind
from tests.features.tier_policy import ALL_AT_ONCE, BOOK

N, MONTHS = 10_000, 15
ENDS = [month_end(date(2024 + k // 12, k % 12 + 1, 1)) for k in range(MONTHS)]
STARTS = [end.replace(day=1) for end in ENDS]
FLOORS = list(BOOK.view(ENDS[0]).tiers.thresholds.values())
Average = tuple[Fraction, Fraction, int]  # weighted and plain daily average over the basis, and its days
Told = tuple[str, str, int, str]


@dataclass
class History:
    """One customer: what he keeps by asset class and month, from which day of its first month on, his loan, his kin."""

    levels: dict[str, list[int]]
    begins_on: date
    loan: tuple[int, date, date | None] | None = None
    family: str | None = None
    kin: list[History] = field(default_factory=list)

    def days(self, k: int) -> int:
        """Days of month k on which the level of that month is held."""
        return max((ENDS[k] - max(STARTS[k], self.begins_on)).days + 1, 0)

    def came_on(self) -> date | None:
        """The first day with an account of 100 or more, or with a loan."""
        funded = [max(STARTS[k], self.begins_on) for k in range(MONTHS) if self.days(k) and self.most(k) >= 100]
        return min([*funded, *([self.loan[1]] if self.loan else [])], default=None)

    def most(self, k: int) -> int:
        return max(path[k] for path in self.levels.values())

    def owes(self, k: int) -> int:
        """The loan that runs on the morning after month k, at opening."""
        if self.loan is None:
            return 0
        amount, opened_on, closed_on = self.loan
        return amount if opened_on <= ENDS[k] and (closed_on is None or closed_on > ENDS[k]) else 0


def averages(history: History, tiers: Tiers) -> list[Average]:
    weights = {name: Fraction(str(weight)) for name, weight in tiers.asset_weights.items()}
    together = 3 if tiers.basis == "quarter" else 1
    found = []
    for k in range(MONTHS):
        span = range(max(0, k - together + 1), k + 1)
        days = sum(ENDS[i].day for i in span)
        held = [(name, path[i] * history.days(i)) for i in span for name, path in history.levels.items()]
        rated = sum((weights.get(name, Fraction(1)) * amount for name, amount in held), Fraction(0)) / days
        found.append((rated, Fraction(sum(amount for _, amount in held), days), days))
    return found


def highest(rated: Fraction, net: Fraction) -> int:
    met = [(net if i == len(FLOORS) - 1 else rated) >= floor for i, floor in enumerate(FLOORS)]
    return max((i for i, is_met in enumerate(met) if is_met), default=0)


def in_a_loop(history: History, own: list[Average], kin: Sequence[list[Average]], tiers: Tiers) -> Iterator[Told]:
    """The rule told for one customer, month by month, in fractions: tier, state, months below, and the way there."""
    names, came = list(tiers.thresholds), history.came_on()
    tier, below, window = -1, 0, []
    for k, end in enumerate(ENDS):
        rated, net, days = own[k]
        family = sum((of[k][0] for of in kin), Fraction(0)) if tiers.merges_families else Fraction(0)
        credit = 0
        if tiers.loan_path and history.owes(k) >= tiers.loan_path.amount:
            credit = tiers.thresholds[tiers.loan_path.tier]
        counted = max(rated + family, Fraction(credit))
        earned = highest(counted, max(net, Fraction(credit)))
        held_days = (end - came).days + 1 if came else 0
        risen = -1
        if k > 0 and tiers.newcomer_days and tiers.newcomer_days <= held_days < days:
            risen = highest(rated * days / held_days + family, net * days / held_days)
        if risen > max(tier, earned):
            tier, below, window = risen, 0, []
        if earned >= tier:
            tier, below, window = earned, 0, []
        else:
            below += 1
            may_fall = not tiers.assessment_months or end.month in tiers.assessment_months
            if below > tiers.grace_of(names[tier]).demote_after_months and may_fall:
                best = max(i for i, floor in enumerate(FLOORS[:-1]) if max(window) >= floor)
                tier = max(earned, best)
                below, window = (1, [counted]) if earned < tier else (0, [])
            else:
                window = [*window, counted]
        watch = tiers.grace_of(names[tier]).watch_after_months
        state = "NORMAL" if below == 0 else "WATCH" if below > watch else "GRACE"
        ways = {"AUM": highest(rated, net), "FAMILY": highest(rated + family, net), "LOAN": earned, "NEWCOMER": risen}
        way = next((name for name, reached in ways.items() if tier <= reached), "KEPT")
        yield names[tier], "SEEDED" if k == 0 and below == 0 else state, below, way


def drawn_levels(chance: np.random.Generator, n: int, months: int) -> dict[str, NDArray[np.int64]]:
    """Random histories (n, months) by asset class: half of the months keep what the month before had.

    Levels lie around every threshold and on it, one asset class beside another.
    """
    floors = np.array([5_000, *FLOORS[1:]])
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


def drawn(seed: int) -> list[History]:
    """Half of the customers are there from the first day, the others come on any day of the first ten months.

    A fifth has a loan around six millions, and a third has a family of two.
    """
    chance = np.random.default_rng(seed)
    levels = drawn_levels(chance, N, MONTHS)
    first = np.where(chance.random(N) < 0.5, 0, chance.integers(0, 300, N))
    found = [
        History({name: path[i].tolist() for name, path in levels.items()}, STARTS[0] + timedelta(days=int(first[i])))
        for i in range(N)
    ]
    for i in np.flatnonzero(chance.random(N) < 0.2).tolist():
        opened_on = STARTS[0] + timedelta(days=int(chance.integers(0, 300)))
        closed_on = None if chance.random() < 0.5 else opened_on + timedelta(days=int(chance.integers(1, 200)))
        found[i].loan = (int(chance.choice([5_999_999, 6_000_000, 9_000_000])), opened_on, closed_on)
    for i in range(0, N // 3, 2):
        one, other = found[i], found[i + 1]
        one.family = other.family = f"f{i}"
        one.kin, other.kin = [other], [one]
    return found


def bank_with(home: Path, histories: Sequence[History]) -> Path:
    """A bank whose customers c0, c1, … have these histories, written as whole tables and not row by row."""
    long_ago, known = date(2020, 1, 1), datetime(2020, 1, 2, tzinfo=UTC)
    rows = [
        {"customer_id": f"c{i}", "account_id": name, "asset_class": name, "from_on": max(STARTS[k], one.begins_on),
         "to_on": ENDS[k] + timedelta(days=1), "amount": path[k], "known_at": datetime.combine(ENDS[k], time(4), UTC)}
        for i, one in enumerate(histories) for name, path in one.levels.items() for k in range(MONTHS)
        if path[k] and one.days(k)
    ]  # fmt: skip
    people = [{"customer_id": f"c{i}", "registered_on": long_ago, "family_id": one.family, "known_at": known}
              for i, one in enumerate(histories)]  # fmt: skip
    loans = [
        {"loan_id": f"l{i}", "customer_id": f"c{i}", "product_id": "P19", "opened_on": one.loan[1],
         "ends_on": date(2030, 1, 1), "closed_on": one.loan[2], "amount": one.loan[0], "known_at": known}
        for i, one in enumerate(histories) if one.loan
    ]  # fmt: skip
    receive(home, {name: _whole(name, rows) for name, rows in (("customer", people), ("balance", rows),
                                                               ("loan", loans))})  # fmt: skip
    return home


def _whole(name: str, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """A bank table with what the rows give, and the emptiest allowed values in the other columns."""
    empty = {Kind.FLAG: False, Kind.AMOUNT: Decimal(0)}
    columns = {}
    for stored, column in zip(arrow_schema(TABLES[name]), TABLES[name].columns, strict=True):
        value = None if column.is_nullable else empty.get(column.kind)
        given = [row.get(column.name, value) for row in rows]
        if column.kind is Kind.AMOUNT:
            whole = pa.array([None if amount is None else int(amount) for amount in given], pa.int64())
            columns[stored.name] = whole.cast(pa.decimal128(38, 2)).cast(stored.type)
        else:
            columns[stored.name] = pa.array(given, stored.type)
    return pa.table(columns)


@pytest.mark.parametrize(("book", "seed"), [(BOOK, 7), (ALL_AT_ONCE, 8)], ids=["as shipped", "all at once"])
def test_the_vectorised_way_equals_a_plain_loop_on_ten_thousand_random_histories(
    tmp_path: Path, book: PolicyBook[SegmentsPolicy], seed: int
) -> None:
    histories, tiers = drawn(seed), book.view(ENDS[0]).tiers
    builds = profiles.build(bank_with(tmp_path, histories), book, instant=datetime(2025, 4, 2, tzinfo=UTC))
    frame = pd.concat([pd.read_parquet(build.path) for build in builds])
    asked = ["tier", "tier_state", "months_below", "qualify_path"]
    rows = frame.pivot(index="customer_id", columns="as_of", values=asked)
    found = {name: rows[name].to_numpy() for name in asked}
    of = {id(one): averages(one, tiers) for one in histories}
    fallen, ways = 0, dict.fromkeys(("AUM", "FAMILY", "LOAN", "NEWCOMER", "KEPT"), 0)
    for place, customer in enumerate(rows.index):
        one = histories[int(customer[1:])]
        told = list(in_a_loop(one, of[id(one)], [of[id(kin)] for kin in one.kin], tiers))
        assert list(zip(*[found[name][place] for name in asked], strict=True)) == told, (customer, one)
        fallen += sum(FLOORS_OF[a[0]] > FLOORS_OF[b[0]] for a, b in itertools.pairwise(told))
        for *_, way in told:
            ways[way] += 1
    assert fallen > 1_000
    assert all(n > 200 for way, n in ways.items() if way != "FAMILY" or tiers.merges_families), ways


FLOORS_OF = BOOK.view(ENDS[0]).tiers.thresholds
