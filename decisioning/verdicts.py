"""What a filter answers: for every customer and offer, whether it passes and, if not, the one reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.rules import Bools

Codes = NDArray[np.int16]
Instants = NDArray[np.datetime64]
PASSES = 0


@dataclass(frozen=True, slots=True)
class Verdicts:
    """One filter's verdicts for n customers, m offers and c channels.

    `codes` is (n, m): 0 passes, k is `table[k]`. `channels` is the same for single treatments, (n, m, c), or (n, 1, c)
    where all offers share it, or None where the filter does not look at channels: an offer all of whose channels are
    closed is out, with the reason of the first of them.
    `until` is the instant at which the reason lapses, (n, m), NaT where that is not known.
    """

    table: tuple[str, ...]
    codes: Codes
    channels: Codes | None = None
    until: Instants | None = None


class Bench:
    """Collects a filter's rejections; the first reason given to an offer stays.

    >>> bench = Bench(("PASSES", "HELD", "REFUSED"), (1, 3))
    >>> held = bench.reject(np.array([[True, False, False]]), "HELD")
    >>> refused = bench.reject(np.array([[True, True, False]]), "REFUSED")
    >>> bench.codes.tolist(), refused.tolist()
    ([[1, 2, 0]], [[False, True, False]])
    """

    def __init__(self, table: tuple[str, ...], shape: tuple[int, ...]) -> None:
        self.table = table
        self.codes: Codes = np.zeros(shape, dtype=np.int16)

    def reject(self, which: NDArray[Any], code: str) -> Bools:
        """Give `code` to all of `which` (broadcast to the shape) that have no reason yet; returns those."""
        if not np.count_nonzero(which):  # nearly always, and told in a tenth of the time
            return which
        fresh: Bools = np.logical_and(which, self.codes == PASSES)
        np.putmask(self.codes, fresh, self.table.index(code))
        return fresh
