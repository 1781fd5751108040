"""The cells of the matrix (客群格) as things with figures: size, money, how they answer, and where they are going."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from features.vocabulary import CUSTOMER_ID
from insight.answers import Answers, added
from insight.history import UNKNOWN, History
from insight.people import inside
from insight.proportions import Proportion, proportion

VALUE = "value_12m"


@dataclass(frozen=True, slots=True)
class Point:
    """A cell at one month end: people, sum of their AUM, sum of their value of twelve months.

    None: nobody stands there, the bank has no balances, or its profiles no value.
    """

    as_of: date
    n_customers: int
    aum: float | None
    value: float | None

    def to_json(self) -> dict[str, Any]:
        return {"as_of": self.as_of.isoformat(), "n_customers": self.n_customers, "aum": self.aum, "value": self.value}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: how it stands, how it stood at each month end before, and how its people answered."""

    customer_class: str
    stage: str
    trend: tuple[Point, ...]
    answered: Proportion

    @property
    def now(self) -> Point:
        return self.trend[-1]


Cells = dict[tuple[str, str], Cell]


def cells(history: History, answers: Iterable[Answers], level: float) -> Cells:
    """Every cell in which anybody ever stood or answered, by class and stage; an empty month is a point of nobody."""
    months = [_points(history, place) for place in range(len(history))]
    told: dict[tuple[str, str], list[Answers]] = {}
    for part in answers:
        told.setdefault((part.customer_class, part.stage), []).append(part)
    keys = sorted({key for month in months for key in month} | set(told))
    return {key: Cell(*key, _trend(history, months, key), proportion(*added(told.get(key, ())), level)) for key in keys}


def nobody(days: Sequence[date], customer_class: str, stage: str) -> Cell:
    """A cell in which nobody stood on any of `days`."""
    trend = tuple(Point(day, 0, None, None) for day in days)
    return Cell(customer_class, stage, trend, Proportion(0, 0, None, None, None))


def people(
    rows: ir.Table, cell: tuple[str, str], columns: Sequence[str] = (), *, after: str, limit: int
) -> list[dict[str, Any]]:
    """Those in the cell by a profile's `rows`, in the order of their ids after `after`, at most `limit`.

    Each with customer_id and `columns`.
    """
    there = inside(rows, cell)
    listed = there.filter(there[CUSTOMER_ID] > ibis.literal(after)).select(CUSTOMER_ID, *columns)
    found: list[dict[str, Any]] = listed.order_by(CUSTOMER_ID).limit(limit).to_pyarrow().to_pylist()
    return found


def tiers(rows: ir.Table, cell: tuple[str, str]) -> dict[str, int]:
    """People in the cell by tier, by a profile's `rows`."""
    there = inside(rows, cell)
    counted = there.group_by(name=there.tier.fill_null(UNKNOWN)).agg(n=there.count())
    return {row["name"]: row["n"] for row in counted.to_pyarrow().to_pylist()}


def _points(history: History, place: int) -> dict[tuple[str, str], Point]:
    rows = history.month(place)
    value = rows[VALUE].cast("float64") if VALUE in rows.columns else ibis.null("float64")
    named = rows.select("customer_class", "stage", "mda", value=value)
    grouped = named.group_by("customer_class", "stage").agg(
        n=named.count(), aum=named.mda.sum(), value=named.value.sum()
    )
    as_of = history.months[place].as_of
    return {
        (row["customer_class"], row["stage"]): Point(as_of, row["n"], row["aum"], row["value"])
        for row in grouped.to_pyarrow().to_pylist()
    }


def _trend(history: History, months: list[dict[tuple[str, str], Point]], key: tuple[str, str]) -> tuple[Point, ...]:
    return tuple(
        month.get(key, Point(build.as_of, 0, None, None)) for build, month in zip(history.months, months, strict=True)
    )
