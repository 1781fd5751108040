"""The compiled kernel of a forest: which leaf of each tree a customer reaches with each offer, and the sums of leaves.

A split that sends a row to the right rules out the leaves to its left; the row ends in the lowest leaf that no split,
on its way or beside it, ruled out (Lucchese et al. 2015, QuickScorer). So a customer costs one step for each split that
sends him to the right, and an offer one look-up a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    is_log_odds: NDArray[np.int32]  # the sums of the leaves are: 1 or 0, alone
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
    knots: Floats  # of the map from what the trees say to what is told; none: told as it is
    heights: Floats  # of the map at its knots


class Packed(NamedTuple):
    """The arrays of several `Laid` end to end by their types: what a call takes over costs as much as the trees.

    `whole` begins with the number of forests, then says where each part starts and stops in its array: forest by
    forest, part by part in the order of `Laid`.
    """

    whole: NDArray[np.int32]
    small: NDArray[np.uint16]
    sets: NDArray[Any]
    amounts: Floats


_ENDS = (0, 8, 12, 16, 20)  # parts of `Laid` by the array in which they lie
_N_PARTS = _ENDS[-1]


def packed(forests: Sequence[Laid]) -> Packed:
    """The same arrays for the kernel; sets of leaves as wide as the widest."""
    bounds = np.empty((len(forests), _N_PARTS, 2), dtype=np.int32)
    arrays = []
    for first, last in pairwise(_ENDS):
        at = 0 if first else 1 + bounds.size
        parts = [(f, part, laid[part]) for f, laid in enumerate(forests) for part in range(first, last)]
        for f, part, values in parts:
            bounds[f, part] = at, at + len(values)
            at += len(values)
        arrays.append(np.concatenate([values for _, _, values in parts]))
    whole, small, sets, amounts = arrays
    return Packed(np.concatenate([np.array([len(forests)], np.int32), bounds.ravel(), whole]), small, sets, amounts)


@compiled
def _part(array: NDArray[Any], whole: NDArray[np.int32], forest: int, part: int) -> NDArray[Any]:
    at = 1 + 2 * (forest * _N_PARTS + part)
    return array[whole[at] : whole[at + 1]]


@compiled
def _unpacked(whole: NDArray[np.int32], small: NDArray[np.uint16], sets: NDArray[Any], amounts: Floats, k: int) -> Laid:
    """Forest k of `Packed`."""
    return Laid(
        _part(whole, whole, k, 0), _part(whole, whole, k, 1), _part(whole, whole, k, 2), _part(whole, whole, k, 3),
        _part(whole, whole, k, 4), _part(whole, whole, k, 5), _part(whole, whole, k, 6), _part(whole, whole, k, 7),
        _part(small, whole, k, 8), _part(small, whole, k, 9), _part(small, whole, k, 10), _part(small, whole, k, 11),
        _part(sets, whole, k, 12), _part(sets, whole, k, 13), _part(sets, whole, k, 14), _part(sets, whole, k, 15),
        _part(amounts, whole, k, 16), _part(amounts, whole, k, 17), _part(amounts, whole, k, 18),
        _part(amounts, whole, k, 19),
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
def _mapped(value: float, knots: Floats, heights: Floats) -> float:
    """`value` mapped straight between the knots, as `numpy.interp` maps it."""
    first, n = 0, len(knots)  # the first knot above it is among n from here
    if n == 0:
        return value
    while n > 0:
        if knots[first + n // 2] <= value:
            first, n = first + n // 2 + 1, n - n // 2 - 1
        else:
            n //= 2
    if first == 0 or first == len(knots):
        return value if value != value else float(heights[max(first - 1, 0)])
    below, above = first - 1, first
    slope = (heights[above] - heights[below]) / (knots[above] - knots[below])
    return float(slope * (value - knots[below]) + heights[below])


@compiled
def mapped(values: Floats, knots: Floats, heights: Floats) -> Floats:
    """`values`, (n, r), mapped straight between the knots."""
    found = np.empty_like(values)
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            found[i, j] = _mapped(values[i, j], knots, heights)
    return found


@compiled
def _fill(found: Floats, rows: Floats, asked: NDArray[np.int32], laid: Laid) -> None:
    """Write into `found` (n, r) what a forest says of n customers' `rows` with the first r offers of the list that each
    asked for, of its only list if it has one: the sums of their leaves, or, where they are log-odds, the probability,
    mapped. The sums run in the order of the trees, as LightGBM's do."""
    n_trees, n_lists = len(laid.leaf_at) - 1, len(laid.look_at) - 1
    n_offers = len(laid.look_of) // n_lists
    still, values, sums = np.empty(n_trees, laid.kinds.dtype), np.empty(n_offers), np.empty(n_offers)
    for i in range(len(rows)):
        chosen = asked[i] if n_lists > 1 else 0
        still[:] = laid.every[0]
        _close(rows[i], laid, still)
        sums[:] = 0.0
        _add(still, laid, chosen, values, sums)
        for look in range(laid.look_at[chosen + 1] - laid.look_at[chosen]):
            if laid.is_log_odds[0]:
                sums[look] = 1.0 / (1.0 + exp(-sums[look]))
            sums[look] = _mapped(sums[look], laid.knots, laid.heights)
        for offer in range(found.shape[1]):
            found[i, offer] = sums[laid.look_of[chosen * n_offers + offer]]


@compiled
def scores(
    rows: Floats,
    asked: NDArray[np.int32],
    n_told: int,
    whole: NDArray[np.int32],
    small: NDArray[np.uint16],
    sets: NDArray[Any],
    amounts: Floats,
) -> Floats:
    """What the first forest of `Packed` says (n, n_told) of n customers' `rows` with the first offers of the list that
    each asked for. Each array stands alone: a tuple of them takes as long to be taken apart as all the rest."""
    found = np.empty((len(rows), n_told))
    _fill(found, rows, asked, _unpacked(whole, small, sets, amounts, 0))
    return found


@compiled
def all_scores(
    rows: Floats,
    ends: NDArray[np.int32],
    whole: NDArray[np.int32],
    small: NDArray[np.uint16],
    sets: NDArray[Any],
    amounts: Floats,
) -> Floats:
    """What all forests of `Packed` say of n customers' `rows`, the last column of which is the list that each asked
    for; forest k fills the columns before ends[k]."""
    asked, found = rows[:, -1].astype(np.int32), np.empty((len(rows), ends[-1]))
    start = 0
    for k in range(whole[0]):
        _fill(found[:, start : ends[k]], rows, asked, _unpacked(whole, small, sets, amounts, k))
        start = ends[k]
    return found
