"""Customers of one request parted into batches that one set of inputs may describe, and inputs of one customer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from decisioning.inputs import Inputs, Recent
from serving.customer_reader import Customers, Facts


@dataclass(frozen=True, slots=True)
class Batch:
    """Customers of one epoch, all stale or all fresh; `facts` has their rows."""

    ids: tuple[str, ...]
    facts: Facts
    epoch: str
    is_stale: bool


def batches(customers: Customers, epochs: Sequence[str]) -> Iterator[Batch]:
    """The customers by epoch and staleness, in order; nearly always all of them in one."""
    marks = list(zip(epochs, customers.stale.tolist(), strict=True))
    kinds = dict.fromkeys(marks)
    for epoch, is_stale in kinds:
        if len(kinds) == 1:
            yield Batch(customers.ids, customers.facts, epoch, is_stale)
            return
        places = [place for place, mark in enumerate(marks) if mark == (epoch, is_stale)]
        facts = {name: values[places] for name, values in customers.facts.items()}
        yield Batch(tuple(customers.ids[place] for place in places), facts, epoch, is_stale)


def of_one(inputs: Inputs, place: int) -> Inputs:
    """The inputs of one customer of many: what his decision is kept with and replayed from."""
    if inputs.n == 1:
        return inputs
    row = slice(place, place + 1)
    mine = inputs.recent.customer == place
    recent = inputs.recent
    return replace(
        inputs,
        customer_ids=inputs.customer_ids[row],
        facts={name: values[row] for name, values in inputs.facts.items()},
        p=None if inputs.p is None else inputs.p[row],
        p_channel=None if inputs.p_channel is None else inputs.p_channel[row],
        recent=Recent(
            customer=np.zeros(int(mine.sum()), dtype=np.int64),
            kind=recent.kind[mine],
            at=recent.at[mine],
            offer_id=recent.offer_id[mine],
            channel=recent.channel[mine],
            purpose=recent.purpose[mine],
            outcome=recent.outcome[mine],
        ),
    )
