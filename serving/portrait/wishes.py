"""What a customer wishes to be told, and by what: changes of consent, kept by the ledger and counted at once (R32)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from features.bank.tables import EVENT_CHANNELS
from features.errors import NotReady
from serving.desk.consents import FACTS
from serving.desk.deciding import Desk, unknown_customer
from serving.ledger import BadRow, BadRows, ConsentRow
from serving.portrait.customer_rows import rows_of
from serving.portrait.portraits import plain
from serving.security import Actor, require

_SKEW = timedelta(minutes=5)  # clocks of tellers' devices run ahead; a bank whose clock stands has none that do


def change_consents(desk: Desk, actor: Actor, customer_id: str, rows: Sequence[ConsentRow]) -> dict[str, Any]:
    """The receipts of the rows, all of this customer, and how he stands with them from the next decision on.

    Raises NotAllowed outside the actor's book, UnknownCustomer for one whom neither release nor bank knows, and BadRows
    with every row that is not allowed, of which none is then kept.
    """
    require(actor, "change_consent", customer_id)
    now = desk.clock.now()
    if not _is_known(desk, customer_id, now):
        raise unknown_customer(customer_id)
    if bad := list(_faults(desk, rows, now)):
        raise BadRows(bad)
    receipts = desk.ledger.consents(rows, actor.name)
    kept = [asdict(receipt) | {"known_at": receipt.known_at.isoformat()} for receipt in receipts]
    return {"customer_id": customer_id, "consents": kept, "standing": _standing(desk, customer_id)}


def _is_known(desk: Desk, customer_id: str, now: datetime) -> bool:
    """Whether the release knows him, or the bank's own table: who came today may say no today."""
    try:
        ground = desk.ground()
    except NotReady:
        pass
    else:
        if None not in ground.reader.read_each([customer_id], at=now, day=ground.business_day(now)):
            return True
    return bool(rows_of(desk.home, "customer", [customer_id], ("customer_id",), now))


def _faults(desk: Desk, rows: Sequence[ConsentRow], now: datetime) -> Iterator[BadRow]:
    latest = now + _SKEW if desk.clock.is_live else now
    categories = _categories(desk)
    for index, row in enumerate(rows):
        if row.occurred_at > latest:
            told = f"occurred_at lies after the server's {now.isoformat()}"
            yield BadRow(index, row.consent_id, "IN_FUTURE", told)
        if row.is_granted and row.proof_id is None:
            yield BadRow(index, row.consent_id, "NO_PROOF", "a grant names the proof of the customer's will (R39)")
        if row.channel is not None and row.channel not in EVENT_CHANNELS:
            allowed = ", ".join(EVENT_CHANNELS)
            yield BadRow(index, row.consent_id, "UNKNOWN_CHANNEL", f"channel {row.channel!r}; allowed: {allowed}")
        if row.category is not None and row.purpose != "MARKETING":
            yield BadRow(index, row.consent_id, "NO_CATEGORY", f"purpose {row.purpose} goes over all categories")
        elif row.category is not None and categories and row.category not in categories:
            allowed = ", ".join(categories)
            yield BadRow(index, row.consent_id, "UNKNOWN_CATEGORY", f"category {row.category!r}; allowed: {allowed}")


def _categories(desk: Desk) -> list[str]:
    """The categories of the catalogue; none where there is no release to tell."""
    try:
        return sorted(desk.rulebook().catalogue.of_category)
    except NotReady:
        return []


def _standing(desk: Desk, customer_id: str) -> dict[str, Any]:
    try:
        found = desk.facts([customer_id], desk.clock.now())
    except NotReady:
        return dict.fromkeys(FACTS)
    return {name: plain(name, found.facts[name]) if found.ids else None for name in FACTS}
