"""How far a feature or a score has moved from the rows a model was trained on, month by month.

The population stability index of two samples over the same bins, Σ (aᵢ − eᵢ) ln(aᵢ ÷ eᵢ). It is above 0 even when
nothing moved: with n and m rows and B bins it is then about (1/n + 1/m) · χ² of B − 1 degrees of freedom. So each
figure stands beside the level that chance alone passes one time in a hundred; what lies below it is no finding.
Yurdakul & Naranjo (2020), Statistical properties of the population stability index, J. of Risk Model Validation 14.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from features.errors import UserMistake
from training.encoding import Arrays

Vector = NDArray[np.float64]

WATCH_FROM, ACT_ABOVE = 0.10, 0.25  # R48: a convention, to be read beside the noise
N_BINS = 10
_CHANCE = 0.99
_LEAST_CODE_SHARE = 0.01  # rarer codes share a bin with those never seen: an empty bin says nothing
_HALF = 0.5  # half a row in every bin keeps the logarithm finite


class Band(StrEnum):
    """What R48 says of a PSI: stable below .10, watch to .25, act above; TOO_FEW where chance says as much."""

    STABLE = "STABLE"
    WATCH = "WATCH"
    ACT = "ACT"
    TOO_FEW = "TOO_FEW"


@dataclass(frozen=True, slots=True)
class Psi:
    """A stability index with the rows and bins it rests on; `noise` is what chance passes one time in a hundred."""

    value: float
    n_expected: int
    n_actual: int
    n_bins: int
    noise: float

    @property
    def band(self) -> Band:
        if self.value < WATCH_FROM:
            return Band.STABLE
        if self.value <= self.noise:
            return Band.TOO_FEW
        return Band.WATCH if self.value <= ACT_ABOVE else Band.ACT

    def __str__(self) -> str:
        rows = f"{self.n_expected:,} against {self.n_actual:,} rows in {self.n_bins} bins"
        return f"{self.value:.3f} {self.band} ({rows}; chance reaches {self.noise:.3f})"


@dataclass(frozen=True, slots=True)
class Drift:
    """The index of one column in one month, datetime64[M]."""

    column: str
    month: np.datetime64
    psi: Psi


class Bins:
    """The bins of one column, learnt on the rows of the training: values (n,), float64 with NaN or texts with None.

    Numbers fall into N_BINS bins of about equal size, equal values into one; a code of at least a hundredth of the rows
    has its own, all others share one. Missing is a bin of its own.
    """

    def __init__(self, expected: NDArray[Any], n_bins: int = N_BINS) -> None:
        self._codes: dict[Any, int] | None = None
        self._edges = np.empty(0)
        if expected.dtype == object:
            counts = pd.Series(expected).value_counts()
            held = sorted(counts.index[counts >= _LEAST_CODE_SHARE * len(expected)])
            self._codes = {code: place for place, code in enumerate(held)}
            self._n_values = len(held) + 1
        else:
            known = expected[~np.isnan(expected)]
            if len(known):
                self._edges = np.unique(np.quantile(known, np.arange(1, n_bins) / n_bins, method="inverted_cdf"))
            self._n_values = len(self._edges) + 1
        self._expected = self.counts(expected)

    def counts(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Rows in each bin, the missing ones last; shape (bins,)."""
        if self._codes is not None:
            other = self._n_values - 1
            missing = pd.isna(values)
            places = np.array([self._codes.get(value, other) for value in values], dtype=np.int64)
        else:
            missing = np.isnan(values)
            places = np.searchsorted(self._edges, values, side="left")
        return np.bincount(np.where(missing, self._n_values, places), minlength=self._n_values + 1)

    def psi(self, actual: NDArray[Any]) -> Psi:
        """The index of `actual` (m,) against the rows of the training. Raises UserMistake without rows in either."""
        before, after = self._expected, self.counts(actual)
        n_before, n_after = int(before.sum()), int(after.sum())
        if not n_before or not n_after:
            raise UserMistake("a stability index needs rows on both sides", value=f"{n_before} and {n_after}")
        held = (before > 0) | (after > 0)
        n_bins = int(held.sum())
        expected = (before[held] + _HALF) / (n_before + _HALF * n_bins)
        found = (after[held] + _HALF) / (n_after + _HALF * n_bins)
        value = float(np.dot(found - expected, np.log(found / expected)))
        noise = float(chi2.ppf(_CHANCE, n_bins - 1)) * (1 / n_before + 1 / n_after) if n_bins > 1 else 0.0
        return Psi(value, n_before, n_after, n_bins, noise)


def psi(expected: NDArray[Any], actual: NDArray[Any], *, n_bins: int = N_BINS) -> Psi:
    """The stability index of `actual` (m,) against `expected` (n,): numbers with NaN, or texts with None.

    Raises UserMistake without rows on either side. It fails to see a move inside a bin, and with many bins and few rows
    it sees moves that are none, which `noise` tells.

    >>> psi(np.repeat([0.0, 1.0], 500), np.repeat([0.0, 1.0], [400, 600])).band
    <Band.STABLE: 'STABLE'>
    """
    return Bins(expected, n_bins).psi(actual)


def by_month(
    expected: Arrays, actual: Arrays, months: NDArray[np.datetime64], columns: Iterable[str] | None = None
) -> tuple[Drift, ...]:
    """The index of every column of `expected` (or those in `columns`) in each month of `months` (m,), rows of `actual`.

    Arrays as `training.encoding.arrays_of` makes them; a score is a column like any other. In order of the columns,
    then of the months. Raises UserMistake for a column that either side lacks, or without rows.
    """
    chosen = list(expected if columns is None else columns)
    absent = [name for name in chosen if name not in expected or name not in actual]
    if absent:
        raise UserMistake("drift needs the column on both sides", value=absent[0], allowed=expected)
    when = np.asarray(months, dtype="datetime64[M]")
    found = []
    for name in chosen:
        bins = Bins(expected[name])
        found += [Drift(name, month, bins.psi(actual[name][when == month])) for month in np.unique(when)]
    return tuple(found)
