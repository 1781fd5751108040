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

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Bools, Catalogue, Floats
from decisioning.few.drawing_loop import EMPTY, drawn, noise_of
from decisioning.policy import Arbitration

NOTHING = EMPTY  # an empty slot: the list has ended


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
    return noise_of(np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2), m + 1)


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
        *drawn(score, permitted, noise, rules, (figures.exploration_amount, figures.relevance_floor_amount), limit)
    )
