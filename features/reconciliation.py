"""对账 Reconciliation: what customers brought, held against what the books say a product earned, month by month.

The books (bank table `product_ledger`) accrue each day's income of a product in a branch and round it to minor units;
the value of customers is amount × days × margin, unrounded. Both agree within 0.1 % or within what rounding can hide:
half a minor unit for every day and branch. What no customer's value holds is not allocated: the income that the books
have under no product, less what the policy's balances and transactions give back to customers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from features.bank.engines import Bank
from features.bank.tiles import YEAR_DAYS
from features.earnings import earned
from features.errors import BadBank
from features.policy import PolicyBook, SegmentsPolicy, Value

TOLERANCE_SHARE = 0.001
_HALF_MINOR = 0.005
_NO_PRODUCT = ""


def reconcile(
    bank: Bank, book: PolicyBook[SegmentsPolicy], months: Sequence[date], *, known_at: datetime
) -> pd.DataFrame:
    """One row a month and product: on (month end), product_id (None: no product), earned, booked, gap, is_within.

    `earned` is the sum over customers at the margins in force at the month's end, as known at `known_at`; `gap` is
    booked less earned; `is_within` says whether product and books agree, and is None where there is no product.
    Raises BadBank if the bank keeps no product ledger.
    """
    if not bank.has("product_ledger"):
        raise BadBank("value cannot be reconciled", value="product_ledger", todo="bring in the table product_ledger")
    books = bank.tables["product_ledger"].filter(lambda t: t.known_at <= ibis.literal(known_at))
    branches = int(books.branch_id.fill_null(_NO_PRODUCT).nunique().execute())
    rows = [_month(bank, book.view(on).value, books, on, known_at) for on in months]
    table = pd.concat(rows, ignore_index=True).sort_values(["on", "product_id"], ignore_index=True)
    table["gap"] = table.booked - table.earned
    hidden = _HALF_MINOR * branches * table.on.map(lambda on: on.day)
    near = table.gap.abs() <= (TOLERANCE_SHARE * table.booked.abs()).clip(lower=hidden)
    is_product = table.product_id != _NO_PRODUCT
    return table.assign(
        product_id=table.product_id.where(is_product, None), is_within=near.astype(object).where(is_product, None)
    )


def unallocated_share(table: pd.DataFrame) -> float:
    """Share of the booked income of a reconciliation that is in no customer's value."""
    return float(table.gap.sum() / table.booked.sum())


def sentence(table: pd.DataFrame) -> str:
    """What a reconciliation says, with the share that is not allocated and the products that disagree."""
    booked = table.booked.sum()
    outside = table[table.is_within.eq(False)]
    named = [f"{row.product_id} in {row.on:%Y-%m} ({row.gap:+,.2f})" for row in outside.itertuples()]
    verdict = f"Out of bounds: {', '.join(named)}." if named else "Every product agrees in every month."
    return (
        f"Booked {booked:,.2f}, in customers' value {table.earned.sum():,.2f}; booked under no product "
        f"{table.booked[table.product_id.isna()].sum() / booked:.2%}, allocated to nobody "
        f"{unallocated_share(table):.2%}. {verdict}"
    )


def _month(bank: Bank, value: Value, books: ir.Table, on: date, known_at: datetime) -> pd.DataFrame:
    span = bank.register(
        "reconciled_month",
        pa.table(
            {
                "first_on": pa.array([on.replace(day=1)], pa.date32()),
                "next_on": pa.array([on + timedelta(days=1)], pa.date32()),
                "known_until": pa.array([known_at], pa.timestamp("us", tz="UTC")),
            }
        ),
    )
    parts = [part for part in (earned(bank.tables, span, value), *_loose(bank, value, span)) if part is not None]
    mine = [part.group_by("product_id").agg(earned=part.income.sum()).to_pandas() for part in parts]
    theirs = books.filter(books.business_on == ibis.literal(on))
    theirs = theirs.group_by(product_id=theirs.product_id.fill_null(_NO_PRODUCT)).agg(
        booked=theirs.income_amount.cast("float64").sum()
    )
    sums = pd.concat(mine).groupby("product_id").earned.sum() if mine else pd.Series(dtype=float, name="earned")
    both = theirs.to_pandas().set_index("product_id").join(sums, how="outer").fillna(0.0)
    return both.reset_index(names="product_id").assign(on=on)


def _loose(bank: Bank, value: Value, span: ir.Table) -> list[ir.Table]:
    """What balances and transactions earned that belong to no product, as rows (customer_id, product_id, income)."""
    found = []
    if value.balances and bank.has("balance"):
        t = bank.tables["balance"].cross_join(span)
        t = t.filter(t.known_at <= t.known_until, t.from_on < t.next_on, t.to_on.isnull() | (t.to_on > t.first_on))
        stop = ibis.least(t.to_on.fill_null(t.next_on), t.next_on)
        days = stop.delta(ibis.greatest(t.from_on, t.first_on), unit="day")
        amount = (t.amount - t.in_transit_amount - t.loan_proceeds_amount).cast("float64") * days / YEAR_DAYS
        found.append(_times(t, amount, "asset_class", value.balances))
    if value.txns and bank.has("txn"):
        t = bank.tables["txn"].cross_join(span)
        t = t.filter(t.known_at <= t.known_until, t.business_on >= t.first_on, t.business_on < t.next_on)
        found.append(_times(t, t.amount.cast("float64"), "txn_type", value.txns))
    return found


def _times(t: ir.Table, amount: ir.Value, code: str, bp: dict[str, int]) -> ir.Table:
    rate = ibis.cases(*[(t[code] == name, n / 10_000) for name, n in bp.items()], else_=0.0)
    return t.select("customer_id", product_id=ibis.literal(_NO_PRODUCT), income=amount * rate)
