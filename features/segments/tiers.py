"""分层 Tiers: V0 to VVIP by daily average; up at once, down by grace, watch and the best month of the window.

Grain: a customer, a month. Uses: wealth, lifecycle (the first day as a customer). Nulls: everything, if the bank has no
balances. Rules: R01-R03, R10-R15. A threshold is met when Σ daily AUM ≥ threshold × days of the basis. The average is
not rounded: as the quotient of two whole numbers it equals a threshold exactly if the sum does, so that one fen on one
day decides. The highest tier is measured by net assets that count once, those below it by weighted ones. Where the
policy names assessment months, the counting goes on in all months and a tier falls at the end of those alone.

Other ways (R14): loans count as the threshold of the tier that they lead to, and a family as its members together.
Whoever came within the basis and held for the policy's days has risen by the average of the days since he came; if the
whole basis says less, he is below his threshold as anybody would be, and the grace that follows keeps the tier.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from features.month import Month, declared
from features.policy import SegmentsPolicy
from features.segments.wealth import basis_days, scale
from features.vocabulary import Column, Kind, QualifyPath, TierState

_NO_BALANCES = "the bank has no balances"
COLUMNS = (
    Column("tier", Kind.CODE, "tier held", _NO_BALANCES),
    Column("tier_state", Kind.CODE, "SEEDED, NORMAL, GRACE or WATCH", _NO_BALANCES, allowed=tuple(TierState)),
    Column("tier_since_on", Kind.DATE, "month end from which the tier is held", _NO_BALANCES),
    Column("months_below", Kind.INTEGER, "months in a row below the tier's own threshold", _NO_BALANCES),
    Column("best_below", Kind.NUMBER, "best of what counted in those months", "not below, or no balances"),
    Column("near_up", Kind.FLAG, "near the next threshold (临界提升)", _NO_BALANCES),
    Column("next_tier_gap", Kind.NUMBER, "daily average missing to the next threshold", "highest tier, or no balances"),
    Column("tier_level", Kind.INTEGER, "level within the highest tier, 0 while it is kept", "a lower tier, or none"),
    Column(
        "qualify_path",
        Kind.CODE,
        "way by which the month's figures lead there",
        _NO_BALANCES,
        allowed=tuple(QualifyPath),
    ),
    Column(
        "tier_floor",
        Kind.NUMBER,
        "own average that keeps the tier: its threshold less the family's part, 0 under a loan that leads there",
        _NO_BALANCES,
    ),
    Column("next_floor", Kind.NUMBER, "own average that makes the next tier", "highest tier, or no balances"),
    Column("near_floor", Kind.NUMBER, "average from which the next tier is near", "highest tier, or not told"),
    Column("is_next_highest", Kind.FLAG, "the next tier is the highest, which counts net assets", _NO_BALANCES),
)
uses = ("wealth", "lifecycle")
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
    held = ibis.cases(*[(people.held_tier == name, i) for i, name in enumerate(names)], else_=None).cast("int64")
    own = people.rated_mda - people.family_mda.fill_null(0.0)
    p = people.mutate(by_loan=_by_loan(people, policy), own_sum=_sum_of(own, people, policy), held=held)
    p = p.mutate(counted=ibis.greatest(p.rated_mda, p.by_loan), risen=_risen(p, policy))
    p = p.mutate(earned=_highest_met(_meets(p.counted, ibis.greatest(p.net_mda, p.by_loan), floors)))
    rises = (p.risen > ibis.greatest(p.held.fill_null(0), p.earned)).fill_null(False)
    p = p.mutate(
        before=ibis.ifelse(rises, p.risen, p.held),
        months_before=ibis.ifelse(rises, 0, p.held_months_below.fill_null(0)),
        best_before=ibis.ifelse(rises, 0.0, p.held_best_below.fill_null(0)),
    )
    p = p.mutate(is_below=(p.earned < p.before).fill_null(False))
    p = p.mutate(below=ibis.ifelse(p.is_below, p.months_before + 1, 0))
    is_over = p.is_below & (p.below > _by_tier(p.before, policy, "demote_after_months"))
    p = p.mutate(falls=is_over & _is_assessed(p, policy))
    landing = ibis.greatest(_highest_met([p.best_before >= floor for floor in floors[:-1]]), p.earned)
    p = p.mutate(index=ibis.ifelse(p.falls, landing, ibis.ifelse(p.is_below, p.before, p.earned)))
    still_below = ibis.ifelse(p.falls, p.earned < p.index, p.is_below)
    p = p.mutate(still_below=still_below, months_below=ibis.ifelse(p.falls, still_below.cast("int64"), p.below))
    watched = p.months_below > _by_tier(p.index, policy, "watch_after_months")
    calm = ibis.ifelse(p.has_past, TierState.NORMAL.value, TierState.SEEDED.value)
    best_now = ibis.ifelse(p.falls, p.counted, ibis.greatest(p.best_before, p.counted))
    return p.mutate(
        tier=ibis.cases(*[(p.index == i, name) for i, name in enumerate(names)]),
        tier_state=ibis.cases(
            (p.still_below & watched, TierState.WATCH.value), (p.still_below, TierState.GRACE.value), else_=calm
        ),
        tier_since_on=ibis.ifelse((p.index == p.held).fill_null(False), p.held_tier_since_on, p.as_of),
        best_below=ibis.ifelse(p.still_below, best_now, None),
        qualify_path=_path(p, policy),
    )


def _meets(rated: Any, net: Any, floors: list[int]) -> list[Any]:
    """Which thresholds are met: the highest by net assets, those below it by rated ones."""
    return [measure >= floor for measure, floor in zip([rated] * (len(floors) - 1) + [net], floors, strict=True)]


def _by_loan(people: ir.Table, policy: SegmentsPolicy) -> Any:
    """The daily average that running loans count as (R14): a tier's threshold, or 0; none while one is overdue."""
    path = policy.tiers.loan_path
    if path is None:
        return ibis.literal(0.0)
    leads = (people.loan_amount >= path.amount) & people.overdue_from_on.isnull()
    return ibis.ifelse(leads.fill_null(False), float(policy.tiers.thresholds[path.tier]), 0.0)


