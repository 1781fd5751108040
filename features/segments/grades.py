"""分级 Grades: one letter for how much a customer does with us, over four factors (AUM、业务、活跃度、渠道).

Grain: a customer, a month. Uses: wealth, activity. Nulls: the grade, if AUM or activity is not known. A grade changes
only when the score lies beyond the band's edge by the policy's points of hysteresis. Rule: A04 as corrected.

    score = 100 × Σ weight × sub-score, rounded to 1e-6 before the bands
    aum               min(log10(1 + mda/10⁴) / log10(601), 1)
    services          min(services used in three months, 12) / 12
    business_activity ½ min(own transactions/30, 1) + ½ min(log10(1 + amount/10³) / log10(501), 1)
    channel_activity  .6 min(app days of the month/12, 1) + .4 min(channels/4, 1)
"""

from __future__ import annotations

import math
from typing import Any

import ibis
import ibis.expr.types as ir

from features.month import Month, declared
from features.policy import SegmentsPolicy
from features.vocabulary import Column, Kind

COLUMNS = (Column("grade", Kind.CODE, "composite grade, A best", "AUM or activity not known"),)
uses = ("wealth", "activity")
carries = ("grade",)
FACTORS = {  # factor -> the columns that it is made of
    "aum": ("mda",),
    "services": ("n_services_3m",),
    "business_activity": ("n_txn_3m", "txn_amount_3m"),
    "channel_activity": ("app_days_1m", "n_channels_3m"),
}
_AUM_UNIT, _AUM_FULL = 1e4, 601
_AMOUNT_UNIT, _AMOUNT_FULL = 1e3, 501
_SERVICES_FULL, _TXN_FULL, _APP_DAYS_FULL, _CHANNELS_FULL = 12, 30, 12, 4


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Grade of every customer after this month's closing."""
    people = month.people.mutate(score=score(month.people, policy))
    return declared(people.mutate(grade=_banded(people.score, people.held_grade, policy)), COLUMNS)


def score(people: ir.Table, policy: SegmentsPolicy) -> Any:
    """Composite score 0 to 100 of each row, null where a factor is not known."""
    factors = {
        "aum": _capped((1 + people.mda / _AUM_UNIT).log10() / math.log10(_AUM_FULL)),
        "services": _capped(people.n_services_3m / _SERVICES_FULL),
        "business_activity": 0.5 * _capped(people.n_txn_3m / _TXN_FULL)
        + 0.5 * _capped((1 + people.txn_amount_3m / _AMOUNT_UNIT).log10() / math.log10(_AMOUNT_FULL)),
        "channel_activity": 0.6 * _capped(people.app_days_1m / _APP_DAYS_FULL)
        + 0.4 * _capped(people.n_channels_3m / _CHANNELS_FULL),
    }
    total = sum((weight * factors[name] for name, weight in policy.grades.weights.items()), start=ibis.literal(0.0))
    return (100 * total).round(6)


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
