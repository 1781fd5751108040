"""What a conversion cost before and after a change, with the same things counted as cost on both sides.

Symbols: c what was spent on each of n contacts (n,), by scope (contact, reward, …); h converted, 0 or 1 (n,). The cost
of a conversion is Σ c ÷ Σ h. A side that leaves out a scope looks cheap, so sides of unlike scope are not compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import UserMistake

NO_CONVERSION = "no_conversion"
_Z = 1.959964

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spent:
    """The contacts of one side: who converted (n,), and what was spent on each by scope, in reporting currency (n,)."""

    converted: Vector
    by_scope: Mapping[str, Vector]

    @property
    def scope(self) -> frozenset[str]:
        return frozenset(self.by_scope)

    @property
    def total(self) -> Vector:
        return np.asarray(np.sum(list(self.by_scope.values()), axis=0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a conversion with its interval at 95 %; None with the reason where nobody converted (shown as ∞)."""

    n_contacts: int
    n_conversions: int
    spent: float
    amount: float | None
    low: float | None
    high: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """After less before in currency, and relative, each as value, low, high; None where a side has no conversion."""

    scope: tuple[str, ...]
    before: Cost
    after: Cost
    difference: tuple[float, float, float] | None
    relative: tuple[float, float, float] | None

    @property
    def is_cheaper(self) -> bool:
        """The whole interval of the difference lies below 0."""
        return self.difference is not None and self.difference[2] < 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        """Both sides and the change in one sentence, with what was counted as cost."""
        told = [f"∞ ({side.n_contacts:,} contacts, none converted)" if side.amount is None else f"{side.amount:,.2f}"
                for side in (self.before, self.after)]  # fmt: skip
        head = f"a conversion cost {told[0]} before and {told[1]} after ({' + '.join(self.scope)})"
        if self.difference is None or self.relative is None:
            return head
        change = "{:+,.2f} [{:+,.2f}, {:+,.2f}]".format(*self.difference)
        return f"{head}: {change}, relative {{:+.0%}} [{{:+.0%}}, {{:+.0%}}]".format(*self.relative)


def cost_of(side: Spent) -> Cost:
    """The cost of a conversion on one side; its error by the delta method, contacts taken as independent."""
    n, hits, spent = len(side.converted), int(side.converted.sum()), float(side.total.sum())
    if hits == 0:
        return Cost(n, 0, spent, None, None, None, NO_CONVERSION)
    amount, half = spent / hits, _Z * _error(side)
    return Cost(n, hits, spent, amount, amount - half, amount + half)


def change(before: Spent, after: Spent) -> Change:
    """The cost of a conversion after less before; raises UserMistake where the two count unlike things as cost."""
    if before.scope != after.scope:
        raise UserMistake(
            "the two sides do not count the same costs", value=sorted(before.scope ^ after.scope),
            allowed=sorted(before.scope & after.scope),
            todo="state every scope on both sides, 0 where nothing was spent",
        )  # fmt: skip
    first, second = cost_of(before), cost_of(after)
    scope = tuple(sorted(before.scope))
    if first.amount is None or second.amount is None:
        return Change(scope, first, second, None, None)
    errors = _error(before), _error(after)
    gap, half = second.amount - first.amount, _Z * float(np.hypot(*errors))
    ratio = second.amount / first.amount
    spread = _Z * ratio * float(np.hypot(errors[0] / first.amount, errors[1] / second.amount))
    return Change(
        scope, first, second, (gap, gap - half, gap + half), (ratio - 1, ratio - 1 - spread, ratio - 1 + spread)
    )  # fmt: skip


def _error(side: Spent) -> float:
    """Standard error of Σ c ÷ Σ h."""
    hits = side.converted.sum()
    missed = side.total - side.total.sum() / hits * side.converted
    return float(np.sqrt((missed**2).sum()) / hits)
