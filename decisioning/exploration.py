"""Bounded randomisation: which offers are drawn, in which order, and with which probability.

Plackett–Luce by Gumbel noise. The score in units of the exploration amount is a log-weight; score + amount × Gumbel
noise in falling order is a draw without replacement in which each slot takes an offer with probability softmax(score ÷
amount) among those still there and allowed. The noise is a race: offer j arrives at an exponential time of rate
weight_j, and the first to arrive takes the slot. An offer that the list's rules bar from a slot (a third of one
subcategory, a tool before anything else) has its clock stopped for as long, so that by the exponential's lack of
memory the softmax stays exact when it comes back. (Yellott 1977; Efraimidis & Spirakis 2006.)
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Bools, Catalogue, Floats
from decisioning.policy import Arbitration

NOTHING = -1  # an empty slot: the list has ended
_FRACTION_BITS = 53
_SPARE_BITS = np.uint64(64 - _FRACTION_BITS)


@dataclass(frozen=True, slots=True)
class Draw:
    """Offers by slot, (n, slots): index or NOTHING, and the probability of each given those above it.

    `end_propensity` (n,) is the probability with which NO_ACTION ended the list where it did, NaN where the slots
    were filled. `n_drawn` (n,) counts the offers.
    """

    offer: NDArray[np.int64]
    propensity: Floats
    end_propensity: Floats

    @property
    def n_drawn(self) -> NDArray[np.int64]:
        counts: NDArray[np.int64] = (self.offer != NOTHING).sum(axis=1)
        return counts


def gumbel(customer_ids: Sequence[str], business_date: str, epoch: str, m: int) -> Floats:
    """Noise of m offers and, in column 0, of NO_ACTION, (n, m + 1): one draw a customer, business day and epoch.

    From the raw bits of Philox under a keyed hash, so that neither the batch nor a release of NumPy changes it.
    """
    raw = np.empty((len(customer_ids), m + 1), dtype=np.uint64)
    for i, name in enumerate(customer_ids):
        text = f"{business_date}|{epoch}|{name}".encode()
        raw[i] = _STREAM.bits(hashlib.blake2b(text, digest_size=16, person=b"tiercel-noise").digest(), m + 1)
    uniform = ((raw >> _SPARE_BITS).astype(np.float64) + 0.5) * 2.0**-_FRACTION_BITS
    return -np.log(-np.log(uniform))


class _Stream(threading.local):
    """One Philox a thread, wound to each key: to make one takes ten times as long."""

    def __init__(self) -> None:
        self._philox = np.random.Philox(key=0)
        self._start = self._philox.state

    def bits(self, key: bytes, n: int) -> NDArray[np.uint64]:
        """The first n words under a key of 16 bytes, as `Philox(key=int.from_bytes(key, "big"))` gives them."""
        words = np.frombuffer(key[::-1], dtype="<u8")
        self._philox.state = self._start | {"state": self._start["state"] | {"key": words}}
        return self._philox.random_raw(n)


_STREAM = _Stream()


def draw(
    score: Floats, permitted: Bools, noise: Floats, *, catalogue: Catalogue, figures: Arbitration, limit: int
) -> Draw:
    """The list of each customer, from scores and permission (n, m) and noise (n, m + 1).

    NO_ACTION takes part with the relevance floor, wins ties and ends the list. With an exploration amount of 0 the
    best is taken, with probability 1. A list shows a product once; its first `diversity_top` places hold at most
    `diversity_max` of one subcategory, unless there are fewer candidates than places; a tool never comes first.
    """
    race = _Race.start(score, permitted, noise, figures)
    rules = _ListRules(permitted, catalogue, figures)
    n = len(score)
    offers = np.empty((n, limit), dtype=np.int64)
    propensity, ends = np.empty((n, limit)), np.empty((n, limit))
    for slot in range(limit):
        offers[:, slot], propensity[:, slot], ends[:, slot] = race.next_slot(rules.allowed(slot), rules)
    return Draw(offers, propensity, np.fmax.reduce(ends, axis=1))  # at most one slot of a list is an end


class _ListRules:
    """What a list may hold, as it grows: products once, subcategories bounded, tools never first."""

    def __init__(self, permitted: Bools, catalogue: Catalogue, figures: Arbitration) -> None:
        self._catalogue, self._figures = catalogue, figures
        self.left = permitted.copy()
        self._in_group = np.zeros(permitted.shape, dtype=np.int16)
        self._is_accompanied = np.zeros((len(permitted), 1), dtype=bool)
        self._is_short = (permitted.sum(axis=1) < figures.diversity_top)[:, None]
        self._rows = np.arange(len(permitted))

    def allowed(self, slot: int) -> Bools:
        allowed = self.left & (self._is_accompanied | ~self._catalogue.is_tool)
        if 0 < slot < self._figures.diversity_top:
            allowed &= self._is_short | (self._in_group < self._figures.diversity_max)
        return allowed

    def take(self, offer: NDArray[np.int64], is_taken: Bools) -> None:
        """Note the offers taken, (n,), where one was."""
        self.left[self._rows, offer] &= ~is_taken
        self.left &= ~(self._catalogue.same_thing[offer] & is_taken[:, None])
        self._in_group += self._catalogue.same_group[offer] & is_taken[:, None]
        self._is_accompanied[:, 0] |= is_taken


class _Race:
    """Scores and arrival of the offers; column 0 is NO_ACTION."""

    def __init__(self, score: Floats, arrival: Floats, amount: float) -> None:
        self._score, self._arrival, self._amount = score, arrival, amount
        self._rows = np.arange(len(score))
        self._open = np.ones(score.shape, dtype=bool)  # NO_ACTION always is
        self._is_running = np.ones(len(score), dtype=bool)
        self._elapsed = np.full(len(score), -np.inf)  # logarithm of the time of the last slot

    @classmethod
    def start(cls, score: Floats, permitted: Bools, noise: Floats, figures: Arbitration) -> _Race:
        n, m = score.shape
        every = np.empty((n, m + 1))
        every[:, 0] = figures.relevance_floor_amount
        every[:, 1:] = np.where(permitted, score, -np.inf)
        amount = figures.exploration_amount
        arrival = -every if amount == 0 else -every / amount - noise  # logarithm of the time
        return cls(every, arrival, amount)

    def next_slot(self, allowed: Bools, rules: _ListRules) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Offer (NOTHING for none), its propensity, and NO_ACTION's where it ended the list; each (n,)."""
        rows, open_ = self._rows, self._open
        open_[:, 1:] = allowed
        first = np.where(open_, self._arrival, np.inf).argmin(axis=1)
        chance = self._chance(open_, first, rows)
        is_taken = self._is_running & (first > 0)
        is_ended = self._is_running & (first == 0)
        self._is_running = is_taken
        rules.take(first - 1, is_taken)
        self._stop_clocks(rules.left & ~allowed, self._arrival[rows, first])
        return (
            np.where(is_taken, first - 1, NOTHING),
            np.where(is_taken, chance, np.nan),
            np.where(is_ended, chance, np.nan),
        )

    def _chance(self, open_: Bools, first: NDArray[np.int64], rows: NDArray[np.int64]) -> Floats:
        """Softmax of the one that came first among all that were allowed."""
        if self._amount == 0:
            return np.ones(len(first))
        score = np.where(open_, self._score, -np.inf)
        weight = np.exp((score - np.maximum.reduce(score, axis=1, keepdims=True)) / self._amount)
        chance: Floats = weight[rows, first] / np.add.reduce(weight, axis=1)
        return chance

    def _stop_clocks(self, barred: Bools, now: Floats) -> None:
        """Put off the arrival of those that were barred by the time that the slot took."""
        if self._amount > 0 and np.count_nonzero(barred):
            with np.errstate(divide="ignore", invalid="ignore"):
                took = now + np.log1p(-np.exp(self._elapsed - now))
                late = np.logaddexp(self._arrival[:, 1:], took[:, None])
            self._arrival[:, 1:] = np.where(barred, late, self._arrival[:, 1:])
        self._elapsed = now
