"""How long until it happens, though for many it has not happened yet: curves by Kaplan and Meier, with medians.

    S(t) = Π over event times u ≤ t of (1 − d(u) / n(u))

d(u) events at month u, n(u) people under way just before it; one who is censored at u still counts among n(u). The
interval is Greenwood's on the scale of log(−log S), which keeps it inside 0 to 1. It fails where leaving the watch
tells of the event itself: who is censored must be no better and no worse than who is not. SciPy computes both.
Kaplan and Meier 1958; Kalbfleisch and Prentice 2002.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95


class Spell(NamedTuple):
    """`n` people watched for `months`, at whose end it happened or the watching ended (censored)."""

    months: int
    is_event: bool
    n: int


@dataclass(frozen=True, slots=True)
class Curve:
    """The share for whom it had not happened yet, month by month, with its interval; medians are None if not reached.

    `median` is the first month at which the share is at most one half; `median_low` and `median_high` are where the
    interval's two edges get there.
    """

    name: str
    n: int
    n_events: int
    months: tuple[int, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    median: int | None
    median_low: int | None
    median_high: int | None

    def at(self, month: int) -> float | None:
        """The share at `month`; None beyond the time that anybody was watched."""
        if not self.months or month > self.months[-1]:
            return None
        return next((s for m, s in zip(reversed(self.months), reversed(self.share), strict=True) if m <= month), 1.0)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def curve(name: str, spells: Iterable[Spell], level: float = LEVEL) -> Curve:
    """The curve of `spells` under `name`; without anybody it is empty.

    >>> c = curve("six people", [Spell(1, True, 2), Spell(2, False, 1), Spell(3, True, 1), Spell(4, False, 2)])
    >>> c.months, [round(share, 3) for share in c.share], c.median
    ((1, 2, 3, 4), [0.667, 0.667, 0.444, 0.444], 3)
    """
    watched = [spell for spell in spells if spell.n]
    ended = _repeated(spell for spell in watched if spell.is_event)
    censored = _repeated(spell for spell in watched if not spell.is_event)
    if not watched:
        return Curve(name, 0, 0, (), (), (), (), None, None, None)
    found = stats.ecdf(stats.CensoredData(uncensored=ended, right=censored)).sf
    with warnings.catch_warnings():  # where nothing has happened yet, or everything has, the formula has no value
        warnings.simplefilter("ignore", RuntimeWarning)
        band = found.confidence_interval(level, method="log-log")
    share = found.probabilities
    low, high = _edges(share, band.low.probabilities, band.high.probabilities)
    months = found.quantiles.astype(int)
    return Curve(
        name, len(ended) + len(censored), len(ended), tuple(months.tolist()), tuple(share.tolist()),
        tuple(low.tolist()), tuple(high.tolist()), _half(months, share), _half(months, low), _half(months, high),
    )  # fmt: skip


def _repeated(spells: Iterable[Spell]) -> NDArray[np.float64]:
    listed = list(spells)
    return np.repeat(np.array([s.months for s in listed], dtype=np.float64), [s.n for s in listed])


def _edges(
    share: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The interval where Greenwood's formula has no value: 1 before the first event, from 0 to the last edge at 0."""
    low, high = np.where(share == 1, 1.0, low), np.where(share == 1, 1.0, high)
    gone = share == 0
    if gone.any():
        last = high[~gone][-1] if (~gone).any() else 1.0
        low, high = np.where(gone, 0.0, low), np.where(gone, last, high)
    return low, high


def _half(months: NDArray[np.int64], share: NDArray[np.float64]) -> int | None:
    reached = months[share <= 0.5]
    return int(reached[0]) if len(reached) else None
