"""A panel of learners on rows that they had not seen: how well each ranks, how far it is believed, and whom to take.

Symbols: s raw score, ψ pseudo-outcome of a row, whose mean given x is its effect τ(x) (`training.trials`).

The mean of all learners' effects (`together`) is a member of the panel as well, and it is taken unless one learner is
proven to rank better on rows that none of them had seen. Who takes the mean chooses nothing, and has no choice to err
by: among learners that lie closer than the error of their comparison, the best of the inner folds is the luckiest.
Why, and what it costs: docs/decisions/0011-effects-together.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from training.calibration import Calibration

TOGETHER = "together"
_ORDER_SHARE = 0.02  # of the error of the average: what one standard deviation of a score may move an effect at least
# That any of the panel counts as better than all together though none is. One in twenty came to twelve to eighteen in a
# hundred on pure noise, where lines that left a fold out lean away from what that fold says.
_CHANCE = 0.001

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """The line from a raw score s to an effect: average + slope · (s − centre).

    `measured` is the slope of ψ on s among customers that s had not seen, `error` its standard error over customers.
    The slope kept is measured · max(0, 1 − (error ÷ measured)²): a score that noise could have made says the average of
    everybody. `order` is the least slope, which moves no effect by as much as the average is uncertain, and keeps the
    order of a score that ranked better than chance; 0 for one that did not.
    """

    average: float
    average_error: float
    centre: float
    measured: float
    error: float
    order: float = 0.0

    @property
    def slope(self) -> float:
        if self.measured <= 0:
            return self.order
        return max(self.order, self.measured * max(0.0, 1 - (self.error / self.measured) ** 2))

    def effects(self, scores: Vector) -> Vector:
        """The effects (k,) that the line gives to `scores` (k,), however far they lie."""
        return np.asarray(self.average + self.slope * (scores - self.centre))

    def line(self, scores: Vector) -> Calibration:
        """The line as plain data, over the range of `scores` and as much again on both sides, where it is within ±1."""
        reach = float(np.ptp(scores)) + 1e-9
        ends = np.array([scores.min() - reach, scores.max() + reach])
        if self.slope > 0:
            ends = ends.clip(*(self.centre + (np.array([-1.0, 1.0]) - self.average) / self.slope))
        return Calibration(tuple(map(float, ends)), tuple(map(float, self.effects(ends))))

    def about(self, scores: Vector, weights: Vector) -> Shrinkage:
        """The same line through the mean of `scores` (k,): those of other trees lie round another one, and the average
        effect is what is known best."""
        return replace(self, centre=float(np.average(scores, weights=weights)))


def shrinkage(
    scores: Vector, psi: Vector, weights: Vector, customers: NDArray[np.int64], *, is_ranking: bool
) -> Shrinkage:
    """How far `scores` (k,) hold on rows they had not seen, whose pseudo-outcomes are `psi` (k,).

    Weighted least squares of ψ on s with errors robust to rows of one customer going together. A score that does not
    vary has slope 0; one that `is_ranking` better than chance keeps its order at least.
    """
    total = float(weights.sum())
    average, centre = float(np.average(psi, weights=weights)), float(np.average(scores, weights=weights))
    off, spread = psi - average, scores - centre
    average_error = _clustered(weights * off, customers) / total
    mass = float((weights * spread**2).sum())
    if mass <= 1e-20 * total:
        return Shrinkage(average, average_error, centre, 0.0, 0.0)
    measured = float((weights * spread * off).sum() / mass)
    error = _clustered(weights * spread * (off - measured * spread), customers) / mass
    order = _ORDER_SHARE * average_error / float(np.sqrt(mass / total)) if is_ranking else 0.0
    return Shrinkage(average, average_error, centre, measured, error, order)


@dataclass(frozen=True, slots=True)
class Part:
    """One fold of one draw: ψ, weights and customers (k,) of its rows, and the scores (k,) of each learner whose trees
    had not seen them."""

    draw: int
    psi: Vector
    weights: Vector
    customers: NDArray[np.int64]
    scores: Mapping[str, Vector]


@dataclass(frozen=True, slots=True)
class Lead:
    """By how much a learner's gain passes that of all together on the same rows, and its standard error."""

    value: float
    error: float

    def is_proven(self, n_learners: int) -> bool:
        """Whether chance would say as much of any of `n_learners` less than one time in a thousand (Bonferroni)."""
        return self.value > NormalDist().inv_cdf(1 - _CHANCE / n_learners) * self.error


