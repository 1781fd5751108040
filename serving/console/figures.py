"""What the matrix page shows of the months: people, money and answers of each cell, moves between stages, people.

Computed over all months of the lineage in one pass, once for each release and book; the rest is picked from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from weakref import WeakKeyDictionary

import ibis
import ibis.expr.types as ir

from serving.months import Months

Book = frozenset[str] | None
PEOPLE_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Standing:
    """A cell at a month's end: people, sum of their AUM (None without balances), contacts and answers of a year."""

    n_customers: int
    aum: float | None
    n_contacts: int
    n_conversions: int

    @property
    def response(self) -> float | None:
        """Answers a contact; None without contacts."""
        return self.n_conversions / self.n_contacts if self.n_contacts else None


Cell = tuple[str, str]
NOBODY = Standing(0, 0.0, 0, 0)
_KEPT: WeakKeyDictionary[Months, dict[Any, Any]] = WeakKeyDictionary()


def standings(months: Months, book: Book) -> Mapping[date, Mapping[Cell, Standing]]:
    """Every cell in which somebody stands, at every month's end; with a `book`, the people in it alone."""
    kept = _KEPT.setdefault(months, {})
    if ("standings", book) not in kept:
        kept["standings", book] = _standings(months, book)
    found: Mapping[date, Mapping[Cell, Standing]] = kept["standings", book]
    return found


def stage_moves(months: Months, before: date, after: date, book: Book) -> Mapping[tuple[str, str], int]:
    """How many people went from which stage to which between two month ends, stays included."""
    kept = _KEPT.setdefault(months, {})
    key = ("moves", before, after, book)
    if key not in kept:
        rows = _of_book(months.rows, book)
        old = rows.filter(rows.as_of == before).select("customer_id", source="stage")
        new = rows.filter(rows.as_of == after).select("customer_id", target="stage")
        both = old.join(new, "customer_id")
        counted = months.answer(both.group_by("source", "target").agg(n=both.count()))
        kept[key] = {(row["source"], row["target"]): row["n"] for row in counted}
    found: Mapping[tuple[str, str], int] = kept[key]
    return found


def tiers_of(months: Months, as_of: date, cell: Cell, book: Book) -> Mapping[str, int]:
    """People of a cell by tier."""
    rows = _of_cell(months, as_of, cell, book)
    counted = months.answer(rows.group_by("tier").agg(n=rows.count()))
    return {row["tier"]: row["n"] for row in counted if row["tier"] is not None}


def people_of(months: Months, as_of: date, cell: Cell, book: Book, after: str) -> list[dict[str, Any]]:
    """People of a cell in the order of their ids, those after `after`, one more than a page if there are more."""
    rows = _of_cell(months, as_of, cell, book)
    rows = rows.filter(rows.customer_id > after).order_by("customer_id").limit(PEOPLE_A_PAGE + 1)
    return months.answer(rows.select("customer_id", "tier", "tier_state", "grade", "stage_entered_on", "mda", "tags"))


def _standings(months: Months, book: Book) -> dict[date, dict[Cell, Standing]]:
    rows = _of_book(months.rows, book)
    grouped = rows.group_by("as_of", "customer_class", "stage").agg(
        n=rows.count(),
        aum=rows.mda.sum(),
        contacts=rows.n_contacts_12m.sum().fill_null(0),
        conversions=rows.n_conversions_12m.sum().fill_null(0),
    )
    found: dict[date, dict[Cell, Standing]] = {as_of: {} for as_of in months.builds}
    for row in months.answer(grouped):
        figures = Standing(row["n"], row["aum"], int(row["contacts"]), int(row["conversions"]))
        found[row["as_of"]][row["customer_class"], row["stage"]] = figures
    return found


def _of_cell(months: Months, as_of: date, cell: Cell, book: Book) -> ir.Table:
    rows = _of_book(months.rows, book)
    return rows.filter(rows.as_of == as_of, rows.customer_class == cell[0], rows.stage == cell[1])


def _of_book(rows: ir.Table | None, book: Book) -> ir.Table:
    if rows is None:
        raise LookupError("no month is kept here")
    if book is None:
        return rows
    return rows.filter(rows.customer_id.isin(sorted(book)) if book else ibis.literal(False))
