"""分层 Tiers: V0 to VVIP by monthly daily average; up at once, down by grace, watch and the best month of the window.

Grain: a customer, a month. Uses: wealth. Nulls: everything, if the bank has no balances. Rules: R01-R03, R10, R12, R15.
A threshold is met when Σ daily AUM ≥ threshold × days of the month, in integers, so that one fen decides.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from features.month import Month, declared
from features.policy import SegmentsPolicy
from features.vocabulary import Column, Kind, TierState

_NO_BALANCES = "the bank has no balances"
COLUMNS = (
    Column("tier", Kind.CODE, "tier held", _NO_BALANCES),
    Column("tier_state", Kind.CODE, "SEEDED, NORMAL, GRACE or WATCH", _NO_BALANCES, allowed=tuple(TierState)),
    Column("tier_since_on", Kind.DATE, "month end from which the tier is held", _NO_BALANCES),
    Column("months_below", Kind.INTEGER, "months in a row below the tier's own threshold", _NO_BALANCES),
    Column("best_below", Kind.NUMBER, "best mda of those months", "not below, or no balances"),
    Column("near_up", Kind.FLAG, "near the next threshold (临界提升)", _NO_BALANCES),
    Column("next_tier_gap", Kind.NUMBER, "mda missing to the next threshold", "highest tier, or no balances"),
)
uses = ("wealth",)
carries = ("tier", "tier_since_on", "months_below", "best_below")
needs: tuple[str, ...] = ("mda",)


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Tier of every customer after this month's closing."""
    if "balance" not in month.has:
        return declared(month.people, COLUMNS)
    people = _moved(month.people, policy)
    return declared(people.mutate(**_towards_next(people, policy)), COLUMNS)


def _moved(people: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    names = list(policy.tiers.thresholds)
    floors = list(policy.tiers.thresholds.values())
    earned = _count_met([people.aum_day_minor >= people.days_0 * (floor * 100) for floor in floors])
    held = ibis.cases(*[(people.held_tier == name, i) for i, name in enumerate(names)], else_=None)
    p = people.mutate(earned=earned.cast("int64"), held=held.cast("int64"))
    is_below = (p.earned < p.held).fill_null(False)
    p = p.mutate(is_below=is_below, below=ibis.ifelse(is_below, p.held_months_below.fill_null(0) + 1, 0))
    p = p.mutate(falls=p.is_below & (p.below > _by_tier(p.held, policy, "demote_after_months")))
    best = p.held_best_below.fill_null(0)
    landing = ibis.greatest(_count_met([best >= floor for floor in floors]).cast("int64"), p.earned)
    p = p.mutate(index=ibis.ifelse(p.falls, landing, ibis.ifelse(p.is_below, p.held, p.earned)))
    still_below = ibis.ifelse(p.falls, p.earned < p.index, p.is_below)
    p = p.mutate(still_below=still_below, months_below=ibis.ifelse(p.falls, still_below.cast("int64"), p.below))
    watched = p.months_below > _by_tier(p.index, policy, "watch_after_months")
    calm = ibis.ifelse(p.has_past, TierState.NORMAL.value, TierState.SEEDED.value)
    return p.mutate(
        tier=ibis.cases(*[(p.index == i, name) for i, name in enumerate(names)]),
        tier_state=ibis.cases(
            (p.still_below & watched, TierState.WATCH.value), (p.still_below, TierState.GRACE.value), else_=calm
        ),
        tier_since_on=ibis.ifelse((p.index == p.held).fill_null(False), p.held_tier_since_on, p.as_of),
        best_below=ibis.ifelse(
            p.still_below, ibis.ifelse(p.falls, p.mda, ibis.greatest(p.held_best_below.fill_null(0), p.mda)), None
        ),
    )


def _count_met(conditions: list[Any]) -> Any:
    """Index of the highest threshold met, where conditions ascend and the first always holds."""
    return sum((c.cast("int64") for c in conditions[1:]), start=ibis.literal(0, "int64"))


def _by_tier(index: Any, policy: SegmentsPolicy, figure: str) -> Any:
    rules = [getattr(policy.tiers.grace_of(name), figure) for name in policy.tiers.thresholds]
    return ibis.cases(*[(index == i, months) for i, months in enumerate(rules)], else_=rules[0])


def _towards_next(people: ir.Table, policy: SegmentsPolicy) -> dict[str, Any]:
    floors = list(policy.tiers.thresholds.values())
    names = list(policy.tiers.thresholds)
    following = ibis.cases(*[(people.index == i, floor) for i, floor in enumerate(floors[1:])], else_=None)
    near = (people.mda >= policy.tiers.near_up_share * following) & (people.mda < following)
    counted = people.index >= names.index(policy.tiers.near_up_from)
    return {
        "near_up": (near & counted).fill_null(False),
        "next_tier_gap": ibis.ifelse(following.notnull(), ibis.greatest(following - people.mda, 0.0), None),
    }
