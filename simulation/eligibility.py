"""Whom the simulated bank would offer what: its own rough gates, on what it can see."""

from __future__ import annotations

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
        return np.asarray(free & self._own_gate(who, shelf.product_ids[product]))

    def _own_gate(self, who: Array, product_id: str) -> Array | bool:
        """The gate of one product, as the bank's staff know it."""
        age, facts = self.people.age[who], self.records.facts[who]
        match product_id:
            case "P01" | "P02":
                return np.asarray(self.people.first_product_on[who] > self.first_on - _FIRST_DAYS)
            case "P08" | "P21":
                return np.asarray(facts[:, FACT["LICENCE"]])
            case "P13" | "P14":
                return np.asarray(facts[:, FACT["NEEDS_TEST"]])
            case "P15":
                return np.asarray(facts[:, FACT["PENSION_MEMBER"]])
            case "P17" | "P18":
                return np.asarray(self.aum[who] > 100_000_000)
            case "P19":
                return np.asarray(self.records.preapproved_until[who] > self.first_on)
            case "P20":
                return np.asarray(facts[:, FACT["PROPERTY"]])
            case "P22":
                return np.asarray(facts[:, FACT["INCOME_PROOF"]] & (age < 60))
            case "P23":
                return np.asarray(self.portfolio.held[who, self.shelf.product_number("P22")])
            case "P27":
                return np.asarray(self.life.is_paid_here[who])
            case "P28":
                return np.asarray(age >= 60)
            case "P29":
                return np.asarray(self.people.document[who] > 0)
            case "S01":
                return np.asarray(self.records.risk_until[who] <= self.first_on)
            case "P31":
                return np.asarray(self.people.first_product_on[who] != NEVER)
        return True


def asks_to_reassess(shelf: Shelf) -> int:
    """The number of the product that is a risk re-assessment, or -1."""
    return shelf.product_ids.index(_REASSESSMENT) if _REASSESSMENT in shelf.product_ids else -1
