"""Customers of one request, parted into batches that one set of inputs may describe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from decisioning.inputs import Recent
from serving.customer_reader import Facts


@dataclass(frozen=True, slots=True)
class BatchTerms:
    """What all customers of a batch share beside the request: whose noise they have, whether their rows are stale, and
    who scores them."""

    epoch: str
    is_stale: bool
    scored_by: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Customers of equal terms with their rows; `places` are those they had among all."""

    terms: BatchTerms
    places: Sequence[int]
    facts: Facts
    recent: Recent


def batches(terms: Sequence[BatchTerms], facts: Facts, recent: Recent) -> Iterator[Batch]:
    """All customers, whose terms are given in their order; nearly always they are one batch."""
    places: dict[BatchTerms, list[int]] = {}
    for place, mine in enumerate(terms):
        places.setdefault(mine, []).append(place)
    for mine, chosen in places.items():
        if len(places) == 1:
            yield Batch(mine, chosen, facts, recent)
            return
        yield Batch(mine, chosen, {name: values[chosen] for name, values in facts.items()}, _of(recent, chosen))


def _of(recent: Recent, chosen: Sequence[int]) -> Recent:
    """The rows of the chosen customers, who are counted anew in their order."""
    at = np.full(int(recent.customer.max(initial=-1)) + 1, -1)
    for new, place in enumerate(chosen):
        if place < len(at):
            at[place] = new
    customer = at[recent.customer]
    mine = np.flatnonzero(customer >= 0)
    return Recent(
        customer=customer[mine],
        kind=recent.kind[mine],
        at=recent.at[mine],
        offer_id=recent.offer_id[mine],
        channel=recent.channel[mine],
        purpose=recent.purpose[mine],
        outcome=recent.outcome[mine],
    )
