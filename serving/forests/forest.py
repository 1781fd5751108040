"""A champion's trees laid out for the offers of one catalogue: what the offers' columns rule out is known beforehand.

Offers that look alike to a tree are one to it, and those that look alike to all are one throughout; splits of one tree
that a code, or a missing value, sends to the right are one step. `leaves.py` asks about the customers: the
scores are LightGBM's to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.forests.leaves import Floats, Laid, packed, scores
from serving.forests.tree_text import Split, Tree
from training.encoding import Matrix

_N_PROBES = 16
_MISSING = float("nan")


class Forest:
    """The trees of one model, laid out for lists of r offers each; may be shared by threads."""

    def __init__(self, trees: Sequence[Tree], of_customer: Mapping[int, int], of_offer: Mapping[int, int],
                 offers: Sequence[Matrix], *, is_log_odds: bool = True) -> None:  # fmt: skip
        """`of_customer` and `of_offer`: where a customer's row, and one of each of `offers` (r, columns), has what the
        model calls by a number. `is_log_odds`: the sums of the leaves are; else they are what the model says."""
        self._word: Any = np.uint32 if max(len(tree.leaves) for tree in trees) <= 32 else np.uint64
        self._every = self._word(np.iinfo(self._word).max)
        kinds = [[self._kinds(tree, of_offer, one) for tree in trees] for one in offers]
        looks = [np.unique([places for _, places in of_list], axis=1, return_inverse=True) for of_list in kinds]
        asked = {place: _asked(trees, place) for place in of_customer}
        asked = {place: splits for place, splits in asked.items() if splits}
        cuts = [_cuts(splits) for splits in asked.values()]
        runs = [self._runs(splits) for splits in asked.values()]
        steps = [run for of_column in runs for run in of_column]
        self.laid = Laid(
            columns=np.array([of_customer[place] for place in asked], dtype=np.int32),
            cut_at=_starts(map(len, cuts)),
            run_at=_starts(map(len, runs)),
            step_at=_starts(map(len, steps)),
            leaf_at=_starts(len(tree.leaves) for tree in trees),
            kind_at=_starts(len(sets) for of_list in kinds for sets, _ in of_list),
            look_at=_starts(kind_of.shape[1] for kind_of, _ in looks),
            is_log_odds=np.array([is_log_odds], dtype=np.int32),
            cut_trees=np.array([split.tree for splits in cuts for split in splits], dtype=np.uint16),
            step_trees=np.array([tree for run in steps for tree in run], dtype=np.uint16),
            kind_of=np.concatenate([kind_of.astype(np.uint16).ravel() for kind_of, _ in looks]),
            look_of=np.concatenate([look_of.astype(np.uint16).ravel() for _, look_of in looks]),
            cut_left=self._sets(self._kept(split) for splits in cuts for split in splits),
            step_left=self._sets(left for run in steps for left in run.values()),
            kinds=self._sets(left for of_list in kinds for sets, _ in of_list for left in sets),
            every=self._sets([int(self._every)]),
            cuts=np.array([split.threshold for splits in cuts for split in splits], dtype=np.float64),
            leaves=np.array([leaf for tree in trees for leaf in tree.leaves], dtype=np.float64),
            knots=np.empty(0),
            heights=np.empty(0),
        )
        self._packed = packed([self.laid])

    def through(self, knots: Sequence[float], heights: Sequence[float]) -> Forest:
        """The same trees, with what they say mapped straight between the knots."""
        found = copy(self)
        found.laid = self.laid._replace(knots=np.array(knots), heights=np.array(heights))
        found._packed = packed([found.laid])
        return found

    def score(self, rows: Matrix, asked: NDArray[np.int32], n_told: int) -> Floats:
        """What the model says, (n, n_told), of customers' rows (n, columns) with the first offers of the list that each
        asks for, (n,)."""
        return scores(rows, asked, n_told, *self._packed)

    def probes(self, n_columns: int) -> Matrix:
        """Rows of made-up customers: values at the splits and right above them, every code, zeros and missing ones."""
        chance, laid = np.random.default_rng(0), self.laid
        rows = np.full((_N_PROBES, n_columns), _MISSING)
        for k, column in enumerate(laid.columns.tolist()):
            cuts = laid.cuts[laid.cut_at[k] : laid.cut_at[k + 1]]
            n_codes = laid.run_at[k + 1] - laid.run_at[k] - 1
            near = np.concatenate([cuts, np.nextafter(cuts, np.inf)]) if len(cuts) else np.arange(-1.0, n_codes + 1.0)
            rows[:, column] = chance.choice([*near, _MISSING, 0.0], _N_PROBES)
        return rows

    def _kinds(self, tree: Tree, of_offer: Mapping[int, int], offers: Matrix) -> tuple[list[int], list[int]]:
        """The distinct sets of leaves that offers leave open, and which of them each offer does."""
        mine = [(of_offer[split.feature], split) for split in tree.splits if split.feature in of_offer]
        looked_at = list(dict.fromkeys(column for column, _ in mine))
        kinds: dict[int, int] = {}
        told: dict[tuple[float, ...], int] = {}
        places = []
        for seen in map(tuple, offers[:, looked_at].tolist()):
            if seen not in told:  # most offers look like others to a tree
                values = dict(zip(looked_at, seen, strict=True))
                left = int(self._every)
                for column, split in mine:
                    if not split.goes_left(values[column]):
                        left &= self._kept(split)
                told[seen] = kinds.setdefault(left, len(kinds))
            places.append(told[seen])
        return list(kinds), places

    def _runs(self, splits: Sequence[Split]) -> list[dict[int, int]]:
        """By tree, the leaves that are left for a missing value and then, if the column holds codes, for each code."""
        codes = [split.codes for split in splits if split.codes is not None]
        n_codes = max((code for known in codes for code in known), default=-1) + 1
        return [self._steps(splits, value) for value in (_MISSING, *map(float, range(n_codes)))]

    def _steps(self, splits: Sequence[Split], value: float) -> dict[int, int]:
        steps: dict[int, int] = {}
        for split in splits:
            if not split.goes_left(value):
                steps[split.tree] = steps.get(split.tree, int(self._every)) & self._kept(split)
        return steps

    def _kept(self, split: Split) -> int:
        return int(self._every) & ~split.left_leaves

    def _sets(self, sets: Iterable[int]) -> NDArray[Any]:
        return np.array(list(sets), dtype=self._word)


def pairs(rows: Matrix, of_customer: Mapping[int, int], offers: Matrix, of_offer: Mapping[int, int]) -> Matrix:
    """Every customer with every offer as rows of the model's own matrix, (n·r, features)."""
    found = np.empty((len(rows), len(offers), len(of_customer) + len(of_offer)))
    found[:, :, list(of_customer)] = rows[:, None, list(of_customer.values())]
    found[:, :, list(of_offer)] = offers[:, list(of_offer.values())]
    return found.reshape(len(rows) * len(offers), -1)


def _asked(trees: Sequence[Tree], feature: int) -> list[Split]:
    return [split for tree in trees for split in tree.splits if split.feature == feature]


def _cuts(splits: Sequence[Split]) -> list[Split]:
    """The splits on numbers by rising threshold."""
    return sorted((split for split in splits if split.codes is None), key=lambda split: split.threshold)


def _starts(sizes: Iterable[int]) -> NDArray[np.int32]:
    """Where each of several runs begins once they stand end to end, and where the last ends."""
    return np.array([0, *accumulate(sizes)], dtype=np.int32)
