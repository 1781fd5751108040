"""What contracts, complaints and surveys say of a customer at a closing, for the stage: beginnings and soft signs.

A first contract, money that came due lately, a complaint left open and a bad word in a survey ask for days, not months,
so that they are read from the bank's rows as known at the closing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from features.policy import Lifecycle

Tables = Mapping[str, ir.Table]
SIGNS = {  # column -> its type
    "first_contract_on": "date", "matured_minor": "int64", "has_old_complaint": "boolean", "is_detractor": "boolean",
}  # fmt: skip


def answers(tables: Tables, closing: ir.Table, figures: Lifecycle) -> Iterator[ir.Table]:
    """By customer, as far as the bank has the tables: the columns SIGNS, no row for nothing.

    `closing` is one row with as_of, as_of_at and known_until.
    """
    if contracts := [
        rows for rows in (_holdings(tables, closing, figures), _loans(tables, closing)) if rows is not None
    ]:
        t = ibis.union(*contracts) if len(contracts) > 1 else contracts[0]
        yield t.group_by("customer_id").agg(first_contract_on=t.opened_on.min(), matured_minor=t.minor.sum())
    if "complaint" in tables:
        t = _known(tables["complaint"], closing, "business_on")
        t = t.filter(t.business_on < _before(t, figures.decline_complaint_days))
        t = t.filter(t.closed_at.isnull() | (t.closed_at >= t.as_of_at)).select("customer_id").distinct()
        yield t.mutate(has_old_complaint=True)
    if "survey_response" in tables:
        yield _detractors(_known(tables["survey_response"], closing, "business_on"), figures)


def _holdings(tables: Tables, closing: ir.Table, figures: Lifecycle) -> ir.Table | None:
    """Holdings ever opened, with the amount of those that were kept until they came due within the policy's days."""
    if "holding" not in tables:
        return None
    t = _known(tables["holding"], closing, "opened_on")
    came_due = (t.matures_on > _before(t, figures.decline_matured_days)) & (t.matures_on <= t.as_of)
    came_due = came_due & (t.closed_on.isnull() | (t.closed_on >= t.matures_on))
    minor = ibis.ifelse(came_due.fill_null(False), (t.amount * 100).cast("int64"), 0)
    return t.select("customer_id", "opened_on", minor=minor.cast("int64"))


def _loans(tables: Tables, closing: ir.Table) -> ir.Table | None:
    if "loan" not in tables:
        return None
    t = _known(tables["loan"], closing, "opened_on")
    return t.select("customer_id", "opened_on", minor=ibis.literal(0, "int64"))


def _detractors(t: ir.Table, figures: Lifecycle) -> ir.Table:
    """Who last said, within the policy's days, that he would rather not recommend the bank."""
    t = t.filter(t.nps.notnull(), t.business_on > _before(t, figures.decline_nps_days))
    bad = t.nps <= figures.decline_nps
    said = t.group_by("customer_id").agg(bad_at=t.occurred_at.max(where=bad), good_at=t.occurred_at.max(where=~bad))
    said = said.filter(said.bad_at.notnull(), said.good_at.isnull() | (said.good_at <= said.bad_at))
    return said.select("customer_id", is_detractor=True)


def _known(table: ir.Table, closing: ir.Table, happened: str) -> ir.Table:
    t = table.cross_join(closing)
    return t.filter(t[happened] <= t.as_of, t.known_at <= t.known_until)


def _before(t: ir.Table, days: int) -> Any:
    """The day that lies `days` before the month's end."""
    return (t.as_of - ibis.interval(days=days)).cast("date")
