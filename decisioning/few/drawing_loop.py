"""The drawing of a list, and the noise that it takes: see `decisioning/exploration.py` for what it means."""

from __future__ import annotations

from math import exp, inf, log, log1p
from math import nan as missing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Bools, Floats
from features.compiling import compiled

EMPTY = -1  # a slot behind the list's end
_HALF, _LOW, _SPARE_BITS = np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(11)
_TIMES = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ZERO, _ROUNDS, _WORDS = np.uint64(0), 10, 4


@compiled
def drawn(score: Floats, permitted: Bools, noise: Floats, rules: Any, figures: Any, limit: int) -> Any:
    """Offers and propensities by slot, and NO_ACTION's propensity where it ended a list, customer by customer."""
    n = len(score)
    offers, propensity, ends = np.full((n, limit), EMPTY), np.full((n, limit), missing), np.empty(n)
    for i in range(n):
        ends[i] = fill(score[i], permitted[i], noise[i], rules, figures, offers[i], propensity[i])
    return offers, propensity, ends


@compiled
def fill(
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
        first, now = EMPTY, end
        for j in range(len(score)):
            allowed[j] = left[j] and _fits(j, slot, is_short, in_group, rules)
            if allowed[j] and arrival[j] < now:
                first, now = j, arrival[j]
        chance = _chance(score, allowed, floor if first == EMPTY else score[first], figures)
        if first == EMPTY:
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
    return missing


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
def noise_of(keys: NDArray[np.uint64], n: int) -> Floats:
    """n Gumbel variables under each key, (keys, n)."""
    found = np.empty((len(keys), n))
    for i in range(len(keys)):
        make_noise(keys[i, 0], keys[i, 1], found[i])
    return found


@compiled
def make_noise(key: Any, other: Any, noise: Floats) -> None:
    """Fill with Gumbel variables under a key of two words."""
    for start in range(0, len(noise), _WORDS):
        words = _philox(key, other, np.uint64(start // _WORDS + 1))
        for place in range(min(_WORDS, len(noise) - start)):
            uniform = (np.float64(words[place] >> _SPARE_BITS) + 0.5) * 2.0**-53
            noise[start + place] = -log(-log(uniform))


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
