"""Following a drifting rate: one number added to every logit, learnt from recent mature labels, shrunk and guarded.

A model trained over a year says the year's rate; when the rate moves, all its probabilities are off together while
their order still holds. One shift a day mends that, and little else can be learnt from a few days: isotonic maps by
block made some periods of a real campaign worse, and estimates without labels diverged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Days = NDArray[np.int64]

_TINY = 1e-9
_N_STEPS = 50


@dataclass(frozen=True, slots=True)
class Recalibration:
    """How a shift is learnt: labels of `half_life_days` ago count half, and its prior is normal around 0 with `spread`.

    Labels are mature `delay_days` after their day. A shift is only applied while, over the mature days of the last four
    half-lives, shifts so learnt would have had a lower log loss than none (the guard).
    """

    half_life_days: float = 5.0
    spread: float = 0.5
    delay_days: int = 1

    def shift(self, p: Vector, outcomes: Vector, ages_days: Vector) -> float:
        """The shift that mature rows ask for: their probabilities `p`, `outcomes` and ages, all (n,); 0 without rows.

        Maximises Σ w · ln P(y | logit p + b) − b² ÷ (2 · spread²), w = 2^(−age ÷ half-life), by Newton's steps.
        """
        weights = np.exp2(-ages_days / self.half_life_days)
        logits, held, shift = _logits(p), 1 / self.spread**2, 0.0
        for _ in range(_N_STEPS):
            fitted = _expit(logits + shift)
            pull = float(np.dot(weights, outcomes - fitted)) - held * shift
            step = pull / (float(np.dot(weights, fitted * (1 - fitted))) + held)
            shift += float(np.clip(step, -1, 1))
            if abs(step) < _TINY:
                break
        return shift

    def daily(self, p: Vector, outcomes: Vector, days: Days) -> Vector:
        """Probabilities (n,) as each day would have said them: `p` shifted by what was mature on the row's day (n,).

        >>> days = np.repeat(np.arange(40), 50)
        >>> said = Recalibration().daily(np.full(2000, 0.1), (np.arange(2000) % 2).astype(float), days)
        >>> bool(abs(said[-1] - 0.5) < 0.05), float(said[0])
        (True, 0.1)
        """
        shifted, shown = np.array(p, dtype=np.float64), np.array(p, dtype=np.float64)
        gains = np.zeros(len(p))
        window = 4 * self.half_life_days + self.delay_days
        for day in np.unique(days):
            today, ages = days == day, day - days
            mature = (ages >= self.delay_days) & (ages <= 8 * self.half_life_days + self.delay_days)
            shifted[today] = moved(p[today], self.shift(p[mature], outcomes[mature], ages[mature].astype(np.float64)))
            gains[today] = _losses(p[today], outcomes[today]) - _losses(shifted[today], outcomes[today])
            if gains[mature & (ages <= window)].sum() > 0:
                shown[today] = shifted[today]
        return shown


def moved(p: Vector, shift: float) -> Vector:
    """`p` with `shift` added to its logits; same shape, same order.

    >>> moved(np.array([0.5]), float(np.log(3))).tolist()
    [0.75]
    """
    return _expit(_logits(p) + shift)


def _losses(p: Vector, outcomes: Vector) -> Vector:
    kept = np.clip(p, _TINY, 1 - _TINY)
    return np.asarray(-(outcomes * np.log(kept) + (1 - outcomes) * np.log1p(-kept)))


def _logits(p: Vector) -> Vector:
    kept = np.clip(p, _TINY, 1 - _TINY)
    return np.asarray(np.log(kept / (1 - kept)))


def _expit(logits: Vector) -> Vector:
    return np.asarray(1 / (1 + np.exp(-logits)))
