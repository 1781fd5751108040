"""The calibration line: a + b · logit p, the straight line on which the outcomes say a score's probabilities lie.

b is 1 for a calibrated score, below 1 for one too extreme, above 1 for one too timid. Cox (1958), Biometrika 45.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

N_PARTS = 5
_TINY = 1e-12
_SLACK = 1e-9  # of a sum of log likelihoods: what rounding may take from it


@dataclass(frozen=True, slots=True)
class Line:
    """Intercept a, slope b, and the slope's standard error with independent rows; NaN where there is no line."""

    intercept: float
    slope: float
    error: float

    def parts(self, outcomes: Vector, logits: Vector) -> list[Vector]:
        """What `step` needs summed over rows, N_PARTS vectors (n,): the score of both terms, and their information."""
        fitted = _expit(self.intercept + self.slope * logits)
        left, spread = outcomes - fitted, fitted * (1 - fitted)
        return [left, left * logits, spread, spread * logits, spread * logits**2]

    def step(self, sums: Vector) -> float:
        """The slope of a resample: one Newton step from this line by its sums (N_PARTS,), off by about 1 ÷ rows.

        NaN where the resample's logits do not vary. Shao & Tu (1995), The Jackknife and Bootstrap.
        """
        left, left_logit, spread, spread_logit, spread_square = sums
        held = spread * spread_square - spread_logit**2
        return float(self.slope + (spread * left_logit - spread_logit * left) / held) if held > 0 else float("nan")


def logits_of(scores: Vector) -> Vector:
    """ln p ÷ (1 − p) of the same shape, p kept 1e-12 away from 0 and 1."""
    squeezed = np.clip(scores, _TINY, 1 - _TINY)
    return np.asarray(np.log(squeezed / (1 - squeezed)))


def line_of(outcomes: Vector, logits: Vector, weights: Vector | None = None) -> Line:
    """The line of `outcomes` (n,), 0 or 1, on `logits` (n,) by maximum likelihood, rows weighed by `weights` (n,).

    NaN where the logits do not vary or one class is absent. With classes that a score parts entirely the slope grows
    without bound, and stops after fifty steps of at most 2.
    """
    drawn = np.ones(len(logits)) if weights is None else weights
    held = drawn > 0
    if np.ptp(logits[held]) == 0 or np.ptp(outcomes[held]) == 0:
        return Line(float("nan"), float("nan"), float("nan"))
    design, beta = np.column_stack([np.ones(len(logits)), logits]), np.array([0.0, 1.0])
    information = np.eye(2)
    for _ in range(50):
        fitted = _expit(design @ beta)
        information = design.T @ (design * (drawn * fitted * (1 - fitted))[:, np.newaxis])
        step = np.linalg.lstsq(information, design.T @ (drawn * (outcomes - fitted)), rcond=None)[0]
        step = np.clip(step, -2, 2)
        reached = _likelihood(design @ beta, outcomes, drawn)
        while np.abs(step).max() > _TINY and _likelihood(design @ (beta + step), outcomes, drawn) < reached - _SLACK:
            step = step / 2  # a score that says nothing throws a whole step over the top and back again
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    return Line(float(beta[0]), float(beta[1]), float(np.sqrt(np.linalg.pinv(information)[1, 1])))


def _likelihood(logits: Vector, outcomes: Vector, weights: Vector) -> float:
    return float(np.dot(weights, outcomes * logits - np.logaddexp(0.0, logits)))


def _expit(logits: Vector) -> Vector:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))))
