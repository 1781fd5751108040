"""Ranking among rows of one time: what is learnt before a block is judged inside it, so that drift earns nothing.

A column that only tells the month ranks well over a year in which the rate fell, and says nothing of any customer. An
AUC whose pairs come from one block each does not count that.

Symbols: y outcomes (n,), 0 or 1; s scores (n,); b blocks (n,), −1 for a row that is never judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

N_BLOCKS, N_FOLDS = 6, 4
_FIRST = -1  # the rows before every judged block


@dataclass(frozen=True, slots=True)
class Blocks:
    """Which rows are judged together: `places` (n,) from 0, −1 for rows only learnt from; `customers` (n,) as codes.

    In order of time a block is judged by what came before it; rows of one instant alone are judged by folds.
    """

    places: NDArray[np.int64]
    customers: NDArray[np.int64]
    is_in_time: bool

    @classmethod
    def of(cls, sent_at: NDArray[np.datetime64], customers: NDArray[Any], *, seed: int) -> Blocks:
        """N_BLOCKS blocks of about equal size, rows of one instant together; N_FOLDS folds of customers if one."""
        codes = np.unique(customers, return_inverse=True)[1]
        _, when, sizes = np.unique(sent_at, return_inverse=True, return_counts=True)
        middles = (np.cumsum(sizes) - sizes / 2) / len(sent_at)
        places = np.unique(np.floor(middles * N_BLOCKS), return_inverse=True)[1][when]
        if places.max() > 0:
            return cls(places + _FIRST, codes, True)
        return cls(np.random.default_rng(seed).integers(0, N_FOLDS, int(codes.max()) + 1)[codes], codes, False)

    @property
    def is_judged(self) -> Mask:
        return self.places >= 0

    def turns(self) -> Iterator[tuple[Mask, Mask]]:
        """Rows to learn from and rows to score, block after block."""
        for place in range(int(self.places.max()) + 1):
            inside = self.places == place
            yield (self.places < place) if self.is_in_time else ~inside, inside

    def scored(self, learn: Callable[[Mask, Mask], Vector]) -> Vector:
        """Scores (n,) where `learn(learnt, scored)` gives those of the scored rows; NaN for rows never judged."""
        scores = np.full(len(self.places), np.nan)
        for learnt, asked in self.turns():
            scores[asked] = learn(learnt, asked)
        return scores


@dataclass(frozen=True, slots=True)
class Area:
    """An AUC within blocks, and `pulls` (n,): how far each row pulls it from its mean, 0 for rows never judged."""

    value: float
    pulls: Vector

    def less(self, other: Area) -> Area:
        """The difference on the same rows, whose error is far below that of either."""
        return Area(self.value - other.value, self.pulls - other.pulls)

    def error(self, customers: NDArray[np.int64]) -> float:
        """Standard error: rows of one customer (n,) pull together."""
        return float(np.sqrt(np.square(np.bincount(customers, weights=self.pulls)).sum()))


def area(outcomes: Vector, scores: Vector, places: NDArray[np.int64]) -> Area:
    """P(s of a positive > s of a negative of the same block) + ½ P(equal), blocks weighed by their pairs.

    The standard error comes from the placements of each row among the other class. NaN where no block holds both
    classes. It fails with fewer than about ten rows of a class: the error comes out too small.
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44.
    """
    pulls, total, pairs = np.zeros(len(outcomes)), 0.0, 0.0
    for place in range(int(places.max()) + 1):
        rows = np.flatnonzero(places == place)
        hit = outcomes[rows] > 0
        n_pos, n_neg = int(hit.sum()), int((~hit).sum())
        if n_pos == 0 or n_neg == 0:
            continue
        place_all, placed = rankdata(scores[rows]), np.empty(len(rows))
        placed[hit] = (place_all[hit] - rankdata(scores[rows][hit])) / n_neg
        placed[~hit] = 1 - (place_all[~hit] - rankdata(scores[rows][~hit])) / n_pos
        one = float(placed[hit].mean())
        pulls[rows] = np.where(hit, n_neg, n_pos) * (placed - one)
        total, pairs = total + one * n_pos * n_neg, pairs + n_pos * n_neg
    if pairs == 0:
        return Area(float("nan"), pulls)
    return Area(total / pairs, pulls / pairs)
