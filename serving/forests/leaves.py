"""The compiled kernel of a forest: which leaf of each tree a customer reaches with each offer, and the sums of leaves.

A split that sends a row to the right rules out the leaves to its left; the row ends in the lowest leaf that no split,
on its way or beside it, ruled out (Lucchese et al. 2015, QuickScorer). So a customer costs one step for each split that
sends him to the right, and an offer one look-up a tree.
"""

from __future__ import annotations

from math import exp
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.compiling import compiled

Floats = NDArray[np.float64]
_SPREAD = 0x03F79D71B4CB0A89  # de Bruijn: times a single bit, its upper six bits are another number for each place
_PLACE = np.empty(64, dtype=np.uint8)
_PLACE[[(_SPREAD << place & (1 << 64) - 1) >> 58 for place in range(64)]] = range(64)
_ZERO = float(np.float32(1e-35))  # what LightGBM reads as zero
_TIMES, _UPPER, _ONE = np.uint64(_SPREAD), np.uint64(58), np.uint64(1)


class Laid(NamedTuple):
    """A forest as flat arrays; `a_at[k] : a_at[k + 1]` is the part of `a` that belongs to k.

    A set of leaves is an integer, bit by bit, from left to right; `..._left` are the leaves of a tree that are left
    where splits send a customer to the right. A column of numbers has its splits by rising cut, and one run of steps
    for a missing value; a column of codes has one run for a missing or unknown code and then one a code.
    """

    columns: NDArray[np.int32]  # of a customer's row
    cut_at: NDArray[np.int32]  # of each column
    cuts: Floats
    cut_trees: NDArray[np.int16]
    cut_left: NDArray[Any]
    run_at: NDArray[np.int32]  # of each column
    step_at: NDArray[np.int32]  # of each run
    step_trees: NDArray[np.int16]
    step_left: NDArray[Any]
    leaf_at: NDArray[np.int32]  # of each tree
    leaves: Floats
    kind_at: NDArray[np.int32]  # of each tree
    kinds: NDArray[Any]  # the leaves that offers leave open
    kind_of: NDArray[np.uint16]  # (trees, offers): which of its tree's kinds


@compiled
def _close(row: Floats, laid: Laid, still: NDArray[Any]) -> None:
    """Take out of `still` (trees,) the leaves that a customer's columns rule out."""
    for k in range(len(laid.columns)):
        value = row[laid.columns[k]]
        if abs(value) <= _ZERO:
            value = 0.0
        run, n_codes = laid.run_at[k], laid.run_at[k + 1] - laid.run_at[k] - 1
        if n_codes == 0 and value == value:
            for at in range(laid.cut_at[k], laid.cut_at[k + 1]):
                if value <= laid.cuts[at]:
                    break
                still[laid.cut_trees[at]] &= laid.cut_left[at]
        else:
            if -1 < value < n_codes:
                run += 1 + int(value)
            for at in range(laid.step_at[run], laid.step_at[run + 1]):
                still[laid.step_trees[at]] &= laid.step_left[at]


@compiled
def _add(still: NDArray[Any], laid: Laid, values: Floats, sums: Floats) -> None:
    """Add up the leaves of all trees in their order; `values` has room for those of one tree."""
    for tree in range(len(still)):
        first, start = laid.leaf_at[tree], laid.kind_at[tree]
        for kind in range(start, laid.kind_at[tree + 1]):
            left = np.uint64(still[tree] & laid.kinds[kind])
            lowest = left & (~left + _ONE)
            values[kind - start] = laid.leaves[first + _PLACE[(lowest * _TIMES) >> _UPPER]]
        for offer in range(len(sums)):
            sums[offer] += values[laid.kind_of[tree, offer]]


@compiled
def scores(rows: Floats, laid: Laid, every: Any, is_log_odds: bool) -> Floats:
    """What the trees say (n, r) of n customers' `rows` with r offers; `every` is the set of all leaves.

    That is the sum of their leaves, or, where it is the log-odds, the uncalibrated probability. The sums run in the
    order of the trees, as LightGBM's do.
    """
    n_trees, n_offers = laid.kind_of.shape
    found = np.zeros((len(rows), n_offers))
    still, values = np.empty(n_trees, laid.kinds.dtype), np.empty(n_offers)
    for i in range(len(rows)):
        still[:] = every
        _close(rows[i], laid, still)
        _add(still, laid, values, found[i])
        if is_log_odds:
            for offer in range(n_offers):
                found[i, offer] = 1.0 / (1.0 + exp(-found[i, offer]))
    return found
