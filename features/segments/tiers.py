"""分层 Tiers: V0 to VVIP by daily average; up at once, down by grace, watch and the best month of the window.

Grain: a customer, a month. Uses: wealth. Nulls: everything, if the bank has no balances. Rules: R01-R03, R10-R13, R15.
A threshold is met when Σ daily AUM ≥ threshold × days of the basis. The average is not rounded: as the quotient of two
whole numbers it equals a threshold exactly if the sum does, so that one fen on one day decides. The highest tier is
measured by net assets that count once, those below it by weighted ones. Where the policy names assessment months, the
counting goes on in all months and a tier falls at the end of those alone.
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
    Column("best_below", Kind.NUMBER, "best rated_mda of those months", "not below, or no balances"),
    Column("near_up", Kind.FLAG, "near the next threshold (临界提升)", _NO_BALANCES),
    Column("next_tier_gap", Kind.NUMBER, "daily average missing to the next threshold", "highest tier, or no balances"),
    Column("tier_level", Kind.INTEGER, "level within the highest tier, 0 while it is kept", "a lower tier, or none"),
    Column("tier_floor", Kind.NUMBER, "threshold of the tier held", _NO_BALANCES),
    Column("next_floor", Kind.NUMBER, "threshold of the next tier", "highest tier, or no balances"),
    Column("near_floor", Kind.NUMBER, "average from which the next tier is near", "highest tier, or not told"),
    Column("is_next_highest", Kind.FLAG, "the next tier is the highest, which counts net assets", _NO_BALANCES),
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
    measures = [people.rated_mda] * (len(floors) - 1) + [people.net_mda]
    earned = _highest_met([measure >= floor for measure, floor in zip(measures, floors, strict=True)])
    held = ibis.cases(*[(people.held_tier == name, i) for i, name in enumerate(names)], else_=None)
    p = people.mutate(earned=earned, held=held.cast("int64"))
    is_below = (p.earned < p.held).fill_null(False)
    p = p.mutate(is_below=is_below, below=ibis.ifelse(is_below, p.held_months_below.fill_null(0) + 1, 0))
    is_over = p.is_below & (p.below > _by_tier(p.held, policy, "demote_after_months"))
    p = p.mutate(falls=is_over & _is_assessed(p, policy))
    best = p.held_best_below.fill_null(0)
    landing = ibis.greatest(_highest_met([best >= floor for floor in floors[:-1]]), p.earned)
    p = p.mutate(index=ibis.ifelse(p.falls, landing, ibis.ifelse(p.is_below, p.held, p.earned)))
    still_below = ibis.ifelse(p.falls, p.earned < p.index, p.is_below)
    p = p.mutate(still_below=still_below, months_below=ibis.ifelse(p.falls, still_below.cast("int64"), p.below))
    watched = p.months_below > _by_tier(p.index, policy, "watch_after_months")
    calm = ibis.ifelse(p.has_past, TierState.NORMAL.value, TierState.SEEDED.value)
    best_now = ibis.ifelse(p.falls, p.rated_mda, ibis.greatest(p.held_best_below.fill_null(0), p.rated_mda))
    return p.mutate(
        tier=ibis.cases(*[(p.index == i, name) for i, name in enumerate(names)]),
        tier_state=ibis.cases(
            (p.still_below & watched, TierState.WATCH.value), (p.still_below, TierState.GRACE.value), else_=calm
        ),
        tier_since_on=ibis.ifelse((p.index == p.held).fill_null(False), p.held_tier_since_on, p.as_of),
        best_below=ibis.ifelse(p.still_below, best_now, None),
    )


def _is_assessed(people: ir.Table, policy: SegmentsPolicy) -> Any:
    """Whether a tier may fall at this month's end."""
    months = policy.tiers.assessment_months
    return people.as_of.month().isin(months) if months else ibis.literal(True)


def _highest_met(conditions: list[Any]) -> Any:
    """Index of the highest threshold met; the lowest always is."""
    return ibis.cases(
        *[(condition, i) for i, condition in reversed(list(enumerate(conditions)))], else_=0
    ).cast("int64")  # fmt: skip


def _by_tier(index: Any, policy: SegmentsPolicy, figure: str) -> Any:
    rules = [getattr(policy.tiers.grace_of(name), figure) for name in policy.tiers.thresholds]
    return ibis.cases(*[(index == i, months) for i, months in enumerate(rules)], else_=rules[0])


def _towards_next(people: ir.Table, policy: SegmentsPolicy) -> dict[str, Any]:
    """Where a customer stands between the threshold of the tier held and the next one."""
    p, names, floors = people, list(policy.tiers.thresholds), list(policy.tiers.thresholds.values())
    highest = len(floors) - 1
    following = ibis.cases(*[(p.index == i, floor) for i, floor in enumerate(floors[1:])], else_=None).cast("float64")
    near = ibis.ifelse(p.index >= names.index(policy.tiers.near_up_from), policy.tiers.near_up_share * following, None)
    average = ibis.ifelse(p.index == highest - 1, p.net_mda, p.rated_mda)
    level = sum(((p.net_mda >= floor).cast("int64") for floor in policy.tiers.top_levels), start=ibis.literal(0))
    return {
        "near_up": ((average >= near) & (average < following)).fill_null(False),
        "next_tier_gap": ibis.ifelse(following.notnull(), ibis.greatest(following - average, 0.0), None),
        "tier_level": ibis.ifelse(p.index == highest, level, None),
        "tier_floor": ibis.cases(*[(p.index == i, floor) for i, floor in enumerate(floors)]),
        "next_floor": following,
        "near_floor": near,
        "is_next_highest": p.index == highest - 1,
    }
