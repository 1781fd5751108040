"""Parity: how a model treats the groups of a bank's customers, with the gap of each group and its interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.judging.metrics import LEVEL, TOP_SHARE, Interval, resamples

Vector = NDArray[np.float64]
Codes = NDArray[np.intp]

N_RESAMPLES = 300
LEAST_CUSTOMERS = 30  # below it a percentile interval over customers is too narrow to be shown as one
UNKNOWN = "not known"
_AGE_EDGES = (30, 45, 60)
_AGE_BANDS = ("under 30", "30 to 44", "45 to 59", "60 and over")


@dataclass(frozen=True, slots=True)
class Slice:
    """One group: its size, how p agrees with what came, and how often it is among the top tenth by p.

    `calibration_gap` is mean p − observed share, `chosen_gap` the group's share in the top tenth − that of all rows;
    both in 0..1, with intervals over customers. `is_small`: fewer than LEAST_CUSTOMERS, intervals not to be read.
    """

    by: str
    group: str
    n_rows: int
    n_customers: int
    observed_share: float
    calibration_gap: Interval
    chosen_share: float
    chosen_gap: Interval
    is_small: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def slices_of(frame: Any, outcomes: Vector, scores: Vector, *, seed: int) -> tuple[Slice, ...]:
    """Slices by class, age and region of the test rows `frame` (n), as far as it has them; each group once.

    A row is chosen if its p lies in the top tenth of all; at the border equal scores are chosen together.
    """
    customers = frame["customer_id"].to_numpy()
    chosen = (scores >= np.quantile(scores, 1 - TOP_SHARE)).astype(float)
    rows = {"gap": scores - outcomes, "chosen": chosen, "outcome": outcomes}
    found: list[Slice] = []
    for by, names in _groupings(frame):
        found += _slices(by, names, customers, rows, seed=seed)
    return tuple(found)


def _groupings(frame: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    if "customer_class" in frame:
        yield "class", _named(frame["customer_class"])
    if "age" in frame and frame["age"].notna().any():
        ages = frame["age"].to_numpy(dtype=float, na_value=np.nan)
        bands = np.array(_AGE_BANDS, dtype=object)[np.searchsorted(_AGE_EDGES, np.nan_to_num(ages), side="right")]
        yield "age", np.where(np.isnan(ages), UNKNOWN, bands)
    if "region" in frame and frame["region"].notna().any():
        yield "region", _named(frame["region"])


def _named(column: Any) -> NDArray[Any]:
    return np.array([value if isinstance(value, str) else UNKNOWN for value in column], dtype=object)


def _slices(
    by: str, names: NDArray[Any], customers: NDArray[Any], rows: Mapping[str, Vector], *, seed: int
) -> list[Slice]:
    groups, codes = np.unique(names.astype(str), return_inverse=True)
    told = _means(codes, len(groups), rows, np.ones(len(codes)))
    drawn = [_means(codes, len(groups), rows, w) for w in resamples(customers, N_RESAMPLES, seed)]
    intervals = {name: _intervals(told[name], np.array([draw[name] for draw in drawn])) for name in ("gap", "lead")}
    found = []
    for place, group in enumerate(groups):
        inside = codes == place
        n_customers = len(np.unique(customers[inside]))
        found.append(
            Slice(by, str(group), int(inside.sum()), n_customers, float(told["outcome"][place]),
                  intervals["gap"][place], float(told["chosen"][place]), intervals["lead"][place],
                  is_small=n_customers < LEAST_CUSTOMERS)
        )  # fmt: skip
    return found


def _means(codes: Codes, n_groups: int, rows: Mapping[str, Vector], weights: Vector) -> dict[str, Vector]:
    """Weighted mean of each figure by group, (groups,); `lead` is chosen less that of all rows. NaN in empty groups."""
    mass = np.bincount(codes, weights=weights, minlength=n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = {name: np.bincount(codes, weights=weights * values, minlength=n_groups) / mass
                 for name, values in rows.items()}  # fmt: skip
    return means | {"lead": means["chosen"] - float(np.average(rows["chosen"], weights=weights))}


def _intervals(values: Vector, draws: NDArray[np.float64]) -> list[Interval]:
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail], axis=0)
    return [Interval(float(v), float(a), float(b)) for v, a, b in zip(values, low, high, strict=True)]
