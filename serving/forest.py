"""A champion's trees laid out for the offers of one catalogue: a request asks only what depends on the customer.

A split that sends a row to the right rules out the leaves to its left; the row ends in the lowest leaf that no split,
on its way or beside it, ruled out (Lucchese et al. 2015, QuickScorer). What the offers' own columns rule out is known
when the catalogue is laid out, and offers that look alike to a tree are one to it. So a customer costs one comparison a
split, and an offer one look-up a tree. The sums run in the order of the trees: the scores are LightGBM's to the bit.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.tree_text import Split, Tree
from training.boosting import Trees
from training.encoding import Matrix

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
_N_PROBES = 8
_AT_ONCE = 8  # customers worked on at once: what they look up then stays within a processor's cache


class Forest:
    """The trees of one model, laid out for r rows of offer columns; may be shared by threads."""

    def __init__(self, trees: Sequence[Tree], of_customer: Sequence[int], of_offer: Sequence[int], right: Matrix):
        column = {place: at for at, place in enumerate(of_customer)}
        known = {place: at for at, place in enumerate(of_offer)}
        self._word: Any = np.uint32 if max(len(tree.leaves) for tree in trees) <= 32 else np.uint64
        mine = [split for tree in trees for split in tree.splits if split.feature in column]
        self._numeric = _Numeric.of([split for split in mine if split.codes is None], column, self._word)
        self._coded = _Coded.of([split for split in mine if split.codes is not None], column, self._word)
        kinds = [kinds_of(tree, known, right, self._word) for tree in trees]
        sizes = [len(masks) for masks, _ in kinds]
        self._tree_of = np.repeat(np.arange(len(trees)), sizes)
        self._open = _column([mask for masks, _ in kinds for mask in masks], self._word)
        self._values = np.array([leaf for tree in trees for leaf in tree.leaves])
        self._first_leaf = starts_of(len(tree.leaves) for tree in trees)[self._tree_of][:, None]
        rows = np.array([rows for _, rows in kinds], dtype=np.intp).reshape(len(trees), len(right))
        self._place = rows + starts_of(sizes)[:, None]
        self._shape = (len(trees), len(right))
        self._room = _Room()

    @classmethod
    def of(
        cls, trees: Sequence[Tree], library: Trees, of_customer: Sequence[int], of_offer: Sequence[int], right: Matrix
    ) -> Forest | None:
        """`trees` for the rows of `right` (r, offer columns), or None where `library` scores probes otherwise.

        `of_customer` and `of_offer` are the places of either side's columns in the model's own matrix.
        """
        forest = cls(trees, of_customer, of_offer, right)
        return forest if forest._agrees(library, of_customer, of_offer, right) else None

    def score(self, left: Matrix) -> Floats:
        """Uncalibrated probabilities (n, r) of n customers, side by side (columns, n), with every row of offers."""
        n = left.shape[1]
        found = np.empty((n, self._shape[1]))
        for start in range(0, n, _AT_ONCE):
            found[start : start + _AT_ONCE] = self._probabilities(left[:, start : start + _AT_ONCE]).T
        return found

    def _probabilities(self, left: Matrix) -> Floats:
        """Probabilities (r, n) of a few customers: one look-up serves them all."""
        n, (n_trees, n_rows) = left.shape[1], self._shape
        still = np.empty((n_trees, n), dtype=self._word)
        still.fill(every_leaf(self._word))
        self._numeric.close(left, still)
        self._coded.close(left, still)
        reached = still.take(self._tree_of, axis=0)
        reached &= self._open
        values = self._values.take(lowest(reached) + self._first_leaf)
        spread = self._room.of((n_trees, n_rows, n))
        np.take(values, self._place, axis=0, out=spread, mode="clip")  # clip: NumPy then needs no copy of `out`
        raw = added(spread.reshape(n_trees, -1))
        plain = [1.0 / (1.0 + exp(-value)) for value in raw.tolist()]  # NumPy's own exp differs in a last bit
        return np.array(plain).reshape(n_rows, n)

    def _agrees(self, library: Trees, of_customer: Sequence[int], of_offer: Sequence[int], right: Matrix) -> bool:
        """Whether LightGBM gives the same to the bit on probes drawn around the splits."""
        chance = np.random.default_rng(0)
        left = np.where(chance.random((_N_PROBES, len(of_customer))) < 0.2, np.nan,
                        np.round(chance.lognormal(2, 2, (_N_PROBES, len(of_customer)))))  # fmt: skip
        pairs = np.empty((_N_PROBES, len(right), len(of_customer) + len(of_offer)))
        pairs[:, :, list(of_customer)] = left[:, None, :]
        pairs[:, :, list(of_offer)] = right
        told = library.score(pairs.reshape(_N_PROBES * len(right), -1))
        return bool((told.reshape(_N_PROBES, -1) == self.score(left.T)).all())


class _Room(threading.local):
    """One array a thread, kept: to get a fresh one from the system takes longer than to fill it."""

    def __init__(self) -> None:
        self._room = np.empty(0)

    def of(self, shape: tuple[int, ...]) -> Floats:
        if self._room.shape != shape:
            self._room = np.empty(shape)
        return self._room


@dataclass(frozen=True, slots=True)
class _Numeric:
    """Splits on numbers, tree by tree: columns (s, 1) but for `columns`, `starts` and `trees`."""

    columns: Places
    thresholds: Floats
    missing_left: NDArray[np.bool_]
    kept: NDArray[Any]  # leaves that are left when a row goes right
    starts: Places
    trees: Places

    @classmethod
    def of(cls, splits: Sequence[Split], column: Mapping[int, int], word: Any) -> _Numeric:
        trees, starts = _runs(splits)
        return cls(
            columns=np.array([column[split.feature] for split in splits], dtype=np.intp),
            thresholds=_column([split.threshold for split in splits], np.float64),
            missing_left=_column([split.missing_left for split in splits], np.bool_),
            kept=_kept(splits, word),
            starts=starts,
            trees=trees,
        )

    def close(self, left: Matrix, still: NDArray[Any]) -> None:
        """Take out of `still` (trees, n) the leaves that these splits rule out for customers (columns, n)."""
        if len(self.columns):
            values = left.take(self.columns, axis=0)
            goes_left = values <= self.thresholds
            goes_left |= (values != values) & self.missing_left
            _close(goes_left, self.kept, self.starts, self.trees, still)


@dataclass(frozen=True, slots=True)
class _Coded:
    """Splits on codes: `goes_left` holds the answer for a missing code and then for each code, split after split."""

    columns: Places
    goes_left: NDArray[np.bool_]
    offsets: Places
    most: Places
    kept: NDArray[Any]
    starts: Places
    trees: Places

    @classmethod
    def of(cls, splits: Sequence[Split], column: Mapping[int, int], word: Any) -> _Coded:
        trees, starts = _runs(splits)
        answers = [_answers(split) for split in splits]
        sizes = [len(row) for row in answers]
        return cls(
            columns=np.array([column[split.feature] for split in splits], dtype=np.intp),
            goes_left=np.array([said for row in answers for said in row], dtype=bool),
            offsets=starts_of(sizes)[:, None],
            most=_column([size - 1 for size in sizes], np.intp),
            kept=_kept(splits, word),
            starts=starts,
            trees=trees,
        )

    def close(self, left: Matrix, still: NDArray[Any]) -> None:
        """As of numbers; a code that no split knows goes where the last answer says, to the right."""
        if len(self.columns):
            values = left.take(self.columns, axis=0)
            values += 1.0
            values[values != values] = 0.0
            codes = np.minimum(values.astype(np.intp), self.most)
            codes += self.offsets
            _close(self.goes_left.take(codes), self.kept, self.starts, self.trees, still)


def _close(goes_left: NDArray[np.bool_], kept: NDArray[Any], starts: Places, trees: Places, still: Any) -> None:
    masks = np.negative(goes_left.astype(kept.dtype))  # all leaves for those that go left
    masks |= kept
    still[trees] &= np.bitwise_and.reduceat(masks, starts, axis=0)


def _column(values: Sequence[Any], of: Any) -> NDArray[Any]:
    return np.array(values, dtype=of).reshape(-1, 1)


def starts_of(sizes: Iterable[int]) -> Places:
    """Where each of several runs begins once they stand end to end."""
    return np.array([0, *accumulate(sizes)][:-1], dtype=np.intp)


def every_leaf(word: Any) -> int:
    return int(np.iinfo(word).max)


def _runs(splits: Sequence[Split]) -> tuple[Places, Places]:
    """The trees that `splits` belong to, and where each one's run begins."""
    starts = [at for at, split in enumerate(splits) if at == 0 or splits[at - 1].tree != split.tree]
    return np.array([splits[at].tree for at in starts], dtype=np.intp), np.array(starts, dtype=np.intp)


