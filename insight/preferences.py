"""What each class and tier cares about (客户在乎的是什么), from what its customers took when they were asked.

A need is the category of the offer that was carried; its share is taken ÷ asked among the customers of that class and
tier, each as he stood when he was asked. With fewer answers than the policy demands (200) the row shows the share of
the whole class and says so: `level` is then `class`, and `n` the answers of the class. Where the class has too few as
well, the row is `thin` and not to be acted on. Nobody drew by lot who was asked about what, so a share tells what these
customers took, not what others would.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from insight.answers import NO_NEED, Answers, added
from insight.history import ordered
from insight.policy import Evidence
from insight.proportions import Proportion, proportion

TIER, CLASS = "tier", "class"


@dataclass(frozen=True, slots=True)
class Preference:
    """How one class and tier answers to one need; `n_own` answers are its own, `taken` those of the level it shows."""

    customer_class: str
    tier: str
    need: str
    taken: Proportion
    n_own: int
    level: str
    is_thin: bool

    def __str__(self) -> str:
        said = f"{self.customer_class} {self.tier}: {self.need} {self.taken.share:.1%} of {self.taken.n:,}"
        if self.level == TIER:
            return said
        return f"{said} in the whole class, for {self.n_own:,} answers of the tier are too few" + (
            ", and so are those of the class" if self.is_thin else ""
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "customer_class": self.customer_class, "tier": self.tier, "need": self.need, **self.taken.to_json(),
            "n_own": self.n_own, "level": self.level, "is_thin": self.is_thin, "says": str(self),
        }  # fmt: skip


def preferences(found: Iterable[Answers], tiers: Sequence[str], evidence: Evidence) -> list[Preference]:
    """A row for each class, tier and need of which the class was asked; within a tier the dearest need first."""
    listed = [part for part in found if part.need != NO_NEED]
    rows = []
    for customer_class in sorted({part.customer_class for part in listed}):
        own = [part for part in listed if part.customer_class == customer_class]
        for tier in ordered(tiers, {part.tier for part in own}):
            needs = [_row(customer_class, tier, need, own, evidence) for need in sorted({part.need for part in own})]
            rows += sorted(needs, key=lambda row: (-(row.taken.share or 0.0), row.need))
    return rows


def _row(customer_class: str, tier: str, need: str, own: Sequence[Answers], evidence: Evidence) -> Preference:
    of_class = [part for part in own if part.need == need]
    of_tier = [part for part in of_class if part.tier == tier]
    _, n_own = added(of_tier)
    is_enough = n_own >= evidence.least_answers
    n_yes, n = added(of_tier if is_enough else of_class)
    return Preference(
        customer_class, tier, need, proportion(n_yes, n, evidence.level), n_own,
        level=TIER if is_enough else CLASS, is_thin=n < evidence.least_answers,
    )  # fmt: skip
