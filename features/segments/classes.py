"""分类 Classes: one primary class by precedence, the others kept as tags; the class of one who sleeps is the last one.

Grain: a customer, a month. Uses: wealth, activity, lifecycle. Nulls: never the class. A rule that cannot be told does
not hold, so the class of the last precedence, which asks nothing, takes everybody who is left. A customer leaves a
class with a `keep` rule only when neither its rule nor that one holds. Rules: A03, B07.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from features.month import Month, declared
from features.policy import SegmentsPolicy
from features.segments import activity, wealth
from features.today import TODAY
from features.vocabulary import Column, Kind, Stage

COLUMNS = (
    Column("age", Kind.INTEGER, "age in full years at the month's end", "birth date not given"),
    Column("customer_class", Kind.CODE, "primary class"),
    Column("class_reason", Kind.CODE, "why: rule, kept, asleep or default"),
    Column("other_classes", Kind.SET, "further classes whose rule holds"),
    Column("wealth_months_below", Kind.INTEGER, "months in a row with mda below the keeping amount", "no balances"),
)
uses = ("wealth", "activity", "lifecycle")
carries = ("customer_class", "wealth_months_below")
needs: tuple[str, ...] = ()
_ASLEEP = (Stage.DORMANT.value, Stage.LOST.value)
_FROM_TODAY = ("held_products", "active_services", "preapproved", "customer_facts", "overdue_from_on", "card_opened_on")


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Class of every customer after this month's closing."""
    below = month.people.mda < policy.classes.wealth_stay_amount
    kept = month.people.held_wealth_months_below.fill_null(0) + 1
    people = month.people.mutate(wealth_months_below=ibis.ifelse(below, kept, below.cast("int64")))
    ranked = policy.classes.ranked()
    fits = {name: _fits(people, name, policy) for name, _ in ranked}
    first = ibis.cases(*[(fits[name], name) for name, _ in ranked[:-1]], else_=ranked[-1][0])
    asleep = people.stage.isin(_ASLEEP) & people.held_customer_class.notnull()
    people = people.mutate(fresh=first, asleep=asleep)
    people = people.mutate(customer_class=ibis.ifelse(people.asleep, people.held_customer_class, people.fresh))
    people = people.mutate(
        class_reason=ibis.cases(
            (people.asleep, "asleep: last class kept"),
            (people.fresh == ranked[-1][0], "default"),
            (_only_kept(people, policy), "kept"),
            else_="rule",
        ),
        other_classes=_others(people, fits),
    )
    return declared(people, COLUMNS)


def known_columns() -> Mapping[str, Column]:
    """Columns that a class rule may name, by name."""
    person = [Column("age", Kind.INTEGER, "age", "not given"), *_PERSON]
    families = [*wealth.COLUMNS, *activity.COLUMNS, COLUMNS[-1]]
    today = [column for column in TODAY if column.name in _FROM_TODAY]
    return {column.name: column for column in [*person, *families, *today]}


_PERSON = (
    Column("id_doc_type", Kind.CODE, "identity document", "not known"),
    Column("gender", Kind.CODE, "gender", "not given"),
    Column("occupation", Kind.CODE, "occupation", "not given"),
    Column("declared_income", Kind.NUMBER, "declared yearly income", "not declared"),
    Column("is_student", Kind.FLAG, "student", "not known"),
)


def _fits(people: ir.Table, name: str, policy: SegmentsPolicy) -> Any:
    card = policy.classes.classes[name]
    if card.rule is None:
        return ibis.literal(True)
    fits = card.rule.expr(people).fill_null(False)
    if card.keep is None:
        return fits
    return fits | ((people.held_customer_class == name) & card.keep.expr(people)).fill_null(False)


def _only_kept(people: ir.Table, policy: SegmentsPolicy) -> Any:
    """Whether the class is held by its `keep` rule alone."""
    keeping = [(name, card.rule) for name, card in policy.classes.ranked() if card.keep is not None and card.rule]
    lost = [(people.fresh == name) & ~rule.expr(people).fill_null(False) for name, rule in keeping]
    return ibis.or_(*lost) if lost else ibis.literal(False)


def _others(people: ir.Table, fits: Mapping[str, Any]) -> Any:
    names = list(fits)[:-1]
    parts = [ibis.ifelse(fits[n] & (people.customer_class != n), f"{n}|", "") for n in names]
    return ibis.literal("|").concat(*parts)
