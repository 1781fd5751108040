"""The months of a simulation."""

from __future__ import annotations

import calendar
from datetime import date

from features.errors import BadRequest
from simulation.behaviour import Month

_EPOCH = date(1970, 1, 1)


def calendar_months(last_month_end: date, months: int) -> list[Month]:
    """`months` whole months of which the last ends on `last_month_end`; raises BadRequest for a day within a month."""
    if last_month_end.day != calendar.monthrange(last_month_end.year, last_month_end.month)[1]:
        raise BadRequest("not the last day of a month", value=last_month_end.isoformat(), todo="name a month-end")
    found: list[Month] = []
    for back in range(months - 1, -1, -1):
        year, month = divmod(last_month_end.year * 12 + last_month_end.month - 1 - back, 12)
        first = date(year, month + 1, 1)
        n_days = calendar.monthrange(year, month + 1)[1]
        found.append(Month(len(found), f"{first:%Y-%m}", (first - _EPOCH).days, n_days))
    return found
