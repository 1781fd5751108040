"""All champions asked about one customer in one pass, without arrays of one row.

Between two neighbouring thresholds of a column all its splits answer alike. So what a column rules out in every tree is
one row of a table, found by one search among its thresholds; the rows of all columns, cut with each other, leave the
leaves that are still open (`forest.py` says why the lowest of them is the one). The tables are made when a release is
opened. The sums run in the order of the trees: the scores are those of `Forest`, and LightGBM's, to the bit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.packing import Plain
from features.vocabulary import Kind
from serving.forest import Floats, Places, added, every_leaf, kinds_of, lowest, starts_of
from serving.tree_text import Split, Tree
from training.encoding import Feature, Matrix

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Planted:
    """One model of a grove: its trees, and the inputs they look at."""

    trees: Sequence[Tree]
    features: Sequence[Feature]
    x: Floats  # of its calibration
    y: Floats

    def probabilities(self, sums: Floats) -> Floats:
        """Calibrated probabilities of the trees' sums."""
        odds = np.array(list(map(exp, (-sums).tolist())))  # NumPy's own exp differs in a last bit
        found: Floats = np.interp(1.0 / (1.0 + odds), self.x, self.y)
        return found


class Grove:
    """The trees of several models, laid out for what is known of a customer; may be shared by threads."""

    def __init__(self, models: Sequence[Planted]) -> None:
        self.models = models
        self.trees = [tree for model in models for tree in model.trees]
        self.word: Any = np.uint32 if max(len(tree.leaves) for tree in self.trees) <= 32 else np.uint64
        columns = _columns(models)
        self._names = [name for name, column in columns.items() if column.kind is not Kind.CODE]
        numbers = [_Number.of(columns[name]) for name in self._names]
        codes = {name: _Code.of(column) for name, column in columns.items() if column.kind is Kind.CODE}
        parts: list[_Number | _Code] = [*numbers, *codes.values()]
        tables = [part.table(len(self.trees), self.word) for part in parts]
        starts = starts_of(len(table) for table in tables).tolist()
        self._table = np.concatenate(tables)
        self._cuts, self._starts = [part.cuts for part in numbers], starts[: len(numbers)]
        self._missing = [start + len(cuts) + 1 for start, cuts in zip(self._starts, self._cuts, strict=True)]
        self._codes = [(name, {code: start + at for code, at in part.at.items()}, start)
                       for (name, part), start in zip(codes.items(), starts[len(numbers) :], strict=True)]  # fmt: skip
        self._pick = itemgetter(*self._names) if len(self._names) > 1 else None

    def left(self, facts: Mapping[str, Plain]) -> NDArray[Any]:
        """The leaves of every tree that the customer's own columns leave open, (trees,)."""
        found: NDArray[Any] = np.bitwise_and.reduce(self._table.take(self._rows(facts), axis=0), axis=0)
        return found

    def probes(self, n: int) -> list[dict[str, Plain]]:
        """Made-up customers whose numbers lie around the splits, a fifth of them missing."""
        chance = np.random.default_rng(0)
        numbers = np.where(chance.random((n, len(self._names))) < 0.2, np.nan,
                           np.round(chance.lognormal(2, 2, (n, len(self._names)))))  # fmt: skip
        codes: dict[str, list[Plain]] = {name: [*places, None] for name, places, _ in self._codes}
        return [
            dict(zip(self._names, row, strict=True))
            | {name: known[int(chance.integers(len(known)))] for name, known in codes.items()}
            for row in numbers.tolist()
        ]

    def _rows(self, facts: Mapping[str, Plain]) -> list[int]:
        known = zip(self._values(facts), self._cuts, self._starts, self._missing, strict=True)
        rows = [start + bisect_left(cuts, value) if value == value else none for value, cuts, start, none in known]
        rows += [places.get(facts.get(name), none) for name, places, none in self._codes]
        return rows

    def _values(self, facts: Mapping[str, Any]) -> Sequence[float]:
        try:
            return self._pick(facts) if self._pick is not None else [facts[name] for name in self._names]
        except KeyError:  # a column that the rows lack is missing for everybody
            return [facts.get(name, _NAN) for name in self._names]


