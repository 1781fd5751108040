"""分级 Grades: one letter for how much a customer does with us, over four factors (AUM、业务、活跃度、渠道).

Grain: a customer, a month. Uses: wealth, activity, value. Nulls: everything, if a factor that the policy weighs is not
known. A grade changes only when the score lies beyond the band's edge by the policy's points of hysteresis. The grade
says how much a customer does, `value_12m` beside it what that is worth. Rule: A04 as corrected.

    score = Σ points, points = 100 × weight × factor, rounded to 1e-6 before the bands; with the full marks shipped:
    aum               min(log10(1 + mda/10⁴) / log10(601), 1)
    services          min(services used in three months, 12) / 12
    business_activity ½ min(own transactions/30, 1) + ½ min(log10(1 + amount/10³) / log10(501), 1)
    channel_activity  .6 min(app days of the month/12, 1) + .4 min(channels/4, 1)
    contribution      value of twelve months/20,000 between 0 and 1, shipped at weight 0
"""

from __future__ import annotations

import math
from typing import Any

import ibis
import ibis.expr.types as ir

from features.month import Month, declared
from features.policy import SegmentsPolicy
from features.vocabulary import Column, Kind

_NOT_KNOWN = "a factor that the policy weighs is not known"
POINTS = {  # factor -> the column of its points
    "aum": "grade_aum", "services": "grade_services", "business_activity": "grade_business",
    "channel_activity": "grade_channels", "contribution": "grade_contribution",
}  # fmt: skip
COLUMNS = (
    Column("grade", Kind.CODE, "composite grade, A best", _NOT_KNOWN),
    Column("grade_score", Kind.NUMBER, "the points together, 0 to 100", _NOT_KNOWN),
    *(Column(points, Kind.NUMBER, f"points for {factor}", "not known") for factor, points in POINTS.items()),
)
uses = ("wealth", "activity", "value")
carries = ("grade",)
FACTORS = {  # factor -> the columns that it is made of
    "aum": ("mda",),
    "services": ("n_services_3m",),
    "business_activity": ("n_txn_3m", "txn_amount_3m"),
    "channel_activity": ("app_days_1m", "n_channels_3m"),
    "contribution": ("value_12m",),
}
_AUM_UNIT, _AMOUNT_UNIT = 1e4, 1e3  # what counts as little: below it points rise in proportion, above by powers of ten


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Grade of every customer after this month's closing."""
    people = month.people.mutate(**points(month.people, policy))
    people = people.mutate(grade_score=score(people))
    return declared(people.mutate(grade=_banded(people.grade_score, people.held_grade, policy)), COLUMNS)


def points(people: ir.Table, policy: SegmentsPolicy) -> dict[str, Any]:
    """Points of each factor by column: 100 × weight × factor, null where it is not known, 0 where it does not weigh."""
    full = policy.grades.full_marks
    factors = {
        "aum": _capped(_log(people.mda, _AUM_UNIT, full.aum_amount)),
        "services": _capped(people.n_services_3m.cast("float64") / full.n_services),
        "business_activity": 0.5 * _capped(people.n_txn_3m.cast("float64") / full.n_txn)
        + 0.5 * _capped(_log(people.txn_amount_3m, _AMOUNT_UNIT, full.txn_amount)),
        "channel_activity": 0.6 * _capped(people.app_days_1m.cast("float64") / full.app_days)
        + 0.4 * _capped(people.n_channels_3m.cast("float64") / full.n_channels),
        "contribution": _capped(ibis.ifelse(people.value_12m < 0, 0.0, people.value_12m) / full.value_amount),
    }
    weights = {str(name): weight for name, weight in policy.grades.weights.items()}
    return {
        column: 100 * weights[name] * factors[name] if weights.get(name) else ibis.literal(0.0)
        for name, column in POINTS.items()
    }


def score(people: ir.Table) -> Any:
    """Composite score of each row that has its points; null where one is not known."""
    return sum((people[column] for column in POINTS.values()), start=ibis.literal(0.0)).round(6)


LISTS = {"rescue": "rescue", "growth": "rising"}  # list -> the tag whose rule says who is on it
_FIRST = {"rescue": ("value_12m", "mda"), "growth": ("grade_score", "mda")}


def rescue(profile: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """高层低级: who holds a high tier and does little with us, most value first. Rows of the profile given."""
    return listed(profile, policy, "rescue")


def growth(profile: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """低层高级: who holds a low tier and does much with us, best score first. Rows of the profile given."""
    return listed(profile, policy, "growth")


def listed(profile: ir.Table, policy: SegmentsPolicy, name: str) -> ir.Table:
    """Customers on one of LISTS by the rule of its tag; what is high and what is low stands in the policy alone.

    Nobody where the bank has taken the tag out of its policy. Who may be shown is for the reader to say: whether the
    tag still lives, and who had it deleted.
    """
    tag = policy.tags.get(LISTS[name])
    rows = profile.filter(tag.rule.expr(profile).fill_null(False) if tag else ibis.literal(False))
    first = [ibis.desc(rows[column], nulls_first=False) for column in _FIRST[name] if column in rows.columns]
    return rows.order_by(*first, rows.customer_id)


def _log(amount: Any, unit: float, full: float) -> Any:
    """log10(1 + amount/unit), as a share of what it is at full marks."""
    return (1 + amount / unit).log10() / math.log10(1 + full / unit)


def _capped(value: Any) -> Any:
    return ibis.ifelse(value > 1, 1.0, value)


def _banded(points: Any, held: Any, policy: SegmentsPolicy) -> Any:
    """The band of the score, or the held one while the score is within the hysteresis of its edges."""
    bands = sorted(policy.grades.bands.items(), key=lambda band: -band[1])
    fresh = ibis.cases(*[(points >= floor, name) for name, floor in bands[:-1]], else_=bands[-1][0])
    slack = policy.grades.hysteresis_points
    keeps = ibis.literal(False)
    for i, (name, floor) in enumerate(bands):
        ceiling = bands[i - 1][1] if i else math.inf
        inside = (points >= floor - slack) & (points < ceiling + slack) if i else points >= floor - slack
        keeps = keeps | ((held == name) & inside)
    return ibis.ifelse(points.isnull(), None, ibis.ifelse(keeps.fill_null(False), held, fresh))
