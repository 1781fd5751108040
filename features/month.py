"""What a family is given: one closed month of one bank, as one wide row a customer to which it adds its columns.

Nothing here names a date: the month's figures stand as columns beside the rows (`as_of`, `days_0`, `has_…`), so that
the expressions of a family are the same for every month and are compiled once. All rows are joined before the first
family begins; a family only adds columns, so that the engine goes over a million customers once and not once a family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from features.bank.engines import STORED
from features.vocabulary import CUSTOMER_ID, Column

HELD = "held_"


@dataclass(frozen=True)
class Month:
    """One month at its closing, as the bank knew it then.

    people  one row a customer: the bank table with age, tenure_days and declared_income; of the month as_of, days_0 to
            days_11 (days of this month, of the one before …), history_on (first day of the bank's data) and
            history_months (months since then, at least 1); the slots of its window; of the
            day view of the morning after what CONTRACTS names; last month's profile under `held_…`, null where
            there is none; the columns of the families computed so far
    has     bank tables that there are; what lies before history is not "nothing" but "not known"
    """

    people: ir.Table
    has: frozenset[str]


def beside(people: ir.Table, *answers: ir.Table) -> ir.Table:
    """`people` with the columns of each answer beside them, null where it has no row for a customer."""
    for n, answer in enumerate(answers):
        people = people.left_join(answer, CUSTOMER_ID, rname=f"{{name}}_{n}")
    return people.drop(*[f"{CUSTOMER_ID}_{n}" for n in range(len(answers))])


def first_day(told: Any, *began: Any) -> Any:
    """The first day as a customer: as told, or of the first money or contract, whichever came first (B06)."""
    return ibis.least(told, *began)


def declared(people: ir.Table, columns: tuple[Column, ...], fill: Mapping[str, object] | None = None) -> ir.Table:
    """`people` with the declared columns in their stored types: as they stand, else `fill`, absent ones as nulls."""
    return people.mutate(**_typed(people, columns, fill))


def select(
    table: ir.Table,
    columns: tuple[Column, ...],
    fill: Mapping[str, object] | None = None,
    *,
    keys: tuple[str, ...] = (CUSTOMER_ID,),
) -> ir.Table:
    """The keys of `table` and the declared columns alone, as `declared` gives them."""
    return table.select(*keys, **_typed(table, columns, fill))


def _typed(table: ir.Table, columns: tuple[Column, ...], fill: Mapping[str, object] | None) -> dict[str, Any]:
    chosen = {}
    for column in columns:
        value = table[column.name] if column.name in table.columns else ibis.null()
        if fill and column.name in fill:
            value = value.fill_null(fill[column.name])
        chosen[column.name] = value.cast(ibis_type(column))
    return chosen


def ibis_type(column: Column) -> Any:
    """The Ibis type in which a column is stored."""
    return dt.DataType.from_pyarrow(STORED[column.kind])