class Stand:
    """A grove with the rows of offers that each of its models is asked about."""

    def __init__(self, grove: Grove, rows: Sequence[Matrix]) -> None:
        self._grove = grove
        kinds, shapes = [], []
        for model, right in zip(grove.models, rows, strict=True):
            known = [place for place, feature in enumerate(model.features) if feature.of_offer]
            at = {place: column for column, place in enumerate(known)}
            kinds += [kinds_of(tree, at, right, grove.word) for tree in model.trees]
            shapes.append((len(model.trees), len(right)))
        sizes = [len(masks) for masks, _ in kinds]
        self._tree_of = np.repeat(np.arange(len(kinds)), sizes)
        self._open = np.array([mask for masks, _ in kinds for mask in masks], dtype=grove.word)
        self._values = np.array([leaf for tree in grove.trees for leaf in tree.leaves])
        self._first_leaf = starts_of(len(tree.leaves) for tree in grove.trees)[self._tree_of].astype(np.int32)
        every = [
            [start + row for row in mine] for start, (_, mine) in zip(starts_of(sizes).tolist(), kinds, strict=True)
        ]
        cuts = starts_of(n for n, _ in shapes).tolist()
        self._places = [_distinct(np.array(every[start : start + n], dtype=np.intp).reshape(n, r))
                        for start, (n, r) in zip(cuts, shapes, strict=True)]  # fmt: skip

    def score(self, facts: Mapping[str, Plain]) -> list[list[float]]:
        """Probabilities of one customer with every row of offers, model by model."""
        reached = self._grove.left(facts).take(self._tree_of)
        reached &= self._open
        values = self._values.take(lowest(reached) + self._first_leaf)
        return [
            model.probabilities(added(values.take(places))).take(alike).tolist()
            for model, (places, alike) in zip(self._grove.models, self._places, strict=True)
        ]


def _distinct(places: Places) -> tuple[Places, Places]:
    """The distinct columns of `places` (trees, r), and which of them each of the r is: offers may look alike."""
    found, alike = np.unique(places, axis=1, return_inverse=True)
    return np.ascontiguousarray(found), alike.reshape(-1)


@dataclass(slots=True)
class _Column:
    """A column of the customer and all that is asked of it: each split with its tree's number and its codes' places."""

    kind: Kind
    splits: list[tuple[int, Split, Mapping[str, int]]]


def _columns(models: Sequence[Planted]) -> dict[str, _Column]:
    found: dict[str, _Column] = {}
    number = 0
    for model in models:
        places = [{code: at for at, code in enumerate(feature.codes)} for feature in model.features]
        for tree in model.trees:
            for split in tree.splits:
                feature = model.features[split.feature]
                if not feature.of_offer:
                    column = found.setdefault(feature.name, _Column(feature.kind, []))
                    column.splits.append((number, split, places[split.feature]))
            number += 1
    return found


@dataclass(frozen=True, slots=True)
class _Number:
    """A column of numbers: row k of its table is for values above the first k cuts, the last one for a missing one."""

    cuts: list[float]
    splits: Sequence[tuple[int, Split, Mapping[str, int]]]

    @classmethod
    def of(cls, column: _Column) -> _Number:
        return cls(sorted({split.threshold for _, split, _ in column.splits}), column.splits)

    def table(self, n_trees: int, word: Any) -> NDArray[Any]:
        table = np.full((len(self.cuts) + 2, n_trees), every_leaf(word), dtype=word)
        for tree, split, _ in self.splits:
            kept = every_leaf(word) & ~split.left_leaves
            table[bisect_left(self.cuts, split.threshold) + 1 : -1, tree] &= word(kept)
            if not split.missing_left:
                table[-1, tree] &= word(kept)
        return table


@dataclass(frozen=True, slots=True)
class _Code:
    """A column of codes: row 0 of its table is for a missing or unknown code, and each known one has its own."""

    at: dict[Plain, int]
    splits: Sequence[tuple[int, Split, Mapping[str, int]]]

    @classmethod
    def of(cls, column: _Column) -> _Code:
        codes = dict.fromkeys(code for _, _, places in column.splits for code in places)
        return cls({code: row for row, code in enumerate(codes, 1)}, column.splits)

    def table(self, n_trees: int, word: Any) -> NDArray[Any]:
        table = np.full((len(self.at) + 1, n_trees), every_leaf(word), dtype=word)
        for tree, split, places in self.splits:
            kept = word(every_leaf(word) & ~split.left_leaves)
            for code, row in ((None, 0), *self.at.items()):
                if not split.goes_left(float(places.get(str(code), _NAN))):
                    table[row, tree] &= kept
        return table
