"""Drawing one customer's list without arrays: `exploration.draw`, to the bit.

Where the last bit depends on the library (exponentials, logarithms, sums), NumPy's own functions are asked, over the
same numbers in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from decisioning.catalogue.catalogue import Floats
from decisioning.exploration import gumbel
from decisioning.shelf import Offers, Scene, Shelf, places

_INF = float("inf")


@dataclass(frozen=True, slots=True)
class Drawn:
    """Offers in order with the probability of each given those above it, and NO_ACTION's where it ended the list."""

    slots: tuple[tuple[int, float], ...]
    end_propensity: float | None


def race(scene: Scene, scores: dict[int, float], permitted: Offers) -> Drawn:
    """The list drawn from the scores of the permitted offers."""
    figures, case = scene.shelf.policy.arbitration, scene.case
    name = "" if scene.is_generic else case.customer_id
    noise = gumbel((name,), scene.on, case.terms.epoch, scene.shelf.catalogue.m)[0].tolist()
    amount, floor = figures.exploration_amount, figures.relevance_floor_amount
    arrival = {j: -score if amount == 0 else -score / amount - noise[j + 1] for j, score in scores.items()}
    ends = -floor if amount == 0 else -floor / amount - noise[0]
    every = np.full(scene.shelf.catalogue.m + 1, -_INF)
    every[0] = floor
    every[[j + 1 for j in scores]] = list(scores.values())
    rules, slots, elapsed = _ListRules(scene.shelf, permitted), list[tuple[int, float]](), -_INF
    for slot in range(case.terms.limit):
        allowed = rules.allowed(slot)
        first, at = -1, ends
        for j in places(allowed):
            if arrival[j] < at:
                first, at = j, arrival[j]
        chance = 1.0 if amount == 0 else _chance(every, first, scores, allowed, amount)
        if first < 0:
            return Drawn(tuple(slots), chance)
        slots.append((first, chance))
        rules.take(first)
        barred = rules.left & ~allowed
        if amount > 0 and barred:
            _put_off(arrival, places(barred), _took(elapsed, at))
        elapsed = at
    return Drawn(tuple(slots), None)


def _took(elapsed: float, at: float) -> float:
    """Logarithm of the time between two slots, whose own logarithms these are."""
    if elapsed == -_INF:
        return at
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(at + np.log1p(-np.exp(elapsed - at)))


def _put_off(arrival: dict[int, float], barred: Sequence[int], took: float) -> None:
    """Let the offers that were barred from a slot come later by the time that it took."""
    late = np.logaddexp([arrival[j] for j in barred], took)
    arrival.update(zip(barred, late.tolist(), strict=True))


def _chance(every: Floats, first: int, scores: dict[int, float], allowed: Offers, amount: float) -> float:
    """Softmax of the one that came first among all that were allowed."""
    closed = [j + 1 for j in scores if not allowed >> j & 1]
    score = every
    if closed:
        score = every.copy()
        score[closed] = -_INF
    weight = np.exp((score - np.maximum.reduce(score)) / amount)
    return float(weight[first + 1] / np.add.reduce(weight))


class _ListRules:
    """What a list may hold, as it grows: products once, subcategories bounded, tools never first."""

    def __init__(self, shelf: Shelf, permitted: Offers) -> None:
        self._shelf, self._figures = shelf, shelf.policy.arbitration
        self.left = permitted
        self._is_short = permitted.bit_count() < self._figures.diversity_top
        self._taken: list[int] = []

    def allowed(self, slot: int) -> Offers:
        if not self._taken:
            return self.left & ~self._shelf.tools
        if self._is_short or slot >= self._figures.diversity_top:
            return self.left
        return self.left & ~self._full()

    def take(self, offer: int) -> None:
        self.left &= ~(1 << offer | self._shelf.same_thing[offer])
        self._taken.append(offer)

    def _full(self) -> Offers:
        """The offers of whose subcategory the list holds as many as it may."""
        found = 0
        for offer in self._taken:
            group = self._shelf.same_group[offer]
            if sum(group >> other & 1 for other in self._taken) >= self._figures.diversity_max:
                found |= group
        return found
