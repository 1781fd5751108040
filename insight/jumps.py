"""Sudden jumps (异动): a stage or tier that moved more in one month than the policy allows, or than it ever does.

    SHARE    its share of all people moved by more than `share_points` percentage points since the month before
    COUNT    its population changed by a rate r = n(t) / n(t−1) − 1 that lies more than `deviations` standard deviations
             from the mean of the rates of its own last `history_months`

The deviation is never taken as smaller than that of chance alone, √(1 / n(t−1)), so that a label which stood still by
luck for half a year raises no alarm over ten people. It sees what is sudden: a slow drift raises its own mean with it,
and for the first `least_months` changes COUNT is silent. A label with fewer than `least_customers` people before and
after is not told.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from insight.policy import Jumps


@dataclass(frozen=True, slots=True)
class Jump:
    """One alert: whose population jumped, from what to what, and the bound it went beyond.

    `usual` and `deviation` are mean and standard deviation of the rates before; None for an alert of SHARE.
    """

    as_of: date
    name: str
    rule: str
    before: int
    after: int
    share_before: float
    share_after: float
    moved: float
    bound: float
    usual: float | None = None
    deviation: float | None = None

    def __str__(self) -> str:
        points = 100 * (self.share_after - self.share_before)
        told = f"{self.name} {self.before:,} -> {self.after:,} ({points:+.1f} points of all)"
        if self.usual is None:
            return f"{told}, beyond {self.bound:g} points"
        rate = self.after / self.before - 1
        return (
            f"{told}, {rate:+.1%} where {self.usual:+.1%} is usual: {self.moved:.1f} deviations, beyond {self.bound:g}"
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"as_of": self.as_of.isoformat(), "says": str(self)}


def jumps(days: Sequence[date], counts: Sequence[Mapping[str, int]], policy: Jumps) -> list[Jump]:
    """Every jump in the populations `counts`, one mapping from label to people for each of `days`, oldest first."""
    return [found for place in range(1, len(days)) for found in jumps_at(place, days, counts, policy)]


def jumps_at(place: int, days: Sequence[date], counts: Sequence[Mapping[str, int]], policy: Jumps) -> Iterator[Jump]:
    """The jumps from the month before `place` to the month at `place`, each label at most once, SHARE first."""
    totals = [sum(month.values()) or 1 for month in counts]
    for name in sorted({*counts[place - 1], *counts[place]}):
        series = [month.get(name, 0) for month in counts[: place + 1]]
        before, after = series[-2:]
        if max(before, after) < policy.least_customers:
            continue
        shares = before / totals[place - 1], after / totals[place]
        points = 100 * abs(shares[1] - shares[0])
        if points > policy.share_points:
            yield Jump(days[place], name, "SHARE", before, after, *shares, moved=points, bound=policy.share_points)
        elif (found := _against_history(series, policy)) is not None:
            usual, deviation, moved = found
            yield Jump(days[place], name, "COUNT", before, after, *shares, moved, policy.deviations, usual, deviation)


def _against_history(series: Sequence[int], policy: Jumps) -> tuple[float, float, float] | None:
    """Mean and deviation of the rates before the last, and how far off the last lies in deviations, if too far."""
    rates = [after / before - 1 for before, after in pairwise(series) if before]
    history, before = rates[:-1][-policy.history_months :], series[-2]
    if not before or len(history) < policy.least_months:
        return None
    usual = statistics.fmean(history)
    deviation = max(statistics.stdev(history), math.sqrt(1 / before))
    moved = abs(rates[-1] - usual) / deviation
    return (usual, deviation, moved) if moved > policy.deviations else None
