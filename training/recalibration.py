"""Following a drifting rate: one number added to every logit, learnt from recent mature labels, shrunk and guarded.

A model trained over a year says the year's rate; when the rate moves, all its probabilities are off together while
their order still holds. One shift a day mends that, and little else can be learnt from a few days: isotonic maps by
block made some periods of a real campaign worse, and estimates without labels diverged. How short a memory the shift
should have is no constant either: `Blend` asks many, and lets the mature days say whom to believe.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
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


SHIFTS = tuple(
    Recalibration(half_life_days=half, spread=spread)
    for half, spread in itertools.product((1.0, 2.0, 5.0, 10.0, 20.0), (0.1, 0.2, 0.35, 0.6, 1.0, 1.6))
)


@dataclass(frozen=True, slots=True)
class Blend:
    """The mean of many shifts and of none, each weighted by what it would have told of the days that are mature.

    The weight of a shift is e^(−Σ loss), its log losses over mature rows, those `memory_days` ago counting half: what
    Bayes' rule says of which one is right, slowly forgotten. So neither half-life nor spread is chosen, by a person or
    on a window that differs from the next. Vovk (1998), Journal of Computer and System Sciences 56.
    """

    shifts: Sequence[Recalibration] = SHIFTS
    memory_days: float = 20.0
    delay_days: int = 1

    def daily(self, p: Vector, outcomes: Vector, days: Days) -> Vector:
        """Probabilities (n,) as each day would have said them: `p` shifted by what was mature on the row's day (n,).

        >>> days = np.repeat(np.arange(40), 50)
        >>> said = Blend().daily(np.full(2000, 0.1), (np.arange(2000) % 2).astype(float), days)
        >>> bool(abs(said[-1] - 0.5) < 0.05), round(float(said[0]), 9)
        (True, 0.1)
        """
        shown = np.array(p, dtype=np.float64)
        for day, shift in self._by_day(p, outcomes, days, np.unique(days)):
            shown[days == day] = moved(p[days == day], shift)
        return shown

    def standing(self, p: Vector, outcomes: Vector, days: Days, today: int) -> float:
        """The shift of `today`, from rows of the days before, as `daily` would add it to rows of today.

        >>> days = np.repeat(np.arange(40), 50)
        >>> shift = Blend().standing(np.full(2000, 0.1), (np.arange(2000) % 2).astype(float), days, 40)
        >>> bool(abs(moved(np.array([0.1]), shift)[0] - 0.5) < 0.05)
        True
        """
        before = days < today
        order = np.append(np.unique(days[before]), today)
        return list(self._by_day(p[before], outcomes[before], days[before], order))[-1][1]

    def _by_day(self, p: Vector, outcomes: Vector, days: Days, order: Days) -> Iterator[tuple[int, float]]:
        """Each day of `order`, which rises, with its shift."""
        losses = np.zeros((len(order), len(self.shifts) + 1))
        for place, day in enumerate(order):
            today = days == day
            asked = np.append(self._asked(p, outcomes, day - days), 0.0)
            yield int(day), float(self._weights(losses[:place], day - order[:place]) @ asked)
            losses[place] = [_losses(moved(p[today], shift), outcomes[today]).sum() for shift in asked]

    def _asked(self, p: Vector, outcomes: Vector, ages: Days) -> Vector:
        """The shift that each of `shifts` asks for, from the rows that are mature."""
        found = np.empty(len(self.shifts))
        for place, one in enumerate(self.shifts):
            mature = (ages >= self.delay_days) & (ages <= 8 * one.half_life_days + self.delay_days)
            found[place] = one.shift(p[mature], outcomes[mature], ages[mature].astype(np.float64))
        return found

    def _weights(self, losses: NDArray[np.float64], ages: Days) -> Vector:
        """Weights (shifts + 1,) from losses (days, shifts + 1) of days so long ago."""
        counted = np.where(ages >= self.delay_days, np.exp2(-ages / self.memory_days), 0.0)
        summed = counted @ losses
        weights = np.exp(summed.min() - summed)
        return np.asarray(weights / weights.sum())


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
