"""Lists of people (名单): those of a cell, those who moved, those whom a rule names; counted, ordered, by the page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import ibis
import ibis.expr.types as ir

from features.vocabulary import CUSTOMER_ID
from insight.history import UNKNOWN, History, Label

Order = Literal["aum", "tier", "grade", "since", "id"]
ORDERS: tuple[Order, ...] = get_args(Order)
Choice = Callable[[History], ir.Table]


@dataclass(frozen=True, slots=True)
class Listing:
    """People of a list: how many there are, and of the page that was asked for a row each."""

    n: int
    rows: tuple[Mapping[str, Any], ...]


def listing(
    rows: ir.Table, columns: Sequence[str], tiers: Sequence[str], *, order: Order | None, start: int, limit: int
) -> Listing:
    """The people in `rows`, those of a profile, with customer_id and `columns`; without an `order` as they come.

    By AUM and by tier the highest come first, by grade the best, by `since` who came into his stage last; equals by id.
    A column that the profile does not have yet is null.
    """
    n = int(rows.count().execute())
    if order is not None:
        rows = rows.order_by(*_keys(rows, order, tiers), rows[CUSTOMER_ID])
    known = {name: rows[name] if name in rows.columns else ibis.null() for name in columns}
    told = rows.select(CUSTOMER_ID, **known).limit(limit, offset=start)
    return Listing(n, tuple(told.to_pyarrow().to_pylist()))


def in_cell(customer_class: str, stage: str) -> Choice:
    """Those who stand in the cell at the last month."""
    return lambda history: inside(history.month(-1), (customer_class, stage))


def who_moved(label: Label, before: str, after: str) -> Choice:
    """Those who went from `before` to `after` in the last month; nobody where there is one month only."""

    def chosen(history: History) -> ir.Table:
        now = history.month(-1)
        if len(history) < 2:
            return now.filter(ibis.literal(False))
        then = history.month(-2)
        were = then.filter(then[label].fill_null(UNKNOWN) == before)
        return now.filter(now[label].fill_null(UNKNOWN) == after).semi_join(were, CUSTOMER_ID)

    return chosen


def inside(rows: ir.Table, cell: tuple[str, str]) -> ir.Table:
    """Those of `rows` who stand in the cell."""
    return rows.filter(rows.customer_class == cell[0], rows.stage == cell[1])


def without(rows: ir.Table, customer_ids: Collection[str]) -> ir.Table:
    """`rows` without those of `customer_ids`."""
    return rows.filter(rows[CUSTOMER_ID].notin(sorted(customer_ids))) if customer_ids else rows


def _keys(rows: ir.Table, order: Order, tiers: Sequence[str]) -> list[Any]:
    if order == "id":
        return []
    if order == "tier":
        places = [(rows.tier == tier, place) for place, tier in enumerate(tiers)]
        return [ibis.desc(ibis.cases(*places, else_=-1))] if places else []
    column, is_rising = {"aum": ("mda", False), "grade": ("grade", True), "since": ("stage_entered_on", False)}[order]
    return [(ibis.asc if is_rising else ibis.desc)(rows[column], nulls_first=False)]
