"""Isotonic maps from a model's score to a probability, kept as plain data: two lists of knots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.recalibration import moved

Vector = NDArray[np.float64]

ORDER_SHARE = 0.02  # moves p by at most a fiftieth of what calibration moved it, and keeps the order of equals


@dataclass(frozen=True, slots=True)
class Calibration:
    """A piecewise linear, never falling map of [0, 1] into [0, 1]; `x` ascends strictly, `y` never falls.

    >>> Calibration((0.0, 0.5, 1.0), (0.0, 0.25, 1.0)).apply(np.array([0.25, 0.75])).tolist()
    [0.125, 0.625]
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    def apply(self, scores: Vector) -> Vector:
        """Probabilities of the same shape as `scores`."""
        return np.interp(scores, self.x, self.y)

    def shifted(self, shift: float) -> Calibration:
        """The same map with `shift` added to the logits at its knots, straight between them; itself for 0."""
        if shift == 0:
            return self
        return Calibration(self.x, tuple(map(float, moved(np.array(self.y), shift))))

    @classmethod
    def identity(cls) -> Calibration:
        """The map that changes nothing."""
        return cls((0.0, 1.0), (0.0, 1.0))

    @classmethod
    def fit(cls, scores: Vector, outcomes: Vector) -> Calibration:
        """Isotonic regression of `outcomes` (n,), 0 or 1, on `scores` (n,) that the fit has not seen.

        A block of the pooled-adjacent-violators fit is level at its rate from its lowest to its highest score, with
        straight lines between blocks. A level would tie all its customers and lose their order, so ORDER_SHARE of the
        raw score is mixed in. The lowest block may be without outcomes and the highest without their absence: they move
        off 0 and 1 by one pseudo-observation, at most half-way to the next. Fails to help when the rows are few (a
        block of few outcomes is followed to the letter) or are not like the time that comes.

        Barlow et al. (1972), Statistical Inference under Order Restrictions; Zadrozny & Elkan (2002), KDD.
        """
        from scipy.optimize import isotonic_regression  # a fit needs SciPy, serving does not

        order = np.argsort(scores, kind="stable")
        levels, starts, sizes = np.unique(scores[order], return_index=True, return_counts=True)
        means = np.add.reduceat(outcomes[order], starts) / sizes
        blocks = isotonic_regression(means, weights=sizes.astype(float)).blocks
        mass = np.add.reduceat(sizes, blocks[:-1]).astype(float)
        rates = _uncertain(np.add.reduceat(means * sizes, blocks[:-1]) / mass, mass)
        ends = np.concatenate([[0.0], levels[blocks[:-1]], levels[blocks[1:] - 1], [1.0]])
        x, places = np.unique(ends, return_index=True)
        y = (1 - ORDER_SHARE) * np.concatenate([rates[:1], rates, rates, rates[-1:]])[places] + ORDER_SHARE * x
        return cls(tuple(map(float, x)), tuple(map(float, y)))

    def to_json(self) -> dict[str, Any]:
        return {"x": list(self.x), "y": list(self.y)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        return cls(tuple(data["x"]), tuple(data["y"]))


def _uncertain(rates: Vector, mass: Vector) -> Vector:
    """Rising `rates` of blocks of `mass` rows, the first moved off 0 and the last off 1."""
    moved = rates.copy()
    if rates[0] == 0:
        moved[0] = min(1 / (mass[0] + 2), rates[1] / 2) if len(rates) > 1 else 1 / (mass[0] + 2)
    if rates[-1] == 1:
        moved[-1] = max(1 - 1 / (mass[-1] + 2), (1 + moved[-2]) / 2) if len(rates) > 1 else 1 - 1 / (mass[-1] + 2)
    return moved
