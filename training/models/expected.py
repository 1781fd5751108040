"""The value expected of a customer, out of what the model says stays of his money (A07).

    value_exp = value_12m × mean of s over the twelve months to come;  s(0) = 1, geometric between 0, 3, 6 and after

It stands apart from the training of that model, so that serving need not load what learns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.vocabulary import Column, Kind
from training.encoding import Arrays
from training.fitted import FittedModel

Vector = NDArray[np.float64]
MONTHS_AHEAD = (3, 6)
AHEAD = Column("months_ahead", Kind.INTEGER, "months after the profile of which the share is told")
_LEAST, _MONTHS = 1e-3, np.arange(1, 13)


@dataclass(frozen=True, slots=True)
class Expected:
    """Of n customers: the margin of the last twelve months, what stays at 90 and 180 days (0..1), and the value."""

    margin: Vector
    stays_90: Vector
    stays_180: Vector
    value_exp: Vector


def expected(model: FittedModel, facts: Arrays) -> Expected:
    """What the customers of `facts` (n rows; the model's features and value_12m) will earn, and what stays of them.

    NaN where value_12m is not known. A loss of the past is kept whole: money that goes does not mend it.
    """
    margin = np.asarray(facts["value_12m"], dtype=np.float64)
    at_90, at_180 = (_stays(model, facts, months) for months in MONTHS_AHEAD)
    at_180 = np.minimum(at_90, at_180)
    share = path(at_90, at_180).mean(axis=1)
    return Expected(margin, at_90, at_180, np.where(margin > 0, margin * share, margin))


def path(at_90: Vector, at_180: Vector) -> NDArray[np.float64]:
    """s after 1 … 12 months, (n, 12), from s after 3 and 6 months (n,).

    >>> path(np.array([0.8]), np.array([0.64])).round(3).tolist()[0][2:9:3]
    [0.8, 0.64, 0.512]
    """
    first, then = np.maximum(at_90, _LEAST), np.maximum(at_180, _LEAST)
    early = first[:, np.newaxis] ** (np.minimum(_MONTHS, 3) / 3)
    late = (then / first)[:, np.newaxis] ** (np.maximum(_MONTHS - 3, 0) / 3)
    return np.asarray(early * late)


def _stays(model: FittedModel, facts: Mapping[str, Any], months: int) -> Vector:
    n = len(facts["value_12m"])
    return model.score(model.recipe.encode({**facts, AHEAD.name: np.full(n, float(months))}))
