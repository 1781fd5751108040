"""One set's contest: what several seeds of a learner reached beside the plain one, and the lines it is to reach."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.table import Line
from training.judging.metrics import METRICS, Interval, Judged, mean_difference


@dataclass(frozen=True)
class Figure:
    """One figure of one learner by seed, the peer's mean, the paired difference, and the line it is to reach."""

    what: str
    by_seed: Sequence[float]
    peer: float | None = None
    difference: Interval | None = None
    line: float | None = None
    is_more_better: bool = True

    @property
    def mean(self) -> float:
        return statistics.fmean(self.by_seed)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds."""
        return statistics.stdev(self.by_seed) if len(self.by_seed) > 1 else 0.0

    @property
    def is_met(self) -> bool:
        if self.line is None:
            return True
        return self.mean >= self.line if self.is_more_better else self.mean <= self.line

    @property
    def bound(self) -> str:
        if self.line is None:
            return ""
        return f"{'≥' if self.is_more_better else '≤'} {self.line:g} {'met' if self.is_met else 'MISSED'}"

    @property
    def verdict(self) -> str:
        """The paired difference in words; an interval that holds 0 tells nothing apart."""
        if self.difference is None:
            return ""
        if self.difference.low <= 0 <= self.difference.high:
            return f"{self.difference} not distinguishable"
        return f"{self.difference} {'better' if (self.difference.low > 0) == self.is_more_better else 'worse'}"

    def told(self) -> Line:
        """The figure as programs read it."""
        ratio = None if self.peer is None else self.mean / self.peer
        return Line(self.what, self.mean, self.peer, ratio, "", self.line, self.line, self.is_met, self.is_met)


@dataclass(frozen=True)
class Contest:
    """What was measured on one set; `says` how it was judged and what was chosen where."""

    name: str
    says: str
    figures: Sequence[Figure]


def beside(what: str, metric: str, ours: Sequence[Judged], peers: Sequence[Judged], line: float | None) -> Figure:
    """A figure of METRICS, both learners under the same seeds on the same rows, rows resampled one by one."""
    of = METRICS[metric]
    rows = np.arange(len(ours[0].outcomes))
    difference = mean_difference(ours, peers, rows, seed=0, metric=of)
    peer = statistics.fmean(of(one, None) for one in peers)
    is_more_better = metric not in ("log_loss", "brier", "ece")
    return Figure(what, [of(one, None) for one in ours], peer, difference, line, is_more_better)