@dataclass(frozen=True)
class Unseen:
    """The training rows, each as often as folds were drawn, as learners that had not seen them score them."""

    parts: tuple[Part, ...]

    @property
    def learners(self) -> tuple[str, ...]:
        return tuple(self.parts[0].scores)

    @cached_property
    def psi(self) -> Vector:
        return np.concatenate([part.psi for part in self.parts])

    @cached_property
    def weights(self) -> Vector:
        return np.concatenate([part.weights for part in self.parts])

    @cached_property
    def customers(self) -> NDArray[np.int64]:
        return np.concatenate([part.customers for part in self.parts])

    def together(self) -> Unseen:
        """With the mean effect of all learners as one more; of one learner alone there is none.

        What it says of a fold comes from trees and lines that knew nothing of it: the lines are measured on the other
        folds of the draw.
        """
        if len(self.learners) == 1:
            return self
        parts = []
        for part in self.parts:
            others = Unseen(tuple(one for one in self.parts if one.draw == part.draw and one is not part))
            said = [others.shrinkage(name).about(part.scores[name], part.weights).effects(part.scores[name])
                    for name in self.learners]  # fmt: skip
            parts.append(replace(part, scores={**part.scores, TOGETHER: np.mean(said, axis=0)}))
        return Unseen(tuple(parts))

    def gain(self, learner: str) -> float:
        """By how much more than chance the learner puts large effects first: the area between the two curves, in
        conversions a row."""
        return float(np.average(self.psi * (self._places(learner) - 0.5), weights=self.weights))

    def lead(self, learner: str) -> Lead:
        """The learner's gain beyond that of all together; rows of one customer go together."""
        more = self.psi * (self._places(learner) - self._places(TOGETHER))
        value = float(np.average(more, weights=self.weights))
        error = _clustered(self.weights * (more - value), self.customers) / float(self.weights.sum())
        return Lead(value, error)

    def leads(self) -> dict[str, Lead]:
        """Of every learner beyond all together; none where all together are not there."""
        if TOGETHER not in self.learners:
            return {}
        return {name: self.lead(name) for name in self.learners if name != TOGETHER}

    def shrinkage(self, learner: str) -> Shrinkage:
        """How far the learner's scores hold here.

        All together keep their order whatever they gain: it is made of those who gained, and where slopes are mostly
        noise, lines that left a fold out lean away from what that fold says.
        """
        scores = np.concatenate([part.scores[learner] for part in self.parts])
        is_ranking = learner == TOGETHER or self.gain(learner) > 0
        return shrinkage(scores, self.psi, self.weights, self.customers, is_ranking=is_ranking)

    def effects(self, learner: str, kept: Shrinkage) -> Vector:
        """What the learner says of the rows, each fold round the average effect."""
        return np.concatenate(
            [kept.about(part.scores[learner], part.weights).effects(part.scores[learner]) for part in self.parts]
        )

    def _places(self, learner: str) -> Vector:
        return np.concatenate([_places(part.scores[learner]) for part in self.parts])


def chosen(gains: Mapping[str, float], leads: Mapping[str, Lead]) -> str:
    """All together, unless one learner is proven to rank better; of several that are the one that gains most.

    A panel of one is that one.
    """
    proven = [name for name, lead in leads.items() if lead.is_proven(len(leads))]
    return max(proven or ([TOGETHER] if leads else list(gains)), key=lambda name: gains[name])


def _places(scores: Vector) -> Vector:
    """The place of each score from 0 (lowest) to 1, equal scores sharing theirs."""
    _, level, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2 - 0.5
    return np.asarray(middle[level] / len(scores))


def _clustered(parts: Vector, customers: NDArray[np.int64]) -> float:
    """Standard error of Σ parts when the rows of a customer go together."""
    sums = np.bincount(customers, weights=parts)
    return float(np.sqrt((sums**2).sum()))