def _risen(people: ir.Table, policy: SegmentsPolicy) -> Any:
    """Index of the tier that a new customer's days lead to: Σ daily AUM ≥ threshold × days since he came; else null.

    In the first month of history nobody is known to have come.
    """
    if policy.tiers.newcomer_days is None:
        return ibis.null("int64")
    p, basis = people, basis_days(people, policy)
    days = p.as_of.delta(p.became_customer_on, unit="day") + 1
    family, whole = _sum_of(p.family_mda.fill_null(0.0), p, policy), scale(policy) * days * basis
    *below, highest = policy.tiers.thresholds.values()
    meets = [p.own_sum * basis + family * days >= floor * whole for floor in below]
    meets.append((p.net_mda * (100 * basis)).round() >= highest * 100 * days)
    is_new = p.has_past & (days >= policy.tiers.newcomer_days) & (days < basis)
    return ibis.ifelse(is_new.fill_null(False), _highest_met(meets), None).cast("int64")


def _sum_of(average: Any, people: ir.Table, policy: SegmentsPolicy) -> Any:
    """The whole number of which an average over the basis was made."""
    return (average * (scale(policy) * basis_days(people, policy))).round()


def _path(people: ir.Table, policy: SegmentsPolicy) -> Any:
    """The first way that leads to the tier held: own money, the family's, a loan, a new customer's days."""
    p, floors = people, list(policy.tiers.thresholds.values())
    whole = scale(policy) * basis_days(p, policy)
    own = _highest_met([*[p.own_sum >= floor * whole for floor in floors[:-1]], p.net_mda >= floors[-1]])
    together = _highest_met(_meets(p.rated_mda, p.net_mda, floors))
    ways = {QualifyPath.AUM: own, QualifyPath.FAMILY: together, QualifyPath.LOAN: p.earned,
            QualifyPath.NEWCOMER: p.risen}  # fmt: skip
    return ibis.cases(
        *[((p.index <= reached).fill_null(False), way.value) for way, reached in ways.items()],
        else_=QualifyPath.KEPT.value,
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
    floor = ibis.cases(*[(p.index == i, floor) for i, floor in enumerate(floors)]).cast("float64")
    following = ibis.cases(*[(p.index == i, floor) for i, floor in enumerate(floors[1:])], else_=None).cast("float64")
    near = ibis.ifelse(p.index >= names.index(policy.tiers.near_up_from), policy.tiers.near_up_share * following, None)
    average = ibis.ifelse(p.index == highest - 1, p.net_mda, p.rated_mda)
    family = p.family_mda.fill_null(0.0)
    to_next = ibis.ifelse(p.index == highest - 1, 0.0, family)
    to_keep = ibis.ifelse(p.index == highest, 0.0, family)
    level = sum(((p.net_mda >= floor).cast("int64") for floor in policy.tiers.top_levels), start=ibis.literal(0))
    return {
        "near_up": ((average >= near) & (average < following)).fill_null(False),
        "next_tier_gap": ibis.ifelse(following.notnull(), ibis.greatest(following - average, 0.0), None),
        "tier_level": ibis.ifelse(p.index == highest, level, None),
        "tier_floor": ibis.ifelse(p.by_loan >= floor, 0.0, _less(floor, to_keep)),
        "next_floor": _less(following, to_next),
        "near_floor": _less(near, to_next),
        "is_next_highest": p.index == highest - 1,
    }


def _less(floor: Any, part: Any) -> Any:
    """What is left of a threshold beside the part that others keep; null where there is no threshold."""
    return ibis.ifelse(floor.notnull(), ibis.greatest(floor - part, 0.0), None)
