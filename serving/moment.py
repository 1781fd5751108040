"""The moment of a decision, from the ledger's rows: what was said to the customers, what they said, who must not be
called. The same functions that training uses turn it into facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.inputs import Recent
from features.recent import COMPLAINT, CONTACT, CONVERTED, OPENED, REFUSED, SALES, Happenings
from features.vocabulary import Outcome, Purpose
from serving.customer_reader import Facts, recent_facts
from serving.ledger import RecentRows

_EMPTY_SET = "|"


def recent_of(rows: RecentRows) -> Recent:
    """The ledger's rows as a decision reads them."""
    return Recent(
        customer=rows.customer,
        kind=rows.kind,
        at=rows.at,
        offer_id=rows.offer_id,
        channel=rows.channel,
        purpose=rows.purpose,
        outcome=rows.outcome,
    )


def happenings_of(rows: RecentRows) -> Happenings:
    """The ledger's rows as the moment view counts them; a sales contact stands twice, an opened one once more."""
    is_contact = rows.kind == "contact"
    picked = [
        (is_contact, rows.at, CONTACT),
        (is_contact & (rows.purpose == Purpose.SALES), rows.at, SALES),
        (is_contact & ~np.isnat(rows.opened_at), rows.opened_at, OPENED),
        (rows.outcome == Outcome.CONVERTED, rows.at, CONVERTED),
        (rows.outcome == Outcome.REFUSED, rows.at, REFUSED),
        (rows.kind == "complaint", rows.at, COMPLAINT),
    ]
    return Happenings(
        customer=np.concatenate([rows.customer[which] for which, _, _ in picked]),
        at=np.concatenate([at[which] for which, at, _ in picked]),
        what=np.concatenate([np.full(int(which.sum()), what, dtype=np.int8) for which, _, what in picked]),
    )


def moment_facts(n: int, now: datetime, rows: RecentRows) -> Facts:
    """The RECENT columns of the n customers whose rows these are."""
    return recent_facts(n, now, happenings_of(rows)) if len(rows.at) else dict(_silence(n))


@lru_cache(maxsize=8)
def _silence(n: int) -> Facts:
    """The RECENT columns of n customers to whom nothing happened, which are the same at every instant."""
    none = np.empty(0, dtype=np.int64)
    nothing = Happenings(none, none.astype("datetime64[us]"), none.astype(np.int8))
    return recent_facts(n, datetime(2000, 1, 1, tzinfo=UTC), nothing)


def closed_channels(
    customer_ids: Sequence[str], known: NDArray[Any], closed: Mapping[str, frozenset[str]]
) -> NDArray[Any]:
    """The set column `do_not_call` with the channels that responses closed since it was published, object (n,).

    >>> closed_channels(["a", "b"], np.array([None, "|SMS|"], dtype=object), {"b": frozenset({"CALL"})}).tolist()
    [None, '|CALL|SMS|']
    """
    if not closed:
        return known
    found = known.copy()
    for place, customer_id in enumerate(customer_ids):
        channels = closed.get(customer_id)
        if channels:
            every = channels | set(filter(None, (known[place] or _EMPTY_SET).split("|")))
            found[place] = f"|{'|'.join(sorted(every))}|"
    return found
