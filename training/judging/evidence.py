"""What columns say of an outcome, alone and together, as the rules of `training.judging.leakage` ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from features.vocabulary import Column, Kind
from training.boosting import Parameters, Trees, grow
from training.encoding import Recipe
from training.judging.blocks import Area, Blocks, Mask, Vector, area

COPY_CORRELATION = 0.95  # two copies of a column hide each other from every comparison with the rest
_STRICT = 3.09  # one in a thousand: a bank with a hundred columns trains every month
_N_BINS, _PRIOR_ROWS = 32, 20.0


@dataclass
class Evidence:
    """The rows that are compared: `frame` and `outcomes` (n,) by `blocks`; every score is made once, when asked for."""

    frame: pd.DataFrame
    outcomes: Vector
    blocks: Blocks
    seed: int
    _areas: dict[tuple[str, ...], Area] = field(default_factory=dict)

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Numbers and instants as float64 with NaN, everything else as texts with None."""
        return {str(name): _array(self.frame[name]) for name in self.frame.columns}

    @property
    def names(self) -> list[str]:
        return list(self.arrays)

    @cached_property
    def base(self) -> float:
        return float(self.outcomes.mean())

    @cached_property
    def numbers(self) -> list[str]:
        """Columns of numbers that take more than two values."""
        return [name for name, values in self.arrays.items() if values.dtype != object and _n_values(values) > 2]

    @cached_property
    def correlations(self) -> pd.DataFrame:
        """Rank correlation of every two columns of numbers, by the rows that hold both."""
        ranks = {name: rankdata(self.arrays[name], nan_policy="omit") for name in self.numbers}
        return pd.DataFrame(ranks).corr()

    def area_of(self, scores: Vector) -> Area:
        return area(self.outcomes, scores, self.blocks.places)

    def lower(self, one: Area) -> float:
        """What the figure is at least, but for one case in a thousand."""
        return one.value - _STRICT * one.error(self.blocks.customers)

    def rates(self, values: NDArray[Any]) -> Vector:
        """The score of one column: the earlier rate of its value, numbers in bins."""
        return self.blocks.scored(lambda learnt, asked: _rates(values, self.outcomes, learnt, asked))

    @cached_property
    def singles(self) -> dict[str, Vector]:
        return {name: self.rates(values) for name, values in self.arrays.items()}

    @cached_property
    def alone(self) -> dict[str, Area]:
        return {name: self.area_of(scores) for name, scores in self.singles.items()}

    def recall_at(self, precision: float, name: str) -> float:
        """The largest share of positives that `name` finds from the top, by 50 rows or more, at `precision`."""
        judged = self.blocks.is_judged
        outcomes, scores = self.outcomes[judged], self.singles[name][judged]
        order = np.argsort(-scores, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
        found = np.cumsum(outcomes[order])[ends]
        reached = found[(found >= precision * (ends + 1)) & (ends + 1 >= 50)]
        return float(reached.max() / outcomes.sum()) if len(reached) and outcomes.any() else 0.0

    def raw_auc(self, values: Vector) -> float:
        """The AUC of `values` (n,) as they are over the rows that hold one."""
        held = ~np.isnan(values)
        return area(self.outcomes[held], values[held], np.zeros(int(held.sum()), dtype=np.int64)).value

    def together(self, names: Sequence[str]) -> Area:
        """The AUC of trees on `names` together; .5 without any."""
        key = tuple(sorted(names))
        if key not in self._areas:
            self._areas[key] = self.area_of(self._trees(key))
        return self._areas[key]

    def copies(self, name: str) -> set[str]:
        """`name` and the columns that rank as it does."""
        if name not in self.numbers:
            return {name}
        alike = self.correlations[name].abs()
        return {name, *alike.index[alike >= COPY_CORRELATION]}

    def _trees(self, names: Sequence[str]) -> Vector:
        if not names:
            return np.where(self.blocks.is_judged, self.base, np.nan)
        columns = [Column(n, Kind.CODE if self.arrays[n].dtype == object else Kind.NUMBER, "") for n in names]
        recipe = Recipe.learn(columns, (), self.arrays)
        matrix = recipe.encode(self.arrays)
        least = max(5, min(50, len(matrix) // 200))
        plain = Parameters(n_rounds=60, learning_rate=0.1, n_leaves=15, min_leaf_rows=least, seed=self.seed)

        def learn(learnt: Mask, asked: Mask) -> Vector:
            return Trees(grow(matrix[learnt], self.outcomes[learnt], recipe, plain)).score(matrix[asked])

        return self.blocks.scored(learn)


def _rates(values: NDArray[Any], outcomes: Vector, learnt: Mask, asked: Mask) -> Vector:
    """The rate among `learnt` of the value of each row of `asked`, shrunk by _PRIOR_ROWS rows of the common rate."""
    places = _places(values, learnt)
    n_places = int(places.max()) + 1
    rows = np.bincount(places[learnt], minlength=n_places)
    hits = np.bincount(places[learnt], weights=outcomes[learnt], minlength=n_places)
    rates = (hits + _PRIOR_ROWS * outcomes[learnt].mean()) / (rows + _PRIOR_ROWS)
    return np.asarray(rates[places[asked]])


def _places(values: NDArray[Any], learnt: Mask) -> NDArray[np.int64]:
    """The bin of each row (n,), missing in bin 0; the edges of numbers are quantiles of the `learnt` rows."""
    if values.dtype == object:
        return np.asarray(pd.factorize(values)[0] + 1, dtype=np.int64)
    held = values[learnt & ~np.isnan(values)]
    edges = np.unique(np.quantile(held, np.arange(1, _N_BINS) / _N_BINS)) if len(held) else np.empty(0)
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="left") + 1)


def _array(values: pd.Series) -> NDArray[Any]:
    if pd.api.types.is_datetime64_any_dtype(values):
        return np.where(values.isna(), np.nan, values.astype("int64").astype(np.float64))
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.infer_dtype(values, skipna=True) == "decimal":
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    missing = values.isna().to_numpy()
    return np.array([None if gone else str(v) for v, gone in zip(values, missing, strict=True)], dtype=object)


def _n_values(values: Vector) -> int:
    return len(np.unique(values[~np.isnan(values)]))
