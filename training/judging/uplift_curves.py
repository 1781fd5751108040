"""How well a ranking finds those whom a treatment moves: Qini curve and coefficient, uplift among the first k.

Symbols: y outcomes (n,); t (n,) true where treated; e (n,) the known chance of the treatment; u (n,) the score that
ranks. Sums run down the ranking: N_t = Σ t/e and N_c = Σ (1−t)/(1−e) are the rows that all treated or all untreated
would have been, Y_t and Y_c the same sums of y. Without e all weights are 1, which is right where one chance held for
all. With one chance for all both ways give the same coefficient.

The treatment must have been drawn at random given e. Where an arm is empty among the first rows, nothing is known of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import UserMistake
from training.judging.resampling import N_RESAMPLES, Counts, Interval, codes_of, compiled, resampled

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

SHARES = (0.1, 0.2, 0.3)
_WHOLE = np.array([1.0])


@dataclass(frozen=True, slots=True)
class Curve:
    """Qini curve: at `shares` of the rows, `gained` outcomes per treated row of all, with its 95 % band.

    At share 1 it is the mean effect; a ranking that says nothing is a straight line to it.
    """

    shares: Vector
    gained: Vector
    low: Vector
    high: Vector


class Ranking:
    """One score on the rows of one experiment, sorted once; every metric takes the counts of a resample.

    Raises UserMistake for lengths that differ, an arm without rows, or a chance outside (0, 1).

    >>> ranking = Ranking(np.array([1.0, 0, 0, 1]), np.array([1, 0, 1, 0]), np.array([0.4, 0.3, 0.2, 0.1]))
    >>> round(ranking.qini(), 3), ranking.uplift_at(0.5)
    (1.0, 1.0)
    """

    def __init__(
        self, outcomes: Vector, treated: NDArray[Any], uplift: Vector, propensities: Vector | None = None
    ) -> None:
        self.outcomes = np.asarray(outcomes, dtype=np.float64)
        self.treated = np.asarray(treated).astype(bool)
        self.scores = np.asarray(uplift, dtype=np.float64)
        chances = None if propensities is None else np.asarray(propensities, dtype=np.float64)
        _refuse_unlike(self.outcomes, self.treated, self.scores, chances)
        chances = np.full(len(self.outcomes), 1.0) if chances is None else chances
        others = np.full(len(self.outcomes), 1.0) if propensities is None else 1 - chances
        self.order = np.argsort(-self.scores, kind="stable")
        falling = self.scores[self.order]
        self._ends = np.append(falling[1:] != falling[:-1], True)
        self._in_order = [
            (self.treated / chances)[self.order], (~self.treated / others)[self.order], self.outcomes[self.order],
            self.treated[self.order].astype(np.uint8),
        ]  # fmt: skip

    @cached_property
    def is_binary(self) -> bool:
        """Whether the outcomes are 0 and 1, without which there is no perfect curve to be measured by."""
        return bool(np.isin(self.outcomes, (0, 1)).all())

    def qini(self) -> float:
        """Qini coefficient: the area between curve and straight line ÷ that of the perfect curve.

        The curve is Q = Y_t − Y_c · N_t ÷ N_c over rows, straight between the ends of equal scores, and Y_t while N_c
        is 0. The perfect curve ranks treated rows with an outcome first and untreated ones with an outcome last, so it
        knows of harm; this is scikit-uplift's `qini_auc_score` with `negative_effect=True`. 1 is not to be reached. 0
        is a ranking that says nothing. NaN for amounts. Radcliffe (2007), Direct Marketing Analytics Journal.
        """
        return float(self._figures(self._once, (), self._as_they_are)[0])

    def uplift_at(self, share: float) -> float:
        """Y_t ÷ N_t − Y_c ÷ N_c among the first `share` of the rows: the mean effect on those treated first.

        Equal scores that the line cuts are taken in proportion. NaN where an arm is empty there.
        """
        return float(self._figures(self._once, (share,), self._as_they_are)[1])

    def curve(
        self, clusters: NDArray[Any] | None = None, *, seed: int, n_resamples: int = N_RESAMPLES, n_points: int = 101
    ) -> Curve:
        """The Qini curve at `n_points` even shares, with a percentile band over `clusters` (n,), rows without them."""
        shares = np.linspace(0, 1, n_points)

        def gained(counts: Counts, along: NDArray[np.int32], n_rows: float) -> Vector:
            sums = self._walked(counts, along, shares * n_rows)[1]
            return np.asarray(_gain(sums) / sums[-1, 0])

        codes = _codes(self, clusters)
        along, size = codes[self.order], np.bincount(codes).astype(np.float64)
        draws = resampled(codes, n_resamples, seed, lambda counts: gained(counts, along, float(counts @ size)))
        bands = [Interval.of(0.0, of_one) for of_one in draws.T]
        low, high = np.array([band.low for band in bands]), np.array([band.high for band in bands])
        return Curve(shares, gained(self._once, self._as_they_are, float(len(self.outcomes))), low, high)

    @property
    def _once(self) -> Counts:
        return np.ones(len(self.outcomes), dtype=np.uint8)

    @property
    def _as_they_are(self) -> NDArray[np.int32]:
        return np.arange(len(self.outcomes), dtype=np.int32)

    def _figures(self, counts: Counts, shares: Sequence[float], along: NDArray[np.int32], n_rows: float = 0) -> Vector:
        """Qini coefficient, and uplift at `shares`: (1 + shares,)."""
        n_rows = n_rows or float(len(self.outcomes))
        walked, sums = self._walked(counts, along, np.append(shares, _WHOLE) * n_rows)
        area, n_treated_hits, n_other_hits = walked
        final = _gain(sums)[-1]
        best, straight = sums[-1, 2], n_rows * final / 2
        perfect = n_treated_hits * best / 2 + (n_rows - n_treated_hits - n_other_hits) * best
        perfect += n_other_hits * (best + final) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            qini = (area - straight) / np.float64(perfect - straight) if self.is_binary else np.nan
            return np.append(qini, (sums[:, 2] / sums[:, 0] - sums[:, 3] / sums[:, 1])[:-1])

    def _walked(self, counts: Counts, along: NDArray[np.int32], marks: Vector) -> tuple[tuple[float, ...], Vector]:
        sums = np.zeros((len(marks), 4))
        return _walk(counts, along, *self._in_order, self._ends, marks, sums), sums


def _at(share: float) -> Callable[[Ranking], float]:
    return lambda ranking: ranking.uplift_at(share)


METRICS: Mapping[str, Callable[[Ranking], float]] = {
    "qini": Ranking.qini,
    **{f"uplift_at_{100 * share:.0f}": _at(share) for share in SHARES},
}


def with_intervals(
    rankings: Mapping[str, Ranking], clusters: NDArray[Any] | None = None, *, seed: int,
    n_resamples: int = N_RESAMPLES, n_threads: int = 1,
) -> dict[str, dict[str, Interval]]:  # fmt: skip
    """METRICS of every ranking, with intervals over the same resamples: ranking name -> metric name -> Interval.

    Percentile bootstrap over `clusters` (n,), each row its own without them; every ranking is sorted once. It is too
    narrow for fewer than about 30 outcomes in an arm. The same seed gives the same intervals for any `n_threads`.
    """
    draws = _draws(list(rankings.values()), clusters, n_resamples, seed, n_threads=n_threads)
    return {
        name: {metric: Interval.of(of(one), of_one[:, at]) for at, (metric, of) in enumerate(METRICS.items())}
        for (name, one), of_one in zip(rankings.items(), draws, strict=True)
    }


def paired_difference(
    ours: Ranking, other: Ranking, clusters: NDArray[Any] | None = None, *, seed: int,
    n_resamples: int = N_RESAMPLES, metric: str = "qini",
) -> Interval:  # fmt: skip
    """ours − other in one of METRICS on the same rows, resampled together. Raises UserMistake for another metric."""
    if metric not in METRICS:
        raise UserMistake("no such metric of a ranking", value=metric, allowed=METRICS)
    place = list(METRICS).index(metric)
    mine, theirs = _draws([ours, other], clusters, n_resamples, seed)
    return Interval.of(METRICS[metric](ours) - METRICS[metric](other), mine[:, place] - theirs[:, place])


def _draws(
    rankings: Sequence[Ranking], clusters: NDArray[Any] | None, n_resamples: int, seed: int, *, n_threads: int = 1
) -> list[Vector]:
    """METRICS of each ranking (n_resamples, metrics) over the same resamples."""
    codes = _codes(rankings[0], clusters)
    along = [codes[one.order] for one in rankings]
    size = np.bincount(codes)

    def measure(counts: Counts) -> Vector:
        n_rows = float(_rows(counts, size))
        return np.concatenate(
            [one._figures(counts, SHARES, path, n_rows) for one, path in zip(rankings, along, strict=True)]
        )

    return np.split(resampled(codes, n_resamples, seed, measure, n_threads=n_threads), len(rankings), axis=1)


def _codes(first: Ranking, clusters: NDArray[Any] | None) -> NDArray[np.int32]:
    if clusters is not None:
        return codes_of(clusters, first.order)
    codes = np.empty(len(first.order), dtype=np.int32)
    codes[first.order] = np.arange(len(codes), dtype=np.int32)
    return codes


def _gain(sums: Vector) -> Vector:
    """Q of rows of sums N_t, N_c, Y_t, Y_c (k, 4)."""
    n_treated, n_others, treated, others = sums.T
    pulled = np.divide(others * n_treated, n_others, out=np.zeros(len(sums)), where=n_others > 0)
    return np.asarray(treated - pulled)


def _refuse_unlike(outcomes: Vector, treated: Mask, scores: Vector, chances: Vector | None) -> None:
    lengths = {len(outcomes), len(treated), len(scores), len(outcomes if chances is None else chances)}
    if len(lengths) > 1:
        raise UserMistake("outcomes, treatment and scores need the same rows", value=sorted(lengths))
    if not treated.any() or treated.all():
        raise UserMistake("an uplift needs treated and untreated rows", value=f"{int(treated.sum())} of {len(treated)}")
    if chances is not None and not ((chances > 0) & (chances < 1)).all():
        raise UserMistake("the chance of a treatment lies between 0 and 1", value=float(chances.min()))


def _walking(
    counts: Any, along: Any, treated: Any, others: Any, outcomes: Any, is_treated: Any, ends: Any, marks: Any, sums: Any
) -> Any:
    """Area under Q and the rows with an outcome in each arm; `sums` at `marks` rows, inside a level in proportion."""
    rows, treated_hits, other_hits, rows_above, mark = 0, 0, 0, 0, 0
    n_t, n_c, y_t, y_c, gain_above, area = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    a_t, a_c, b_t, b_c = 0.0, 0.0, 0.0, 0.0
    for at in range(len(along)):
        drawn: Any = np.int64(counts[along[at]])
        weight_t, weight_c, y = drawn * treated[at], drawn * others[at], outcomes[at]
        n_t += weight_t
        n_c += weight_c
        y_t += weight_t * y
        y_c += weight_c * y
        rows += drawn
        hit = drawn * np.int64(y > 0)
        treated_hits += hit * is_treated[at]
        other_hits += hit * (1 - is_treated[at])
        if ends[at]:
            gain = y_t - y_c * (n_t / n_c) if n_c > 0 else y_t
            area += (rows - rows_above) * (gain + gain_above) / 2
            while mark < len(marks) and rows >= marks[mark]:
                part = (marks[mark] - rows_above) / max(rows - rows_above, 1)
                sums[mark, 0], sums[mark, 1] = a_t + part * (n_t - a_t), a_c + part * (n_c - a_c)
                sums[mark, 2], sums[mark, 3] = b_t + part * (y_t - b_t), b_c + part * (y_c - b_c)
                mark += 1
            rows_above, gain_above, a_t, a_c, b_t, b_c = rows, gain, n_t, n_c, y_t, y_c
    return area, treated_hits, other_hits


def _counting(counts: Any, size: Any) -> Any:
    rows = 0
    for at in range(len(counts)):
        rows += np.int64(counts[at]) * size[at]
    return rows


_walk, _rows = compiled(_walking), compiled(_counting)
