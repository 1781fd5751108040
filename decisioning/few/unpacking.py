"""A shelf out of its three arrays, inside the loops."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Bools, Floats
from decisioning.few.shelf import N_AMOUNTS, Figures, Ints, Shelf
from features.compiling import compiled


@compiled
def unpacked(flags: Bools, whole: Ints, amounts: Floats) -> Shelf:
    """The arrays and figures of a shelf; nothing is copied."""
    m, c = whole[0], whole[1]
    return Shelf(
        _part(flags, whole, 0).reshape(-1, m),
        _part(flags, whole, 1).reshape(m, c),
        _part(flags, whole, 2).reshape(m, m),
        _part(flags, whole, 3).reshape(m, m),
        _part(flags, whole, 4).reshape(-1, m),
        _part(whole, whole, 5),
        _part(whole, whole, 6).reshape(-1, c),
        _part(whole, whole, 7).reshape(2, -1),
        _part(whole, whole, 8).reshape(2, -1),
        _part(whole, whole, 9),
        _part(whole, whole, 10).reshape(3, -1),
        _part(whole, whole, 11),
        _part(whole, whole, 12).reshape(2, -1),
        _part(amounts, whole, 13).reshape(-1, m),
        _part(amounts, whole, 14),
        _part(amounts, whole, 15),
        _part(amounts, whole, 16),
        _part(amounts, whole, 17).reshape(-1, 2),
        _part(amounts, whole, 18).reshape(-1, 2),
        _figures(amounts, amounts[N_AMOUNTS:]),
    )


@compiled
def _part(array: NDArray[Any], whole: Ints, part: int) -> NDArray[Any]:
    return array[whole[2 + 2 * part] : whole[3 + 2 * part]]


@compiled
def _figures(amounts: Floats, counts: Floats) -> Figures:
    return Figures(
        amounts[0], amounts[1], amounts[2], amounts[3], amounts[4], amounts[5], amounts[6], amounts[7], amounts[8],
        amounts[9], amounts[10], amounts[11], int(counts[0]), int(counts[1]), int(counts[2]), int(counts[3]),
        int(counts[4]), int(counts[5]), int(counts[6]), int(counts[7]), int(counts[8]),
    )  # fmt: skip
