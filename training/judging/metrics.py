"""How good a probability is: ranking, sharpness and calibration, each with a bootstrap interval.

Symbols: y outcomes (n,), 0 or 1; p probabilities (n,); w weights (n,), how often a row is drawn; clusters (n,), the
customer a row belongs to. Rows of one customer resemble each other, so a resample draws customers, not rows. Resampling
never sorts: a score is ranked once, and a resample is a vector of weights over that one order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

TOP_SHARE = 0.1
N_BINS = 10
N_RESAMPLES = 1000
LEVEL = 0.95
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its percentile bootstrap interval at LEVEL."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


class Judged:
    """One score on one set of outcomes, sorted once; every metric takes the weights of a resample.

    >>> judged = Judged(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> judged.auc(), judged.recall_at_top(share=0.5)
    (0.75, 0.5)
    """

    def __init__(self, outcomes: Vector, scores: Vector) -> None:
        self.outcomes = np.asarray(outcomes, dtype=np.float64)
        self.scores = np.asarray(scores, dtype=np.float64)
        self._order = np.argsort(-self.scores, kind="stable")
        falling = self.scores[self._order]
        self._starts = np.flatnonzero(np.r_[True, falling[1:] != falling[:-1]])
        self._sorted_outcomes = self.outcomes[self._order]

    @property
    def _ones(self) -> Vector:
        return np.ones(len(self.outcomes))

    def _levels(self, weights: Vector | None) -> tuple[Vector, Vector]:
        """Weight of positives and of all rows at each distinct score, highest score first."""
        drawn = self._ones if weights is None else weights[self._order]
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
        """Calibration slope: b of logit P(y) = a + b · logit p by maximum likelihood, with its Wald interval.

        1 is calibrated, below 1 too extreme, above 1 too timid. NaN where p does not vary or one class is absent.
        Cox (1958), Biometrika 45.
        """
        squeezed = np.clip(self.scores, _TINY, 1 - _TINY)
        logits = np.log(squeezed / (1 - squeezed))
        if np.ptp(logits) == 0 or np.ptp(self.outcomes) == 0:
            return Interval(float("nan"), float("nan"), float("nan"))
        design = np.column_stack([np.ones_like(logits), logits])
        beta = np.array([0.0, 1.0])
        for _ in range(50):
            fitted = 1 / (1 + np.exp(-np.clip(design @ beta, -500, 500)))
            information = design.T @ (design * (fitted * (1 - fitted))[:, np.newaxis])
            step = np.linalg.lstsq(information, design.T @ (self.outcomes - fitted), rcond=None)[0]
            beta = beta + np.clip(step, -2, 2)
            if np.abs(step).max() < 1e-10:
                break
        half = 1.959964 * float(np.sqrt(np.linalg.pinv(information)[1, 1]))
        return Interval(float(beta[1]), float(beta[1]) - half, float(beta[1]) + half)

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
    "lift_at_10": Judged.lift_at_top,
    "recall_at_10": Judged.recall_at_top,
}


def resamples(clusters: NDArray[Any], n_resamples: int, seed: int) -> Iterator[Vector]:
    """Weights (n,) of each bootstrap resample: how often the customer of a row was drawn. The same for equal seeds."""
    _, codes = np.unique(clusters, return_inverse=True)
    n_clusters = int(codes.max()) + 1
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        drawn = np.bincount(rng.integers(0, n_clusters, n_clusters), minlength=n_clusters)
        yield drawn.astype(np.float64)[codes]


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
    and it knows nothing of how another month may differ. Efron & Tibshirani (1993), An Introduction to the Bootstrap.
    """
    draws = {name: {metric: np.empty(n_resamples) for metric in metrics} for name in judged}
    for at, weights in enumerate(resamples(clusters, n_resamples, seed)):
        for name, one in judged.items():
            for metric, compute in metrics.items():
                draws[name][metric][at] = compute(one, weights)
    return {
        name: {metric: _interval(compute(one, None), draws[name][metric]) for metric, compute in metrics.items()}
        for name, one in judged.items()
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
    """ours − other on the same rows, resampled together: far narrower than the difference of two intervals."""
    draws = np.array(
        [metric(ours, weights) - metric(other, weights) for weights in resamples(clusters, n_resamples, seed)]
    )
    return _interval(metric(ours, None) - metric(other, None), draws)


def _interval(value: float, draws: Vector) -> Interval:
    if np.isnan(draws).all():
        return Interval(value, float("nan"), float("nan"))
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
