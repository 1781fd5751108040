"""How often a customer will buy in the days to come, from a log of purchases: a count, where `value` says what stays.

Origins within the history stand for today: what was known of a customer then, and what he bought from then until the
history ends. Symbols: x purchases after the first, t days from the first to the last of them, T days from the first to
the origin, h days ahead, m = Σx ÷ ΣT. Trees learn by how much to correct what his own rate alone would say,

    expected(h) = e · trees(x);   e = h · (x + k) ÷ (T + k ÷ m)

under a Poisson likelihood, that is the mean of y ÷ e where a row weighs e. All that the trees see is free of the length
of a history, since today's is longer than any that could be learnt from: with x itself among the features, regular
customers of a simulated shop were told three fifths of what they bought. It fails where a season lies ahead that the
history has not seen, and for customers without a purchase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import MissingModel
from features.vocabulary import Kind
from training.boosting import Parameters, Trees, grow
from training.encoding import Feature, Matrix, Recipe

Vector = NDArray[np.float64]

FIGURES = Parameters(n_rounds=100, n_leaves=7, min_leaf_rows=300)
LEAST_PURCHASES = 200
ORIGINS = (0.5, 0.65, 0.8)  # shares of the history: long enough before, and enough left to be bought
_TRUST = 0.25  # k: purchases that the rate of all is worth; of .25, .5 and 1 the best within a shop's first 39 weeks
_NAMES = ("relative_rate", "active_share", "quiet_gaps", "mean_amount", "late_share")
_RECIPE = Recipe(tuple(Feature(name, Kind.NUMBER) for name in _NAMES))


@dataclass(frozen=True, slots=True)
class Purchases:
    """k purchases, each array (k,): customer, day (a number from any first day on), amount; a day counts once."""

    customers: NDArray[np.int64]
    days: NDArray[np.int64]
    amounts: Vector

    @classmethod
    def of(cls, customers: NDArray[np.int64], days: NDArray[np.int64], amounts: Vector) -> Purchases:
        """The log with all purchases of a customer on one day added up."""
        pairs, place = np.unique(np.stack([customers, days]), axis=1, return_inverse=True)
        return cls(pairs[0], pairs[1], np.asarray(np.bincount(place.ravel(), amounts), np.float64))

    def before(self, day: int) -> Purchases:
        """What was bought before `day`."""
        kept = self.days < day
        return Purchases(self.customers[kept], self.days[kept], self.amounts[kept])

    def counted(self, customers: NDArray[np.int64], start: int, stop: int) -> Vector:
        """Purchases (n,) of `customers`, ascending, on the days from `start` until `stop`, not included."""
        bought = self.customers[(self.days >= start) & (self.days < stop)]
        bought = bought[np.isin(bought, customers)]
        return np.bincount(np.searchsorted(customers, bought), minlength=len(customers)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class History:
    """n customers as they stood at the start of a day, ascending; x, t and T (n,) as above, in days."""

    customers: NDArray[np.int64]
    x: Vector
    t: Vector
    T: Vector
    mean_amount: Vector
    late: Vector

    @classmethod
    def of(cls, log: Purchases, day: int) -> History:
        """What was known at the start of `day`; `late` are purchases in the second half of his time as a customer."""
        known = log.before(day)
        customers, place = np.unique(known.customers, return_inverse=True)
        first, last = np.full(len(customers), day), np.full(len(customers), -1)
        np.minimum.at(first, place, known.days)
        np.maximum.at(last, place, known.days)
        n = np.bincount(place).astype(np.float64)
        late = np.asarray(np.bincount(place, known.days >= ((first + day) / 2)[place]), np.float64)
        amount = np.bincount(place, weights=known.amounts) / n
        return cls(customers, n - 1, (last - first).astype(float), (day - 1 - first).astype(float), amount, late)

    @property
    def pooled_rate(self) -> float:
        """m, purchases a day; just above 0 where nobody came back."""
        return max(float(self.x.sum() / max(self.T.sum(), 1)), 1e-9)

    def matrix(self) -> Matrix:
        """The features (n, 5) of the trees."""
        repeats, ever = np.maximum(self.x, 1), self.x > 0
        relative = self.x / np.maximum(self.T * self.pooled_rate, 1e-9)
        active = np.where(ever, self.t / np.maximum(self.T, 1), 0.0)
        gaps = (self.T - self.t) / np.maximum(np.where(ever, self.t / repeats, self.T), 1)
        return np.column_stack([relative, active, gaps, self.mean_amount, self.late / (self.x + 1)])

    def own_rate(self, n_days: int) -> Vector:
        """e (n,): what a customer's own rate, pulled to that of all, says of the next `n_days`."""
        return np.asarray(n_days * (self.x + _TRUST) / (self.T + _TRUST / self.pooled_rate))


@dataclass(frozen=True, slots=True)
class FittedPurchases:
    """The trees as text; `expect` asks them of any history."""

    text: str

    def expect(self, history: History, n_days: int) -> Vector:
        """Expected purchases (n,) of the customers of `history` in the next `n_days`."""
        return Trees(self.text).score(history.matrix()) * history.own_rate(n_days)


def train(
    log: Purchases, day: int, *, parameters: Parameters = FIGURES, origins: Sequence[float] = ORIGINS
) -> FittedPurchases:
    """The model from what was bought before `day`; raises MissingModel if too little was bought after an origin."""
    known = log.before(day)
    start = int(known.days.min())
    parts = []
    for share in origins:
        origin = start + int(share * (day - start))
        history = History.of(known, origin)
        exposure = history.own_rate(day - origin)
        parts.append((history.matrix(), known.counted(history.customers, origin, day), exposure))
    matrix, bought, exposure = (np.concatenate(column) for column in zip(*parts, strict=True))
    if bought.sum() < LEAST_PURCHASES * len(parts):
        raise MissingModel("too few purchases to learn from", value=int(bought.sum()),
                           allowed=f"{LEAST_PURCHASES} after each origin", todo="wait for a longer log")  # fmt: skip
    text = grow(matrix, bought / exposure, _RECIPE, parameters, objective="poisson", weights=exposure)
    return FittedPurchases(text)
