"""价值 Value: what the bank earned on a customer in the last twelve months, in money.

Grain: a customer, a month. Uses: windows of balances and transactions; holdings, loans and services as known at the
closing. Nulls: the bank has none of these tables. Rule: A07.

    value_12m = Σ contracts (amount × basis points + yearly amount) × days ÷ 365 + first premiums × share
              + Σ balances × days × basis points ÷ 365 + Σ transactions × basis points

Contracts earn at the margins in force at the month's end, for the whole twelve months; balances and transactions at
those in force when their month closed. No cost, no capital and no tax is taken off: a margin is net of what money
costs. The expected value, `value_exp`, is a score, which the portrait tells where a release has the model.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.bank.tiles import YEAR_DAYS
from features.bank.windows import slots
from features.earnings import CONTRACTS, INCOME
from features.month import Month, declared
from features.policy import SegmentsPolicy
from features.vocabulary import Column, Kind

COLUMNS = (
    Column(
        "value_12m", Kind.NUMBER, "earned on the customer in twelve months, at the policy's margins (价值)",
        "the bank has no holdings, loans, services or balances",
    ),
)  # fmt: skip
uses: tuple[str, ...] = ()
carries: tuple[str, ...] = ()
needs: tuple[str, ...] = ("value_12m",)
inputs = dict.fromkeys((*CONTRACTS, "balance"), ("value_12m",))  # bank table -> the columns that it makes known
_EARNED_PER_UNIT = 100 * 10_000 * YEAR_DAYS  # minor units × basis points × days -> currency


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Value of every customer in the twelve months that end with this one."""
    if month.has.isdisjoint(inputs):
        return declared(month.people, COLUMNS)
    people = month.people
    flows = sum((people[slot].fill_null(0) for slot in slots("earned")), start=ibis.literal(0, "int64"))
    return declared(people.mutate(value_12m=people[INCOME].fill_null(0) + flows / _EARNED_PER_UNIT), COLUMNS)
