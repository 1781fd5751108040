"""What customers answered, told by who they were when they were asked.

An *answer* (应答) is a contact whose outcome is known: yes if the customer took what was offered within its window, no
if the window closed without. Who the customer was is the profile of the month end before the contact; what he has
become since would explain the answer by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from features.vocabulary import CUSTOMER_ID
from insight.history import UNKNOWN, History

NO_NEED = "-"  # a hook alone and a service action have no category


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of those who stood in one class, stage and tier and were asked about one need: how many, how many yes."""

    customer_class: str
    stage: str
    tier: str
    need: str
    n: int
    n_yes: int


def answers(history: History, asked: ir.Table, months: int) -> tuple[Answers, ...]:
    """The answers to what was asked in the last `months` months after the first of `history`.

    `asked` is one row a contact on the connection of the history: customer_id, business_on, need, is_yes. Contacts
    before the end of the first month, and of people whom the month before did not know, are left out.
    """
    first = history.months[0].as_of
    place = (asked.business_on.year() - first.year) * 12 + asked.business_on.month() - first.month - 1
    asked = asked.mutate(place=place.cast("int64"), need=asked.need.fill_null(NO_NEED))
    since = max(0, len(history) - months)
    asked = asked.filter(asked.place.between(since, len(history) - 1))
    people = history.whole("customer_class", "stage", "tier")
    people = people.mutate(place=people.place.cast("int64"))
    known = asked.inner_join(people, [CUSTOMER_ID, "place"])
    grouped = known.group_by("customer_class", "stage", known.tier.fill_null(UNKNOWN).name("tier"), "need").agg(
        n=known.count(), n_yes=known.is_yes.cast("int64").sum()
    )
    rows = grouped.order_by([ibis.asc(name) for name in ("customer_class", "stage", "tier", "need")])
    return tuple(Answers(**row) for row in rows.to_pyarrow().to_pylist())


def added(found: Iterable[Answers]) -> tuple[int, int]:
    """Yes and all of `found`."""
    listed = list(found)
    return sum(part.n_yes for part in listed), sum(part.n for part in listed)
