"""Bootstrap over customers that never sorts again: a score is ranked once, and a resample is a count per customer.

The only file that knows Numba. A resample draws as many customers as there are, with replacement; its counts come from
a generator of its own, so that the same seed gives the same resamples on one thread and on many, and every score,
metric and file of this folder meets the same ones.

Efron & Tibshirani (1993), An Introduction to the Bootstrap; Steele, Lea & Flood (2014), Fast splittable pseudorandom
number generators, OOPSLA.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Counts = NDArray[np.uint8]  # a customer drawn 256 times would be the first since the world began

N_RESAMPLES = 1000
LEVEL = 0.95
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST_MIX, _SECOND_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_A, _B, _C, _HALF = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its percentile bootstrap interval at LEVEL."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"

    @classmethod
    def of(cls, value: float, draws: Vector) -> Interval:
        """`value` between the percentiles of `draws`, those that are NaN left out; NaN ends if all are."""
        if np.isnan(draws).all():
            return cls(value, float("nan"), float("nan"))
        tail = (1 - LEVEL) / 2
        low, high = np.nanquantile(draws, [tail, 1 - tail])
        return cls(value, float(low), float(high))


def codes_of(clusters: NDArray[Any], order: NDArray[np.intp] | None = None) -> NDArray[np.int32]:
    """A number (n,) for each row's customer, those met first along `order` (n,) first.

    Customers are numbered as a ranking meets them, so that its counts are read in a row: twice as fast.
    """
    codes = np.unique(clusters, return_inverse=True)[1]
    if order is not None:
        met = np.unique(codes[order], return_index=True)[1]
        codes = np.argsort(np.argsort(met, kind="stable"), kind="stable")[codes]
    return codes.astype(np.int32)


def resampled(
    codes: NDArray[np.int32], n_resamples: int, seed: int, measure: Callable[[Counts], Vector], *, n_threads: int = 1
) -> Vector:
    """`measure(counts)` (k,) of every resample, shape (n_resamples, k); counts (customers,) last as long as the call.

    The answer is the same for any `n_threads`; 0 takes every processor. `measure` gains by them as far as it lets go
    of the interpreter's lock, which compiled walks do.
    """
    states, n_customers = _states(seed, n_resamples), int(codes.max()) + 1

    def some(places: NDArray[np.int64]) -> list[Vector]:
        counts = np.empty(n_customers, dtype=np.uint8)
        found = []
        for place in places:
            _draw(states[place], counts)
            found.append(measure(counts))
        return found

    parts = np.array_split(np.arange(n_resamples), min(n_threads or os.cpu_count() or 1, n_resamples))
    if len(parts) == 1:
        return np.array(some(parts[0]))
    with ThreadPoolExecutor(len(parts)) as pool:
        return np.array([row for rows in pool.map(some, parts) for row in rows])


def resamples(clusters: NDArray[Any], n_resamples: int, seed: int) -> Iterator[Vector]:
    """Weights (n,) of each resample: how often the customer of a row was drawn. The same for equal seeds."""
    codes = codes_of(clusters)
    counts = np.empty(int(codes.max()) + 1, dtype=np.uint8)
    for state in _states(seed, n_resamples):
        _draw(state, counts)
        yield counts.astype(np.float64)[codes]


def _states(seed: int, n_resamples: int) -> NDArray[np.uint64]:
    return np.random.SeedSequence(seed).generate_state(n_resamples, np.uint64).astype(np.uint64)


def _drawing(state: Any, counts: Any) -> None:
    """Fill `counts` with how often each of its places comes up in as many draws as it is long."""
    counts[:] = 0
    length = np.uint64(len(counts))
    for _ in range(len(counts)):
        state += _STEP
        mixed = (state ^ (state >> _A)) * _FIRST_MIX
        mixed = (mixed ^ (mixed >> _B)) * _SECOND_MIX
        mixed ^= mixed >> _C
        counts[((mixed >> _HALF) * length) >> _HALF] += 1


compiled: Callable[[Any], Any] = numba.njit(nogil=True, error_model="numpy")  # measures compile their walks with it
_draw = compiled(_drawing)
