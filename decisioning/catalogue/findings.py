"""What a check of the policy complains about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One complaint: where in the policy, what is wrong, by which rule, the value, and what is allowed.

    >>> print(Finding("cell MASS/NEW", "no product", rule="C01", allowed="one or more"))
    cell MASS/NEW: no product (C01); allowed: one or more
    """

    where: str
    what: str
    rule: str
    value: str = ""
    allowed: str = ""

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what} ({self.rule})"]
        parts += [f"got {self.value!r}"] if self.value else []
        parts += [f"allowed: {self.allowed}"] if self.allowed else []
        return "; ".join(parts)


def listed(names: Iterable[object]) -> str:
    """Names in order, as a finding shows them."""
    return ", ".join(sorted(map(str, names)))
