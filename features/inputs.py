"""Which bank table makes which fact known, and what works with the tables that a bank has.

Nothing is listed twice: the day view is asked which of its columns are empty by construction without a table, families
declare the columns they make of each table (`inputs`) and cannot do without (`needs`), and a grade needs the factors
that the policy weighs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import ModuleType

import ibis
import ibis.expr.operations as ops

from features.bank.engines import arrow_schema
from features.bank.tables import TABLES
from features.plans import FAMILIES, PROFILE, order
from features.policy import SegmentsPolicy, segments
from features.recent import RECENT
from features.segments import grades
from features.standing import STANDING
from features.today import TODAY, day_view

_MOMENT = ("contact", "response", "complaint")
# a fact of STANDING is reckoned from the day view's column beside it
_RECKONED = {
    "days_to_maturity": "next_maturity_on", "days_to_loan_end": "next_loan_end_on", "overdue_days": "overdue_from_on",
    "days_since_salary": "last_salary_on", "days_since_txn": "last_txn_on", "days_since_login": "last_login_on",
    "days_with_card": "card_opened_on", "days_with_product": "first_product_on", "days_registered": "registered_on",
    "is_risk_valid": "risk_expires_on", "month_days_left": "registered_on", "is_near_next": "rated_now",
    "is_near_loss": "rated_now", "need_next_amount": "rated_now", "need_keep_amount": "rated_now",
    "has_fallen": "aum_now",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class State:
    """How far something works: `waits_for` are tables without which it does not, `richer_with` those that add to it."""

    name: str
    waits_for: tuple[str, ...] = ()
    richer_with: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        return not self.waits_for

    def __str__(self) -> str:
        if self.waits_for:
            return f"{self.name} ({', '.join(self.waits_for)})"
        return f"{self.name} (more with {', '.join(self.richer_with)})" if self.richer_with else self.name


@lru_cache(maxsize=1)
def tables_of() -> Mapping[str, frozenset[str]]:
    """For each fact the bank tables any of which makes it known; a fact of the customer's own row has `customer`."""
    found: dict[str, set[str]] = {column.name: {"customer"} for column in (*PROFILE, *TODAY)}
    for column in TODAY:
        makers = {name for name in TABLES if column.name in _made_of(name)} - {"customer"}
        if makers and column.name not in _made_of("customer"):
            found[column.name] = makers
    for module in FAMILIES.values():
        for table, columns in getattr(module, "inputs", {}).items():
            for name in columns:
                found[name] = found[name] - {"customer"} | {table}
    for standing in STANDING:
        found[standing.name] = found[_RECKONED[standing.name]]
    for recent in RECENT:
        found[recent.name] = {"complaint"} if "complaint" in recent.name else set(_MOMENT[:2])
    return {name: frozenset(tables) for name, tables in found.items()}


def states(has: Iterable[str], policy: SegmentsPolicy) -> list[State]:
    """How far each family works with the tables in `has`, in the order in which they are computed."""
    tables = frozenset(has) | {"customer"}
    done: dict[str, State] = {}
    for name in order(FAMILIES):
        module = FAMILIES[name]
        needs = _needs(module, policy)
        waits = absent(needs, tables)
        inputs = set(getattr(module, "inputs", {}))
        if module is grades:
            inputs = {table for fact in needs for table in tables_of().get(fact, ())}
        more = inputs - tables - set(waits)
        done[name] = State(name, waits, tuple(sorted(more)))
    return list(done.values())


def absent(facts: Iterable[str], has: Iterable[str]) -> tuple[str, ...]:
    """The tables that `facts` wait for: of each fact that no table in `has` makes known, all that would."""
    tables = frozenset(has) | {"customer"}
    missing = {table for fact in facts if not (makers := tables_of().get(fact, tables)) & tables for table in makers}
    return tuple(name for name in TABLES if name in missing)


def _needs(module: ModuleType, policy: SegmentsPolicy) -> tuple[str, ...]:
    if module is grades:
        weighed = [factor for factor, weight in policy.grades.weights.items() if weight > 0]
        return tuple(fact for factor in weighed for fact in grades.FACTORS[factor])
    return tuple(module.needs)


@lru_cache(maxsize=32)
def _made_of(table: str) -> frozenset[str]:
    """Columns of the day view that are not empty by construction where a bank has customers and this table."""
    names = {"customer", table}
    tables = {name: ibis.table(ibis.Schema.from_pyarrow(arrow_schema(TABLES[name])), name=name) for name in names}
    pairs = ibis.table({"customer_id": "string", "on": "date", "known_until": "timestamp('UTC', 6)"}, name="pairs")
    values = day_view(tables, pairs, segments().view(date.max)).op().values
    return frozenset(column.name for column in TODAY if not _is_null(values[column.name]))


def _is_null(value: ops.Value) -> bool:
    while isinstance(value, ops.Cast):
        value = value.arg
    return isinstance(value, ops.Literal) and value.value is None
