"""Chance by purpose: every use of randomness has its own named stream, so that adding one does not move the others."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[Any]


class Chance:
    """Independent random streams of one seed, by purpose and month.

    >>> Chance(7).of("wealth").integers(10) == Chance(7).of("wealth").integers(10)
    np.True_
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def of(self, purpose: str, month: int = 0) -> np.random.Generator:
        """The stream of `purpose` in the month of that number; equal arguments begin an equal stream."""
        key = (zlib.crc32(purpose.encode()), month)
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(self._seed, spawn_key=key)))


def pick(rng: np.random.Generator, weights: tuple[float, ...], n: int) -> Array:
    """n indices drawn with the given weights; int8, shape (n,)."""
    edges = np.cumsum(weights, dtype=np.float32)
    drawn = np.searchsorted(edges[:-1] / edges[-1], rng.random(n, dtype=np.float32), side="right")
    return np.asarray(drawn, dtype=np.int8)


def pick_by(rng: np.random.Generator, table: Array, row: Array) -> Array:
    """One index a row, drawn with the weights table[row]; table (r, k) whose rows sum to 1, result int8 as `row`."""
    edges = np.cumsum(table, axis=1, dtype=np.float32)[:, :-1]
    u = rng.random(len(row), dtype=np.float32)
    found = np.zeros(len(row), np.int8)
    for column in edges.T:
        found += u >= column[row]
    return found


def normal_scores(rng: np.random.Generator, n: int) -> Array:
    """A random permutation of the n normal quantiles: normal scores without sampling noise in the tail, float32.

    Who is rich is chance; how many are rich is not, so that a small simulated bank has the skew of a large one.
    """
    return np.asarray(ndtri((rng.permutation(n) + 0.5) / n), dtype=np.float32)


def standardised(values: Array) -> Array:
    """Values shifted and scaled to mean 0 and variance 1, float32."""
    return np.asarray((values - values.mean()) / values.std(), dtype=np.float32)


def days_within(rng: np.random.Generator, low: Array | int, high: Array | int, n: int) -> Array:
    """n whole days, each drawn evenly from low to high, both included; int32."""
    span = np.asarray(high, np.float32) - np.asarray(low, np.float32) + 1
    drawn = np.floor(rng.random(n, dtype=np.float32) * span).astype(np.int32)
    return np.asarray(np.minimum(drawn, np.asarray(span, np.int32) - 1) + low, dtype=np.int32)
