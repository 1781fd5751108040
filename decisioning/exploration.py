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
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log, log1p, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Bools, Catalogue, Floats
from decisioning.policy import Arbitration
from features.compiling import compiled

NOTHING = -1  # an empty slot: the list has ended
_HALF, _LOW, _SPARE_BITS = np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(11)
_TIMES = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ZERO, _ROUNDS, _WORDS = np.uint64(0), 10, 4


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

    From the bits of Philox under a keyed hash, so that neither the batch nor a release of a library changes it.
    """
    return gumbel_of([noise_key(name, business_date, epoch) for name in customer_ids], m)


def noise_key(customer_id: str, business_date: str, epoch: str) -> bytes:
    """The key of a customer's noise on a business day of an epoch, 16 bytes."""
    text = f"{business_date}|{epoch}|{customer_id}".encode()
    return hashlib.blake2b(text, digest_size=16, person=b"tiercel-noise").digest()[::-1]


def gumbel_of(keys: Sequence[bytes], m: int) -> Floats:
    """The noise of each key, (n, m + 1), as `gumbel` gives it."""
    return _noise(np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2), m + 1)


def draw(
    score: Floats, permitted: Bools, noise: Floats, *, catalogue: Catalogue, figures: Arbitration, limit: int
) -> Draw:
    """The list of each customer, from scores and permission (n, m) and noise (n, m + 1).

    NO_ACTION takes part with the relevance floor, wins ties and ends the list. With an exploration amount of 0 the
    best is taken, with probability 1. A list shows a product once; its first `diversity_top` places hold at most
    `diversity_max` of one subcategory, unless there are fewer candidates than places; a tool never comes first.
    """
    rules = catalogue.is_tool, catalogue.same_thing, catalogue.same_group, figures.diversity_top, figures.diversity_max
    return Draw(
        *_draw(score, permitted, noise, rules, (figures.exploration_amount, figures.relevance_floor_amount), limit)
    )


@compiled
def _draw(score: Floats, permitted: Bools, noise: Floats, rules: Any, figures: Any, limit: int) -> Any:
    """Offers and propensities by slot, and NO_ACTION's propensity where it ended a list, customer by customer."""
    n = len(score)
    offers, propensity, ends = np.full((n, limit), NOTHING), np.full((n, limit), nan), np.empty(n)
    for i in range(n):
        ends[i] = _list(score[i], permitted[i], noise[i], rules, figures, offers[i], propensity[i])
    return offers, propensity, ends


@compiled
def _list(
    score: Floats, permitted: Bools, noise: Floats, rules: Any, figures: Any, offers: Any, propensity: Floats
) -> float:
    """Fill one customer's slots; the propensity of NO_ACTION where it ended the list, NaN where it did not.

    The score is a log-weight; `arrival` is the logarithm of the time at which an offer comes.
    """
    _, same_thing, same_group, top, _ = rules
    amount, floor = figures
    left, in_group, allowed = permitted.copy(), np.zeros(len(score), np.int64), np.empty(len(score), np.bool_)
    is_short = np.count_nonzero(permitted) < top
    arrival = -score if amount == 0 else -score / amount - noise[1:]
    end = -floor if amount == 0 else -floor / amount - noise[0]
    elapsed = -inf
    for slot in range(len(offers)):
        first, now = NOTHING, end
        for j in range(len(score)):
            allowed[j] = left[j] and _fits(j, slot, is_short, in_group, rules)
            if allowed[j] and arrival[j] < now:
                first, now = j, arrival[j]
        chance = _chance(score, allowed, floor if first == NOTHING else score[first], figures)
        if first == NOTHING:
            return chance
        offers[slot], propensity[slot] = first, chance
        left[first] = False
        took = now if elapsed == -inf else now + log1p(-exp(min(elapsed - now, 0.0)))
        for j in range(len(score)):
            left[j] = left[j] and not same_thing[first, j]
            in_group[j] += same_group[first, j]
            if amount > 0 and left[j] and not allowed[j]:
                arrival[j] = _later(arrival[j], took)
        elapsed = now
    return nan


@compiled
def _fits(j: int, slot: int, is_short: bool, in_group: Any, rules: Any) -> bool:
    """Whether the list's rules let an offer that is left take a slot."""
    is_tool, _, _, top, most = rules
    if slot == 0:
        return not is_tool[j]
    return slot >= top or is_short or in_group[j] < most


@compiled
def _chance(score: Floats, allowed: Bools, taken: float, figures: Any) -> float:
    """Softmax of the score that came first among NO_ACTION's and those of all that were allowed."""
    amount, floor = figures
    if amount == 0:
        return 1.0
    largest = floor
    for j in range(len(score)):
        if allowed[j]:
            largest = max(largest, score[j])
    weights = exp((floor - largest) / amount)
    for j in range(len(score)):
        if allowed[j]:
            weights += exp((score[j] - largest) / amount)
    return exp((taken - largest) / amount) / weights


@compiled
def _later(arrival: float, took: float) -> float:
    """An arrival put off by the time that a slot took; all of these are logarithms of times."""
    high, low = max(arrival, took), min(arrival, took)
    return high + log1p(exp(low - high))


@compiled
def _noise(keys: NDArray[np.uint64], n: int) -> Floats:
    """n Gumbel variables under each key, (keys, n)."""
    found = np.empty((len(keys), n))
    for i in range(len(keys)):
        for start in range(0, n, _WORDS):
            words = _philox(keys[i, 0], keys[i, 1], np.uint64(start // _WORDS + 1))
            for place in range(min(_WORDS, n - start)):
                uniform = (np.float64(words[place] >> _SPARE_BITS) + 0.5) * 2.0**-53
                found[i, start + place] = -log(-log(uniform))
    return found


@compiled
def _philox(key: Any, other: Any, count: Any) -> tuple[Any, Any, Any, Any]:
    """Four words of Philox 4x64-10 (Salmon et al. 2011), as NumPy's generator gives them block after block."""
    a, b, c, d = count, _ZERO, _ZERO, _ZERO
    for _ in range(_ROUNDS):
        a, b, c, d = _upper(_TIMES[1], c) ^ b ^ key, _TIMES[1] * c, _upper(_TIMES[0], a) ^ d ^ other, _TIMES[0] * a
        key, other = key + _WEYL[0], other + _WEYL[1]
    return a, b, c, d


@compiled
def _upper(a: Any, b: Any) -> Any:
    """The upper 64 bits of a product of two words."""
    low, carry = a & _LOW, (a & _LOW) * (b & _LOW) >> _HALF
    middle = (a >> _HALF) * (b & _LOW) + carry
    other = low * (b >> _HALF) + (middle & _LOW)
    return (a >> _HALF) * (b >> _HALF) + (middle >> _HALF) + (other >> _HALF)
