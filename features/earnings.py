"""What contracts earn: holdings, loans and services over a span of days, at the policy's margins.

income = (amount × basis points + yearly amount) × days held in the span ÷ 365, and a share of the first premium on the
day the contract began. A contract is held from its first day until the day it is closed, which does not count. A loan
counts here where no holding of that customer and product stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from features.bank.tiles import YEAR_DAYS
from features.policy import Margin, Value
from features.vocabulary import CUSTOMER_ID

CONTRACTS = {"holding": "product_id", "loan": "product_id", "service_activation": "service_id"}  # table -> its product
INCOME = "contracts_income"
_PARTS = 1_000_000  # of a unit of currency, in which income is counted: a whole year of basis points is whole in it


def answers(tables: Mapping[str, ir.Table], span: ir.Table, policy: Value) -> Iterator[ir.Table]:
    """By customer, what their contracts earned in the span as INCOME; nothing if the bank has no such table."""
    income = earned(tables, span, policy)
    if income is not None:
        exact = (income.income * _PARTS).round().cast("int64")  # a sum of floats would hang on the order of the rows
        yield income.group_by(CUSTOMER_ID).agg(**{INCOME: exact.sum().cast("float64") / _PARTS})


def earned(tables: Mapping[str, ir.Table], span: ir.Table, policy: Value) -> ir.Table | None:
    """Rows (customer_id, product_id, income) of the contracts held in the span; None if the bank has no such table.

    `span` is one row (first_on, next_on, known_until): from the first day to the one before `next_on`, as known then.
    """
    known = {name: tables[name].cross_join(span) for name in CONTRACTS if name in tables}
    known = {name: t.filter(t.known_at <= t.known_until) for name, t in known.items()}
    if "loan" in known and "holding" in known:
        known["loan"] = known["loan"].anti_join(known["holding"], [CUSTOMER_ID, "product_id"])
    parts = [_in_span(t, CONTRACTS[name], policy) for name, t in known.items()]
    if not parts:
        return None
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _in_span(t: ir.Table, product: str, policy: Value) -> ir.Table:
    started = "opened_on" if "opened_on" in t.columns else "activated_on"
    t = t.rename({"product_id": product} if product != "product_id" else {}).rename({"began_on": started})
    t = t.filter(
        t.product_id.isin(list(policy.products)),
        t.began_on < t.next_on,
        t.closed_on.isnull() | (t.closed_on > t.first_on),
    )
    amount = t.amount.cast("float64") if "amount" in t.columns else ibis.literal(0.0)
    stop = ibis.least(t.closed_on.fill_null(t.next_on), t.next_on)
    days = ibis.greatest(stop.delta(ibis.greatest(t.began_on, t.first_on), unit="day"), 0)
    yearly = amount * _of(t.product_id, policy, lambda m: m.bp_balance / 10_000)
    yearly = yearly + _of(t.product_id, policy, lambda m: m.amount_year)
    first = amount * _of(t.product_id, policy, lambda m: m.pct_first_premium / 100)
    income = yearly * days / YEAR_DAYS + ibis.ifelse(t.began_on >= t.first_on, first, 0.0)
    return t.select(CUSTOMER_ID, "product_id", income=income)


def _of(product: Any, policy: Value, figure: Callable[[Margin], float]) -> Any:
    """One figure of the margin of each row's product."""
    figures = {name: figure(margin) for name, margin in policy.products.items() if figure(margin) != 0}
    if not figures:
        return ibis.literal(0.0)
    return ibis.cases(*[(product == name, value) for name, value in figures.items()], else_=0.0)
