"""How few hold how much (二八): the share of AUM, and of value, that the richest customers hold, month by month.

Customers are ranked by the figure itself, so that the top 20 % of AUM and of value are not the same people. Of n
customers the top share s are the ⌈s · n⌉ first; equal figures at the edge make no difference to the sum. Where the
whole is not positive there is no share to speak of.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight.history import History, is_customer

TOP = 0.2
SHARES = (0.01, 0.025, 0.05, 0.1, TOP, 0.3, 0.4, 0.5, 0.75, 1.0)
FIGURES = {"aum": "mda", "value": "value_12m"}


@dataclass(frozen=True, slots=True)
class Pareto:
    """One month's curve of one figure: `held` is the share that the top `shares` of n customers hold, point by point.

    None: nobody has the figure, or its sum is not positive.
    """

    as_of: date
    figure: str
    n: int
    total: float
    shares: tuple[float, ...]
    held: tuple[float, ...] | None

    @property
    def top_share(self) -> float | None:
        """What the top 20 % hold."""
        return self.held[self.shares.index(TOP)] if self.held else None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"as_of": self.as_of.isoformat(), "top_share": self.top_share}


def pareto(history: History) -> list[Pareto]:
    """The curve of each month and figure, oldest month first; value only where the profiles have it."""
    return [
        _curve(build.as_of, figure, _values(history, place, column))
        for place, build in enumerate(history.months)
        for figure, column in FIGURES.items()
        if column in history.month(place).columns
    ]


def held_by(values: NDArray[np.float64], share: float) -> float | None:
    """What the top `share` of `values`, shape (n,), hold of their sum.

    >>> held_by(np.array([1.0, 1.0, 1.0, 1.0, 6.0]), 0.2)
    0.6
    """
    found = _curve(date.min, "", values, (share,)).held
    return found[0] if found else None


def _values(history: History, place: int, column: str) -> NDArray[np.float64]:
    rows = history.month(place)
    known = rows.filter(is_customer(rows.stage) & rows[column].notnull())
    values: NDArray[np.float64] = known[column].cast("float64").to_pyarrow().to_numpy(zero_copy_only=False)
    return values


def _curve(as_of: date, figure: str, values: NDArray[np.float64], shares: tuple[float, ...] = SHARES) -> Pareto:
    n, total = len(values), float(np.sum(values))
    if not total > 0:
        return Pareto(as_of, figure, n, total, shares, None)
    running = np.cumsum(np.sort(values)[::-1])
    tops = [math.ceil(share * n - 1e-9) for share in shares]  # .07 · 100 is 7.000000000000001 in floats
    return Pareto(as_of, figure, n, total, shares, tuple(float(running[top - 1] / running[-1]) for top in tops))
