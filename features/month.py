"""What a family is given: one closed month of one bank, and how its answer is joined to all customers.

Nothing here names a date: the month's figures stand as columns beside the rows (`as_of`, `month_days`, `back`), so that
the expressions of a family are the same for every month and are compiled once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from features.bank.engines import STORED
from features.vocabulary import CUSTOMER_ID, Column


@dataclass(frozen=True)
class Month:
    """One month at its closing, as the bank knew it then.

    customers   the bank table with age, tenure_days and declared_income, and of the month as_of, month_days,
                history_on (first day of the bank's data) and history_months (months since then, at least 1)
    tiles       one row a customer and month of the last twelve, with `back`: 0 this month, 1 the one before …
    standing    the day view of the morning after
    families    answers of the families computed so far, by name
    has         bank tables that there are; what lies before history is not "nothing" but "not known"
    """

    customers: ir.Table
    tiles: ir.Table
    standing: ir.Table
    has: frozenset[str]
    families: dict[str, ir.Table] = field(default_factory=dict)

    def within(self, months: int, back: int = 0) -> Any:
        """Tile rows of `months` months, the last of them `back` months ago."""
        return (self.tiles.back >= back) & (self.tiles.back < back + months)

    def everyone(
        self, answer: ir.Table, columns: tuple[Column, ...], fill: Mapping[str, object] | None = None
    ) -> ir.Table:
        """One row for every customer: `answer` where it has one, else `fill`, in the declared columns and types."""
        given = answer.select(CUSTOMER_ID, *[c.name for c in columns if c.name in answer.columns])
        return select(beside(self.customers.select(CUSTOMER_ID), given), columns, fill)


def beside(people: ir.Table, *answers: ir.Table) -> ir.Table:
    """`people` with the columns of each answer beside them, null where it has no row for a customer."""
    for answer in answers:
        people = people.left_join(answer, CUSTOMER_ID).drop(f"{CUSTOMER_ID}_right")
    return people


def select(
    table: ir.Table,
    columns: tuple[Column, ...],
    fill: Mapping[str, object] | None = None,
    *,
    keys: tuple[str, ...] = (CUSTOMER_ID,),
) -> ir.Table:
    """`table` as its keys and the declared columns in their stored types, absent columns as nulls."""
    chosen = {}
    for column in columns:
        value = table[column.name] if column.name in table.columns else ibis.null()
        if fill and column.name in fill:
            value = value.fill_null(fill[column.name])
        chosen[column.name] = value.cast(ibis_type(column))
    return table.select(*keys, **chosen)


@ibis.udf.scalar.builtin(name="bit_count")  # type: ignore[untyped-decorator]  # Ibis leaves its decorators untyped
def bit_count(mask: int) -> int:  # type: ignore[empty-body]  # the engine's own function; Ibis has no name for it
    """Number of set bits of an integer mask."""


def ibis_type(column: Column) -> Any:
    """The Ibis type in which a column is stored."""
    return dt.DataType.from_pyarrow(STORED[column.kind])
