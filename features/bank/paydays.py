"""What is left of a salary some days after pay day: the pay days of three months, and the money that left after each.

A pay day is one on which a salary came in. Of it is gone whatever left the bank on the day itself or in the policy's
days after it, whoever gave the order: spending, bills, repayments, transfers out that are not to an own account. Money
that left after two pay days leaves the later one, so that nothing is counted twice. A pay day belongs to the month in
which its days are over: until then nobody knows what stays. Its days lie on both sides of a month's end, so that they
are read from the bank's rows as known at a closing, and a row that came late counts from the next one on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from features.policy import SegmentsPolicy

Tables = Mapping[str, ir.Table]
PAID, KEPT = "paid_minor", "kept_minor"
_SPENT = ("CONSUME", "BILL", "REPAY")


def answers(tables: Tables, closing: ir.Table, policy: SegmentsPolicy) -> Iterator[ir.Table]:
    """By customer who had a pay day, if the bank has transactions: the salaries of three months and what stayed.

    `closing` is one row with as_of, known_until and what `since` says. Salaries of which the days are not over by as_of
    are not among them.
    """
    if "txn" in tables:
        dates = closing.select("as_of", "known_until", "paydays_from_on", "paydays_to_on")
        yield salaries_kept(tables["txn"], dates, policy.activity.payday_days)


def since(as_of: date, first_on: date, policy: SegmentsPolicy) -> dict[str, date]:
    """The first and the last pay day whose days end in the months from `first_on` to `as_of`."""
    days = timedelta(days=policy.activity.payday_days)
    return {"paydays_from_on": first_on - days, "paydays_to_on": as_of - days}


def salaries_kept(txn: ir.Table, closing: ir.Table, days: int) -> ir.Table:
    """PAID and KEPT by customer, in minor units: of each pay day at most its salary is gone."""
    salaries = _known(txn.filter(txn.txn_type == "SALARY"), closing)
    paid = salaries.group_by("customer_id", "paydays_to_on", paid_on="business_on").agg(paid=salaries.minor.sum())
    paid = paid.mutate(next_on=paid.paid_on.lead().over(group_by="customer_id", order_by="paid_on"))
    is_out = (txn.txn_type == "OUT") & (txn.counterparty != "OWN").fill_null(True)
    left = _known(txn.filter(txn.txn_type.isin(_SPENT) | is_out), closing)
    after = left.select("customer_id", "minor", left_on="business_on").join(paid, "customer_id")
    after = after.filter(
        after.left_on >= after.paid_on,
        after.left_on.delta(after.paid_on, unit="day") <= days,
        after.next_on.isnull() | (after.left_on < after.next_on),
    )
    gone = after.group_by("customer_id", "paid_on").agg(gone=after.minor.sum())
    over = paid.filter(paid.paid_on <= paid.paydays_to_on).left_join(gone, ["customer_id", "paid_on"])
    kept = ibis.greatest(over.paid - over.gone.fill_null(0), 0)
    return over.group_by("customer_id").agg(**{PAID: over.paid.sum().cast("int64"), KEPT: kept.sum().cast("int64")})


def _known(txn: ir.Table, closing: ir.Table) -> ir.Table:
    """Rows of the days, each kind read for itself: a reader that shares them would go through all of the history."""
    t = txn.cross_join(closing)
    t = t.filter(t.business_on >= t.paydays_from_on, t.business_on <= t.as_of, t.known_at <= t.known_until)
    return t.mutate(minor=(t.amount * 100).cast("int64"))
