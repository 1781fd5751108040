"""The compiled kernel of a forest: which leaf of each tree a customer reaches with each offer, and the sums of leaves.

A split that sends a row to the right rules out the leaves to its left; the row ends in the lowest leaf that no split,
on its way or beside it, ruled out (Lucchese et al. 2015, QuickScorer). So a customer costs one step for each split that
sends him to the right, and an offer one look-up a tree.
"""

from __future__ import annotations

from itertools import pairwise
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
    for a missing value; a column of codes has one run for a missing or unknown code and then one a code. Lists of
    offers, one a channel, share all that belongs to the customer.
    """

    columns: NDArray[np.int32]  # of a customer's row
    cut_at: NDArray[np.int32]  # of each column
    run_at: NDArray[np.int32]  # of each column
    step_at: NDArray[np.int32]  # of each run
    leaf_at: NDArray[np.int32]  # of each tree
    kind_at: NDArray[np.int32]  # of each tree of each list
    look_at: NDArray[np.int32]  # of each list
    cut_trees: NDArray[np.uint16]
    step_trees: NDArray[np.uint16]
    kind_of: NDArray[np.uint16]  # (trees, looks) of each list, end to end: which of its tree's kinds a look has
    look_of: NDArray[np.uint16]  # (lists, offers), end to end: offers of one look are one to all trees
    cut_left: NDArray[Any]
    step_left: NDArray[Any]
    kinds: NDArray[Any]  # the leaves that offers leave open
    every: NDArray[Any]  # the set of all leaves, alone
    cuts: Floats
    leaves: Floats


class Packed(NamedTuple):
    """The arrays of `Laid` end to end by their types: what a call takes over costs as much as a customer's trees.

    `whole` begins with where each part starts and stops in its array, part by part in the order of `Laid`.
    """

    whole: NDArray[np.int32]
    small: NDArray[np.uint16]
    sets: NDArray[Any]
    amounts: Floats


_ENDS = (0, 7, 11, 15, 17)  # parts of `Laid` by the array in which they lie


def packed(laid: Laid) -> Packed:
    """The same arrays for the kernel."""
    bounds: list[int] = []
    for first, last in pairwise(_ENDS):
        at = 0 if first else 2 * len(laid)
        for part in laid[first:last]:
            bounds += (at, at + len(part))
            at += len(part)
    whole, *others = [np.concatenate(laid[first:last]) for first, last in pairwise(_ENDS)]
    return Packed(np.concatenate([np.array(bounds, dtype=np.int32), whole]), *others)


@compiled
def _part(array: NDArray[Any], whole: NDArray[np.int32], part: int) -> NDArray[Any]:
    return array[whole[2 * part] : whole[2 * part + 1]]


@compiled
def _unpacked(whole: NDArray[np.int32], small: NDArray[np.uint16], sets: NDArray[Any], amounts: Floats) -> Laid:
    return Laid(
        _part(whole, whole, 0), _part(whole, whole, 1), _part(whole, whole, 2), _part(whole, whole, 3),
        _part(whole, whole, 4), _part(whole, whole, 5), _part(whole, whole, 6), _part(small, whole, 7),
        _part(small, whole, 8), _part(small, whole, 9), _part(small, whole, 10), _part(sets, whole, 11),
        _part(sets, whole, 12), _part(sets, whole, 13), _part(sets, whole, 14), _part(amounts, whole, 15),
        _part(amounts, whole, 16),
    )  # fmt: skip


@compiled
def _run(starts: NDArray[np.int32], k: int) -> range:
    """The places of run k, unsigned: of a signed one it is asked each time whether it counts from the end."""
    return range(np.uint64(starts[k]), np.uint64(starts[k + 1]))


@compiled
def _close(row: Floats, laid: Laid, still: NDArray[Any]) -> None:
    """Take out of `still` (trees,) the leaves that a customer's columns rule out."""
    for k in range(len(laid.columns)):
        value = row[laid.columns[k]]
        if abs(value) <= _ZERO:
            value = 0.0
        run, n_codes = laid.run_at[k], laid.run_at[k + 1] - laid.run_at[k] - 1
        if n_codes == 0 and value == value:
            for at in _run(laid.cut_at, k):
                if value <= laid.cuts[at]:
                    break
                still[laid.cut_trees[at]] &= laid.cut_left[at]
        else:
            if -1 < value < n_codes:
                run += 1 + int(value)
            for at in _run(laid.step_at, run):
                still[laid.step_trees[at]] &= laid.step_left[at]


@compiled
def _add(still: NDArray[Any], laid: Laid, chosen: int, values: Floats, sums: Floats) -> None:
    """Add up the leaves of all trees in their order for the looks of the chosen list of offers; `values` has room for
    those of one tree."""
    n_trees, looks = len(still), _run(laid.look_at, chosen)
    at = np.uint64(laid.look_at[chosen] * n_trees)
    for tree in range(n_trees):
        kinds = _run(laid.kind_at, chosen * n_trees + tree)
        for kind in kinds:
            left = np.uint64(still[tree] & laid.kinds[kind])
            lowest = left & (~left + _ONE)
            leaf = np.uint64(laid.leaf_at[tree]) + _PLACE[(lowest * _TIMES) >> _UPPER]
            values[kind - kinds.start] = laid.leaves[leaf]
        for look in range(len(looks)):
            sums[look] += values[laid.kind_of[at + look]]
        at += len(looks)


@compiled
def scores(
    rows: Floats,
    asked: NDArray[np.int32],
    n_told: int,
    is_log_odds: bool,
    whole: NDArray[np.int32],
    small: NDArray[np.uint16],
    sets: NDArray[Any],
    amounts: Floats,
) -> Floats:
    """What the trees, `Packed`, say (n, n_told) of n customers' `rows` with the first offers of the list that each
    asked for. Each array stands alone in the call: a tuple of them takes as long to be taken apart as all the rest.

    That is the sum of their leaves, or, where it is the log-odds, the uncalibrated probability. The sums run in the
    order of the trees, as LightGBM's do.
    """
    laid = _unpacked(whole, small, sets, amounts)
    n_trees, n_lists = len(laid.leaf_at) - 1, len(laid.look_at) - 1
    n_offers = len(laid.look_of) // n_lists
    found = np.empty((len(rows), n_told))
    still, values, sums = np.empty(n_trees, laid.kinds.dtype), np.empty(n_offers), np.empty(n_offers)
    for i in range(len(rows)):
        still[:] = laid.every[0]
        _close(rows[i], laid, still)
        sums[:] = 0.0
        _add(still, laid, asked[i], values, sums)
        if is_log_odds:
            for look in range(laid.look_at[asked[i] + 1] - laid.look_at[asked[i]]):
                sums[look] = 1.0 / (1.0 + exp(-sums[look]))
        for offer in range(n_told):
            found[i, offer] = sums[laid.look_of[asked[i] * n_offers + offer]]
    return found
