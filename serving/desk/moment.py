"""The moment of a decision, from the ledger's rows: what was said to the customers, what they said, who must not be
called. The same functions that training uses turn it into facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.case import Happened
from decisioning.inputs import Recent
from features.packing import Plain
from features.recent import COMPLAINT, CONTACT, CONVERTED, OPENED, RECENT, REFUSED, SALES, Happenings
from features.vocabulary import Outcome, Purpose
from serving.customer_reader import Facts, recent_facts
from serving.ledger import Happening, RecentRows

_EMPTY_SET = "|"
_NAN = float("nan")
_DAY_US = 86_400_000_000
_SALES_US, _OUTCOMES_US = 30 * _DAY_US, 90 * _DAY_US
_CONTACTS = (("n_contacts_7d", 7 * _DAY_US), ("n_contacts_30d", 30 * _DAY_US), ("n_contacts_90d", 90 * _DAY_US))
_OF_OUTCOME: Mapping[str | None, str] = {Outcome.CONVERTED: "n_conversions_90d", Outcome.REFUSED: "n_refusals_90d"}
_SPANS = ("opened_share_90d", "days_since_contact", "days_since_conversion")
_SILENCE = {column.name: _NAN if column.name in _SPANS else 0.0 for column in RECENT}  # to whom nothing happened


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
    """The RECENT columns of the n customers whose rows these are, shape (n,)."""
    return recent_facts(n, now, happenings_of(rows))


def counted(now_us: int, happened: Sequence[Happening]) -> dict[str, float]:
    """The RECENT columns of one customer by a plain loop over what happened to him before an instant, to the bit."""
    found = _SILENCE.copy()
    for kind, at, _, _, purpose, outcome, opened_at in happened:
        ago = now_us - at
        if kind == "contact":
            _count_contact(found, ago, is_sales=purpose == Purpose.SALES)
            found["n_opened_90d"] += opened_at is not None and now_us - opened_at <= _OUTCOMES_US
        elif kind == "complaint":
            found["n_open_complaints"] += 1
        elif outcome in _OF_OUTCOME:
            found[_OF_OUTCOME[outcome]] += ago <= _OUTCOMES_US
            if outcome == Outcome.CONVERTED:
                found["days_since_conversion"] = ago / _DAY_US
    sent = found["n_contacts_90d"]
    found["opened_share_90d"] = min(found["n_opened_90d"] / sent, 1.0) if sent > 0 else _NAN
    return found


def _count_contact(found: dict[str, float], ago: int, *, is_sales: bool) -> None:
    """Happenings come in order of time, so that the last contact counted is the latest."""
    for name, span_us in _CONTACTS:
        found[name] += ago <= span_us
    found["n_sales_30d"] += is_sales and ago <= _SALES_US
    found["days_since_contact"] = ago / _DAY_US


def told_of(happened: Sequence[Happening]) -> list[Happened]:
    """One customer's rows as a decision reads them."""
    return [Happened(*row[:6]) for row in happened]


def with_closed(known: Plain, closed: frozenset[str]) -> str:
    """The set `do_not_call` of one customer with the channels that responses closed since it was published.

    >>> with_closed("|SMS|", frozenset({"CALL"}))
    '|CALL|SMS|'
    """
    channels = closed | set(filter(None, (known if isinstance(known, str) else _EMPTY_SET).split("|")))
    return f"|{'|'.join(sorted(channels))}|"


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
        if customer_id in closed:
            found[place] = with_closed(known[place], closed[customer_id])
    return found
