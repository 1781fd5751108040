"""Whom the simulated bank would offer what: its own rough gates, on what it can see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulation.bank_files import NEVER
from simulation.behaviour import Life
from simulation.chance import Array
from simulation.population import Population
from simulation.portfolio import Portfolio
from simulation.records import FACT, Records
from simulation.shelf import NO_SLOT, Need, Shelf
from simulation.truth import State

_FIRST_DAYS = 90
_WAKING_NEEDS = (Need.PAYMENT, Need.SCENE, Need.TOOL)
_REASSESSMENT = "S01"
_PRIVATE_MINOR = 100_000_000


@dataclass(frozen=True, slots=True)
class Gates:
    """What decides eligibility at the start of a month; `aum` (n,) in minor units, `busy_until` (n, products)."""

    people: Population
    life: Life
    records: Records
    portfolio: Portfolio
    shelf: Shelf
    aum: Array
    busy_until: Array
    first_on: int

    def admits(self, who: Array, offer: int) -> Array:
        """Which of `who` may be offered the offer of that number, bool (k,)."""
        shelf, product = self.shelf, int(self.shelf.product[offer])
        free = ~self.portfolio.held[who, product] | shelf.is_repeatable[product]
        free &= self.busy_until[who, product] < self.first_on
        if shelf.slot[product] != NO_SLOT:
            free &= self.aum[who] >= shelf.min_minor[offer]
        level = np.where(self.records.risk_until[who] > self.first_on, self.records.risk_level[who], 0)
        cap = np.where(self.people.age[who] >= 65, 2, 5)
        free &= shelf.risk[offer] <= np.minimum(level, cap)
        sleeps = self.life.state[who] >= State.ASLEEP
        if Need(int(shelf.need[offer])) not in _WAKING_NEEDS:
            free &= ~sleeps
        own = _OWN_GATES.get(shelf.product_ids[product])
        return np.asarray(free & own(self, who)) if own else free

    def _has(self, who: Array, fact: str) -> Array:
        return np.asarray(self.records.facts[who, FACT[fact]])


_OWN_GATES: dict[str, Callable[[Gates, Array], Array]] = {
    **dict.fromkeys(("P01", "P02"), lambda at, who: at.people.first_product_on[who] > at.first_on - _FIRST_DAYS),
    **dict.fromkeys(("P08", "P21"), lambda at, who: at._has(who, "LICENCE")),
    **dict.fromkeys(("P13", "P14"), lambda at, who: at._has(who, "NEEDS_TEST")),
    "P15": lambda at, who: at._has(who, "PENSION_MEMBER"),
    **dict.fromkeys(("P17", "P18"), lambda at, who: at.aum[who] > _PRIVATE_MINOR),
    "P19": lambda at, who: at.records.preapproved_until[who] > at.first_on,
    "P20": lambda at, who: at._has(who, "PROPERTY"),
    "P22": lambda at, who: at._has(who, "INCOME_PROOF") & (at.people.age[who] < 60),
    "P23": lambda at, who: at.portfolio.held[who, at.shelf.product_number("P22")],
    "P27": lambda at, who: at.life.is_paid_here[who],
    "P28": lambda at, who: at.people.age[who] >= 60,
    "P29": lambda at, who: at.people.document[who] > 0,
    "P31": lambda at, who: at.people.first_product_on[who] != NEVER,
    _REASSESSMENT: lambda at, who: at.records.risk_until[who] <= at.first_on,
}


def asks_to_reassess(shelf: Shelf) -> int:
    """The number of the product that is a risk re-assessment, or -1."""
    return shelf.product_ids.index(_REASSESSMENT) if _REASSESSMENT in shelf.product_ids else -1
