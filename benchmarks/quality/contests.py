"""One set's contest: what several seeds of a learner reached beside the plain one, and the lines it is to reach."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Line
from training.judging.metrics import METRICS, Interval, Judged, mean_difference
from training.judging.resampling import resamples

Against = Literal["better", "not worse"]  # what the whole interval of a paired difference is to say
BETTER: Against = "better"
NOT_WORSE: Against = "not worse"
N_DRAWS = 1_000

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One figure of one learner by seed, the peer's mean, the paired difference, and the line it is to reach.

    A figure may have to reach `line`, to stand `against` its peer in a certain way, or both.
    """

    what: str
    by_seed: Sequence[float]
    peer: float | None = None
    difference: Interval | None = None
    line: float | None = None
    is_more_better: bool = True
    against: Against | None = None

    @property
    def mean(self) -> float:
        return statistics.fmean(self.by_seed)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds."""
        return statistics.stdev(self.by_seed) if len(self.by_seed) > 1 else 0.0

    @property
    def is_met(self) -> bool:
        return self._reaches_line and self._stands

    @property
    def bound(self) -> str:
        asked = [] if self.line is None else [f"{'≥' if self.is_more_better else '≤'} {self.line:g}"]
        asked += [] if self.against is None else [self.against]
        return f"{', '.join(asked)} {'met' if self.is_met else 'MISSED'}" if asked else ""

    @property
    def verdict(self) -> str:
        """The paired difference in words; an interval that holds 0 tells nothing apart."""
        if self.difference is None:
            return ""
        if self.difference.low <= 0 <= self.difference.high:
            return f"{self.difference} not distinguishable"
        return f"{self.difference} {'better' if (self.difference.low > 0) == self.is_more_better else 'worse'}"

    @property
    def _reaches_line(self) -> bool:
        if self.line is None:
            return True
        return self.mean >= self.line if self.is_more_better else self.mean <= self.line

    @property
    def _stands(self) -> bool:
        if self.against is None or self.difference is None:
            return self.against is None
        low, high = self.difference.low, self.difference.high
        worst, best = (low, high) if self.is_more_better else (-high, -low)
        return worst > 0 if self.against == BETTER else best >= 0

    def told(self) -> Line:
        """The figure as programs read it."""
        ratio = self.mean / self.peer if self.peer else None  # telling nobody earns nothing
        return Line(self.what, self.mean, self.peer, ratio, "", self.line, self.line, self.is_met, self.is_met)


@dataclass(frozen=True)
class Contest:
    """What was measured on one set; `says` how it was judged and what was chosen where, `seen` what was not blind.

    `seen` names what had been looked at of the judging rows before the rules that stand were written; "" for nothing.
    """

    name: str
    says: str
    figures: Sequence[Figure]
    seen: str = ""


def beside(
    what: str, metric: str, ours: Sequence[Judged], peers: Sequence[Judged], line: float | None,
    against: Against | None = None, *, clusters: NDArray[Any] | None = None,
) -> Figure:  # fmt: skip
    """A figure of METRICS, both learners on the same rows under the same seeds; resampled are `clusters` or rows."""
    of = METRICS[metric]
    rows = np.arange(len(ours[0].outcomes)) if clusters is None else clusters
    difference = mean_difference(ours, peers, rows, seed=0, metric=of)
    peer = statistics.fmean(of(one, None) for one in peers)
    is_more_better = metric not in ("log_loss", "brier", "ece")
    return Figure(what, [of(one, None) for one in ours], peer, difference, line, is_more_better, against)


def mean_beside(
    what: str, ours: Sequence[Vector], peers: Sequence[Vector], *, is_root: bool = False,
    against: Against | None = None,
) -> Figure:  # fmt: skip
    """A mean loss by row, (n,) under each seed, or its root; less is better, and rows are resampled together."""

    def told(by_row: Vector, weights: Vector) -> float:
        mean = float(np.average(by_row, weights=weights))
        return mean**0.5 if is_root else mean

    def gap(weights: Vector) -> float:
        mine, theirs = ([told(one, weights) for one in side] for side in (ours, peers))
        return statistics.fmean(mine) - statistics.fmean(theirs)

    rows = np.arange(len(ours[0]))
    even = np.ones(len(rows))
    draws = np.array([gap(weights) for weights in resamples(rows, N_DRAWS, 0)])
    peer = statistics.fmean(told(one, even) for one in peers)
    difference = Interval.of(gap(even), draws)
    return Figure(what, [told(one, even) for one in ours], peer, difference, is_more_better=False, against=against)
