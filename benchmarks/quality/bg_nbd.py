"""The peer of purchase counts: BG/NBD, a Poisson rate a customer until he drops out after some purchase.

Rates are gamma over customers (r, α), the chance to drop out after a purchase is beta (a, b). Fader, Hardie & Lee
(2005), "Counting Your Customers" the Easy Way, Marketing Science 24; their data's 1/10 sample gives r .243, α 4.414.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln, hyp2f1

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BgNbd:
    """The four figures of the fit, times in weeks."""

    r: float
    alpha: float
    a: float
    b: float

    @classmethod
    def fit(cls, x: Vector, t: Vector, T: Vector) -> BgNbd:  # noqa: N803  # the paper's symbol
        """The most likely figures for x repeats, the last at t weeks, of T weeks as a customer; all (n,)."""
        found = minimize(lambda logs: -_log_likelihood(np.exp(logs), x, t, T), np.zeros(4), method="L-BFGS-B")
        return cls(*map(float, np.exp(found.x)))

    def expect(self, weeks: float, x: Vector, t: Vector, T: Vector) -> Vector:  # noqa: N803  # the paper's symbol
        """Expected purchases (n,) in the next `weeks`, equation (10) of the paper."""
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        shape = hyp2f1(r + x, b + x, a + b + x - 1, weeks / (alpha + T + weeks))
        alive = 1 - ((alpha + T) / (alpha + T + weeks)) ** (r + x) * shape
        dropped = (x > 0) * a / (b + np.maximum(x, 1) - 1) * ((alpha + T) / (alpha + t)) ** (r + x)
        return np.asarray((a + b + x - 1) / (a - 1) * alive / (1 + dropped))


def _log_likelihood(figures: Vector, x: Vector, t: Vector, T: Vector) -> float:  # noqa: N803  # the paper's symbol
    r, alpha, a, b = figures
    rates = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    chances = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    still = -(r + x) * np.log(alpha + T)
    left = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + t)
    return float(np.mean(rates + chances + np.logaddexp(still, np.where(x > 0, left, -np.inf))))