def _kept(splits: Sequence[Split], word: Any) -> NDArray[Any]:
    return _column([every_leaf(word) & ~split.left_leaves for split in splits], word)


def _answers(split: Split) -> list[bool]:
    codes = split.codes or frozenset()
    return [split.missing_left, *(code in codes for code in range(max(codes, default=0) + 1)), False]


def kinds_of(tree: Tree, known: Mapping[int, int], right: Matrix, word: Any) -> tuple[list[int], list[int]]:
    """The distinct sets of leaves that the offers' columns leave open, and which one each offer row has."""
    mine = [(known[split.feature], split) for split in tree.splits if split.feature in known]
    looked_at = list(dict.fromkeys(column for column, _ in mine))
    every = every_leaf(word)
    kinds: dict[int, int] = {}
    told: dict[tuple[float, ...], int] = {}
    rows = []
    for row in right[:, looked_at].tolist():
        seen = tuple(row)  # most offers look like others to a tree
        if seen not in told:
            values = dict(zip(looked_at, row, strict=True))
            open_ = every
            for column, split in mine:
                if not split.goes_left(values[column]):
                    open_ &= ~split.left_leaves
            told[seen] = kinds.setdefault(open_, len(kinds))
        rows.append(told[seen])
    return list(kinds), rows


def added(values: Floats) -> Floats:
    """Column sums of (trees, k), tree after tree as LightGBM adds; a single column NumPy would add in pairs."""
    sums: Floats = np.add.reduce(values, axis=0) if values.shape[1] > 1 else np.add.accumulate(values)[-1]
    return sums


def lowest(words: NDArray[Any]) -> NDArray[Any]:
    """Place of the lowest bit that is set, an integer: the exponent of that bit as a floating number."""
    bits = words & (~words + words.dtype.type(1))
    exponent: NDArray[Any]
    if bits.itemsize == 4:
        exponent = (bits.astype(np.float32).view(np.int32) >> 23) - 127
    else:
        exponent = (bits.astype(np.float64).view(np.int64) >> 52) - 1023
    return exponent
