"""How a row of facts becomes a row of numbers: one recipe, learnt on training data, used alike offline and online.

A recipe is plain data. Numbers and flags go through as they are, missing stays NaN; a code becomes its place in the
dictionary learnt in training, and a code never seen there is missing. This file needs NumPy alone, so that the
request path can import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.vocabulary import Column, Kind

Arrays = Mapping[str, NDArray[Any]]
Matrix = NDArray[np.float64]

NUMERIC = frozenset({Kind.FLAG, Kind.INTEGER, Kind.NUMBER, Kind.AMOUNT})
LEARNABLE = NUMERIC | {Kind.CODE}  # sets and raw dates are not learnt from; dates reach a model as days since
_OFFER = "offer_"


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of a model: its column, its kind and, for a code, the dictionary learnt in training."""

    name: str
    kind: Kind
    of_offer: bool = False
    codes: tuple[str, ...] = ()

    @property
    def offer_column(self) -> str:
        """The column of bank table `offer` that this feature of an offer is read from.

        In a flat row it carries the prefix `offer_`, since both customer and offer have a `risk_level`.
        """
        return self.name if self.name == "offer_id" else self.name.removeprefix(_OFFER)

    def encode(self, values: NDArray[Any], places: Mapping[str, int]) -> Matrix:
        """`values` (n,) as float64 (n,): NaN where missing or never seen in training."""
        if self.kind is Kind.CODE:
            return np.fromiter((places.get(value, np.nan) for value in values), dtype=np.float64, count=len(values))
        return np.asarray(values, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Recipe:
    """The inputs of a model in the order of its matrix; features of the customer, then features of the offer.

    >>> recipe = Recipe((Feature("age", Kind.INTEGER), Feature("tier", Kind.CODE, codes=("V0", "V1"))))
    >>> recipe.encode({"age": np.array([30.0, np.nan]), "tier": np.array(["V1", "V9"], dtype=object)}).tolist()
    [[30.0, 1.0], [nan, nan]]
    """

    features: tuple[Feature, ...]
    _places: tuple[Mapping[str, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = tuple({code: place for place, code in enumerate(feature.codes)} for feature in self.features)
        object.__setattr__(self, "_places", places)

    @classmethod
    def learn(cls, columns: Sequence[Column], offer_columns: Sequence[Column], arrays: Arrays) -> Recipe:
        """The recipe over those `columns` that a model can learn from, codes in order of the alphabet."""
        features = [_learnt(column, arrays, of_offer=False) for column in columns if column.kind in LEARNABLE]
        features += [_learnt(column, arrays, of_offer=True) for column in offer_columns if column.kind in LEARNABLE]
        return cls(tuple(features))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def code_places(self) -> list[int]:
        """Columns of the matrix that hold codes."""
        return [place for place, feature in enumerate(self.features) if feature.kind is Kind.CODE]

    def encode(self, arrays: Arrays) -> Matrix:
        """One row per row of `arrays`, float64 (n, f), in C order."""
        return self._stack(arrays, range(len(self.features)))

    def encode_pairs(self, facts: Arrays, offers: Arrays) -> Matrix:
        """Every customer with every offer, float64 (n·m, f): row i·m + j is customer i with offer j.

        `facts` holds n rows; `offers` holds m rows under the column names of bank table `offer`, and `channel`. Each
        side is encoded once and then spread, so that one customer with 45 offers costs little more than 46 rows.
        """
        of_customer = [place for place, feature in enumerate(self.features) if not feature.of_offer]
        of_offer = [place for place, feature in enumerate(self.features) if feature.of_offer]
        named = {self.features[place].name: offers[self.features[place].offer_column] for place in of_offer}
        left, right = self._stack(facts, of_customer), self._stack(named, of_offer)
        pairs = np.empty((len(left), len(right), len(self.features)))
        pairs[:, :, of_customer] = left[:, np.newaxis, :]
        pairs[:, :, of_offer] = right[np.newaxis, :, :]
        return pairs.reshape(len(left) * len(right), len(self.features))

    def to_json(self) -> dict[str, Any]:
        return {"features": [asdict(feature) for feature in self.features]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        return cls(
            tuple(
                Feature(item["name"], Kind(item["kind"]), of_offer=item["of_offer"], codes=tuple(item["codes"]))
                for item in data["features"]
            )
        )

    def _stack(self, arrays: Arrays, places: Iterable[int]) -> Matrix:
        chosen = list(places)
        n_rows = len(arrays[self.features[chosen[0]].name]) if chosen else 1
        matrix = np.empty((n_rows, len(chosen)))
        for at, place in enumerate(chosen):
            feature = self.features[place]
            matrix[:, at] = feature.encode(arrays[feature.name], self._places[place])
        return matrix


def offer_features(columns: Iterable[Column]) -> tuple[Column, ...]:
    """`columns` of bank table `offer` under the names they carry in a flat row beside facts."""
    return tuple(c if c.name == "offer_id" else replace(c, name=_OFFER + c.name) for c in columns)


def arrays_of(frame: Any, columns: Iterable[Column | Feature]) -> dict[str, NDArray[Any]]:
    """Columns of a pandas `frame` in the array convention: numbers and flags float64 with NaN, codes object with None.

    Decimals, nullable integers and pandas' several marks of a missing value all come out the same way.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for column in columns:
        values = frame[column.name]
        if column.kind in NUMERIC:
            arrays[column.name] = values.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            texts = values.to_numpy(dtype=object)
            arrays[column.name] = np.array([v if isinstance(v, str) else None for v in texts], dtype=object)
    return arrays


def _learnt(column: Column, arrays: Arrays, *, of_offer: bool) -> Feature:
    if column.kind is not Kind.CODE:
        return Feature(column.name, column.kind, of_offer)
    seen = {value for value in arrays[column.name] if value is not None}
    return Feature(column.name, column.kind, of_offer, tuple(sorted(seen)))
