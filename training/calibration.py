"""Isotonic maps from a model's score to a probability, kept as plain data: two lists of knots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A piecewise linear, never falling map of [0, 1] into [0, 1]; `x` ascends strictly, `y` never falls.

    >>> Calibration((0.0, 0.5, 1.0), (0.0, 0.2, 1.0)).apply(np.array([0.25, 0.75])).tolist()
    [0.1, 0.6]
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    def apply(self, scores: Vector) -> Vector:
        """Probabilities of the same shape as `scores`."""
        return np.interp(scores, self.x, self.y)

    @classmethod
    def identity(cls) -> Calibration:
        """The map that changes nothing."""
        return cls((0.0, 1.0), (0.0, 1.0))

    @classmethod
    def fit(cls, scores: Vector, outcomes: Vector) -> Calibration:
        """Centred isotonic regression of `outcomes` (n,), 0 or 1, on `scores` (n,) that the fit has not seen.

        The blocks of the pooled-adjacent-violators fit become knots at their mean score and mean outcome, with
        straight lines between and to the corners (0, 0) and (1, 1). A step function would tie all customers of a block
        and lose their order; through the centres the order stays. A block without any outcome, or with nothing but,
        is moved by one pseudo-observation, so that no probability is exactly 0 or 1. Fails to help when the slice is
        small (a block of few outcomes is followed to the letter) or is not like the time that comes.

        Oron & Flournoy (2017), Centered isotonic regression, Statistics in Biopharmaceutical Research 9(3).
        """
        from scipy.optimize import isotonic_regression  # a fit needs SciPy, serving does not

        order = np.argsort(scores, kind="stable")
        levels, starts, sizes = np.unique(scores[order], return_index=True, return_counts=True)
        means = np.add.reduceat(outcomes[order], starts) / sizes
        fitted = isotonic_regression(means, weights=sizes.astype(float))
        edges = fitted.blocks[:-1]
        mass = np.add.reduceat(sizes, edges).astype(float)
        centres = np.add.reduceat(levels * sizes, edges) / mass
        rates = np.add.reduceat(means * sizes, edges) / mass
        rates = np.clip(rates, 1 / (mass + 2), 1 - 1 / (mass + 2))
        return cls._through(centres, np.maximum.accumulate(rates))

    @classmethod
    def _through(cls, centres: Vector, rates: Vector) -> Calibration:
        """Knots through the centres, strictly inside (0, 1), and on to the corners."""
        inner = (centres > 0) & (centres < 1)
        x = np.concatenate([[0.0], centres[inner], [1.0]])
        low, high = float(rates[0]), float(rates[-1])
        y = np.concatenate([[min(low, EDGE)], rates[inner], [max(high, 1 - EDGE)]])
        return cls(tuple(map(float, x)), tuple(map(float, y)))

    def to_json(self) -> dict[str, Any]:
        return {"x": list(self.x), "y": list(self.y)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        return cls(tuple(data["x"]), tuple(data["y"]))


EDGE = 1e-6  # log loss of a certainty that turns out wrong would be infinite
