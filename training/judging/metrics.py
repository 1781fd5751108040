"""How good a probability is: ranking, sharpness and calibration, each with a bootstrap interval.

Symbols: y outcomes (n,), 0 or 1; p probabilities (n,); w weights (n,), how often a row is drawn; clusters (n,), the
customer a row belongs to. Rows of one customer resemble each other, so a resample draws customers, not rows. Resampling
never sorts: a score is ranked once, what is a sum over rows is summed by customer once, and a resample is one walk down
that ranking and one product with those sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import UserMistake
from training.judging.calibration_line import N_PARTS, Line, line_of, logits_of
from training.judging.resampling import LEVEL, N_RESAMPLES, Counts, Interval, codes_of, compiled, resampled, resamples

__all__ = [
    "LEVEL", "METRICS", "N_RESAMPLES", "TOP_SHARE", "Interval", "Judged", "Metric", "mean_difference",
    "paired_difference", "resamples", "with_intervals",
]  # fmt: skip

Vector = NDArray[np.float64]

TOP_SHARE = 0.1
N_BINS = 10
_TINY = 1e-12


class Judged:
    """One score on one set of outcomes, sorted once; every metric takes the weights of a resample.

    >>> judged = Judged(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> judged.auc(), judged.recall_at_top(share=0.5)
    (0.75, 0.5)
    """

    def __init__(self, outcomes: Vector, scores: Vector) -> None:
        self.outcomes = np.asarray(outcomes, dtype=np.float64)
        self.scores = np.asarray(scores, dtype=np.float64)
        self.order = np.argsort(-self.scores, kind="stable")
        falling = self.scores[self.order]
        self._starts = np.flatnonzero(np.r_[True, falling[1:] != falling[:-1]])
        self._sorted_outcomes = self.outcomes[self.order]

    @property
    def _ones(self) -> Vector:
        return np.ones(len(self.outcomes))

    def _levels(self, weights: Vector | None) -> tuple[Vector, Vector]:
        """Weight of positives and of all rows at each distinct score, highest score first."""
        drawn = self._ones if weights is None else weights[self.order]
        positives = np.add.reduceat(drawn * self._sorted_outcomes, self._starts)
        return positives, np.add.reduceat(drawn, self._starts)

    def auc(self, weights: Vector | None = None) -> float:
        """Area under the ROC curve: P(p of a positive > p of a negative) + ½ P(equal).

        Σ over levels of negatives × (positives above + ½ positives at the level) ÷ (positives × negatives). NaN when
        a class is absent. It says nothing about calibration. Hanley & McNeil (1982), Radiology 143.
        """
        positives, rows = self._levels(weights)
        negatives = rows - positives
        pairs = positives.sum() * negatives.sum()
        if pairs == 0:
            return float("nan")
        above = np.cumsum(positives) - positives / 2
        return float(np.dot(negatives, above) / pairs)

    def recall_at_top(self, weights: Vector | None = None, share: float = TOP_SHARE) -> float:
        """Share of all positives found among the `share` of rows with the highest p.

        A level of equal scores that is cut by the line gives its positives in proportion: the mean over all ways to
        order them. NaN without positives.
        """
        positives, rows = self._levels(weights)
        if positives.sum() == 0:
            return float("nan")
        reached = np.r_[0.0, np.cumsum(rows)]
        found = np.r_[0.0, np.cumsum(positives)]
        return float(np.interp(share * reached[-1], reached, found) / found[-1])

    def lift_at_top(self, weights: Vector | None = None) -> float:
        """How many times as many positives the top tenth holds as a tenth drawn blindly: recall ÷ 0.1."""
        return self.recall_at_top(weights) / TOP_SHARE

    def log_loss(self, weights: Vector | None = None) -> float:
        """Mean of −y ln p − (1 − y) ln(1 − p), p kept 1e-12 away from 0 and 1. Lower is better."""
        return float(np.average(self._log_losses, weights=weights))

    def brier(self, weights: Vector | None = None) -> float:
        """Mean of (p − y)². Brier (1950), Monthly Weather Review 78. Lower is better."""
        return float(np.average(self._squares, weights=weights))

    def ece(self, weights: Vector | None = None) -> float:
        """Expected calibration error: Σ over ten bins of equal size of (rows ÷ n) × |mean p − mean y|.

        Bins are those of the whole sample; equal scores share a bin. It is above 0 even for the true p, by about
        √(p(1 − p) ÷ (n ÷ 10)), and a resample adds as much again: its interval leans high. Naeini et al. (2015), AAAI.
        """
        drawn = self._ones if weights is None else weights
        gaps = np.bincount(self._bins, weights=drawn * (self.scores - self.outcomes))
        return float(np.abs(gaps).sum() / drawn.sum())

    def slope(self) -> Interval:
        """Calibration slope with its Wald interval, which takes rows for independent and resamples nothing."""
        line = self._line
        return Interval(line.slope, line.slope - 1.959964 * line.error, line.slope + 1.959964 * line.error)

    def slope_value(self, weights: Vector | None = None) -> float:
        """Calibration slope: b of logit P(y) = a + b · logit p, see `training.judging.calibration_line`.

        NaN where p does not vary or one class is absent.
        """
        return self._line.slope if weights is None else line_of(self.outcomes, self._logits, weights).slope

    def gains(self) -> tuple[Vector, Vector]:
        """The gain curve: share of rows taken from the top, and share of positives found, both from 0 to 1."""
        positives, rows = self._levels(None)
        taken, found = np.cumsum(rows) / rows.sum(), np.cumsum(positives) / max(positives.sum(), 1)
        return np.r_[0.0, taken], np.r_[0.0, found]

    def reliability(self) -> tuple[Vector, Vector, Vector]:
        """Mean p, mean y and rows of each of the ten bins that hold any."""
        rows = np.bincount(self._bins).astype(float)
        held = rows > 0
        mean_p = np.bincount(self._bins, weights=self.scores)[held] / rows[held]
        mean_y = np.bincount(self._bins, weights=self.outcomes)[held] / rows[held]
        return mean_p, mean_y, rows[held]

    def summed(self, codes: NDArray[np.int32]) -> Vector:
        """What the metrics but the ranks are sums of, by customer: (customers, 2 + N_PARTS + N_BINS).

        Columns: log losses, squares, the parts of a step of the calibration line, and p − y bin by bin.
        """
        gaps = self.scores - self.outcomes
        by_row = [self._log_losses, self._squares, *self._line.parts(self.outcomes, self._logits)]
        by_row += [np.where(self._bins == place, gaps, 0.0) for place in range(N_BINS)]
        return np.column_stack([np.bincount(codes, weights=values) for values in by_row])

    def resampled(self, counts: Counts, along: NDArray[np.int32], n_rows: float, sums: Vector) -> Vector:
        """METRICS of a resample of `n_rows`: `counts` by customer, the codes `along` the ranking (n,), and `sums`."""
        area, recall = _walk(counts, along, self._hits, self._ends, TOP_SHARE * n_rows)
        slope, gaps = self._line.step(sums[2 : 2 + N_PARTS]), sums[2 + N_PARTS :]
        means = sums[:2] / n_rows
        return np.array([area, *means, np.abs(gaps).sum() / n_rows, slope, recall / TOP_SHARE, recall])

    @cached_property
    def _logits(self) -> Vector:
        return logits_of(self.scores)

    @cached_property
    def _line(self) -> Line:
        return line_of(self.outcomes, self._logits)

    @cached_property
    def _hits(self) -> NDArray[np.int64]:
        return self._sorted_outcomes.astype(np.int64)

    @cached_property
    def _ends(self) -> NDArray[np.bool_]:
        ends = np.zeros(len(self.outcomes), dtype=np.bool_)
        ends[np.append(self._starts[1:], len(ends)) - 1] = True
        return ends

    @cached_property
    def _log_losses(self) -> Vector:
        p = np.clip(self.scores, _TINY, 1 - _TINY)
        return np.asarray(-(self.outcomes * np.log(p) + (1 - self.outcomes) * np.log1p(-p)))

    @cached_property
    def _squares(self) -> Vector:
        return np.asarray((self.scores - self.outcomes) ** 2)

    @cached_property
    def _bins(self) -> NDArray[np.intp]:
        edges = np.unique(np.quantile(self.scores, np.arange(1, N_BINS) / N_BINS))
        return np.searchsorted(edges, self.scores, side="left")


Metric = Callable[[Judged, Vector | None], float]
METRICS: Mapping[str, Metric] = {
    "auc": Judged.auc,
    "log_loss": Judged.log_loss,
    "brier": Judged.brier,
    "ece": Judged.ece,
    "slope": Judged.slope_value,
    "lift_at_10": Judged.lift_at_top,
    "recall_at_10": Judged.recall_at_top,
}


def with_intervals(
    judged: Mapping[str, Judged],
    clusters: NDArray[Any],
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
    metrics: Mapping[str, Metric] = METRICS,
) -> dict[str, dict[str, Interval]]:
    """Every metric of every score, with intervals over the same resamples: score name -> metric name -> Interval.

    Percentile bootstrap over customers. It is too narrow for fewer than about 30 customers with a positive outcome,
    and it knows nothing of how another month may differ. Raises UserMistake for a metric that is not of METRICS.
    Efron & Tibshirani (1993), An Introduction to the Bootstrap.
    """
    places = {name: _place(metric) for name, metric in metrics.items()}
    draws = _draws(list(judged.values()), clusters, n_resamples, seed)
    return {
        name: {metric: Interval.of(metrics[metric](one, None), of_one[:, place]) for metric, place in places.items()}
        for (name, one), of_one in zip(judged.items(), draws, strict=True)
    }


def paired_difference(
    ours: Judged,
    other: Judged,
    clusters: NDArray[Any],
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
    metric: Metric = Judged.auc,
) -> Interval:
    """ours − other on the same rows, resampled together: far narrower than the difference of two intervals.

    Raises UserMistake for a metric that is not of METRICS.
    """
    place = _place(metric)
    mine, theirs = _draws([ours, other], clusters, n_resamples, seed)
    return Interval.of(metric(ours, None) - metric(other, None), mine[:, place] - theirs[:, place])


def mean_difference(
    ours: Sequence[Judged],
    others: Sequence[Judged],
    clusters: NDArray[Any],
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
    metric: Metric = Judged.auc,
) -> Interval:
    """Mean of ours − mean of others, each the same learner under several seeds, on the same rows, resampled together.

    What seeds do to a figure is averaged, not part of the interval. Raises UserMistake for a metric not of METRICS.
    """
    place, n_ours = _place(metric), len(ours)
    draws = [of_one[:, place] for of_one in _draws([*ours, *others], clusters, n_resamples, seed)]
    value = np.mean([metric(one, None) for one in ours]) - np.mean([metric(one, None) for one in others])
    return Interval.of(float(value), np.mean(draws[:n_ours], axis=0) - np.mean(draws[n_ours:], axis=0))


def _place(metric: Metric) -> int:
    for place, known in enumerate(METRICS.values()):
        if known == metric:
            return place
    raise UserMistake("no such metric to resample", value=getattr(metric, "__name__", metric), allowed=METRICS)


def _draws(judged: Sequence[Judged], clusters: NDArray[Any], n_resamples: int, seed: int) -> list[Vector]:
    """METRICS of each score (n_resamples, metrics) over the same resamples."""
    codes = codes_of(clusters, judged[0].order)
    size = np.bincount(codes).astype(np.float64)
    along = [codes[one.order] for one in judged]
    sums = np.column_stack([size, *(one.summed(codes) for one in judged)])

    def measure(counts: Counts) -> Vector:
        totals = counts.astype(np.float64) @ sums
        parts = np.split(totals[1:], len(judged))
        each = zip(judged, along, parts, strict=True)
        return np.concatenate([one.resampled(counts, path, totals[0], part) for one, path, part in each])

    draws = resampled(codes, n_resamples, seed, measure)
    return np.split(draws, len(judged), axis=1)


def _walking(counts: Any, codes: Any, hits: Any, ends: Any, mark: Any) -> Any:
    """AUC and the recall where `mark` rows are reached, down a ranking whose levels stop at `ends`."""
    rows, found, rows_above, found_above, twice_area = 0, 0, 0, 0, 0
    reached = -1.0
    for at in range(len(codes)):
        drawn: Any = np.int64(counts[codes[at]])
        rows += drawn
        found += drawn * hits[at]
        if ends[at]:
            in_level, level = found - found_above, rows - rows_above
            twice_area += (level - in_level) * (2 * found_above + in_level)
            if reached < 0 and rows >= mark:
                reached = found_above + in_level * ((mark - rows_above) / max(level, 1))
            rows_above, found_above = rows, found
    others = rows - found
    if found == 0 or others == 0:
        return np.nan, reached / found if found else np.nan
    return twice_area / (2 * np.float64(found) * others), reached / found


_walk = compiled(_walking)
