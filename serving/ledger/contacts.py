"""What went out to whom: the steps of contacts, each counted once, folded into one row a contact.

The earliest instant of a kind counts, so that the order in which steps arrive does not matter; a contact is sent at
its earliest step, whatever the step was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, update

from features.vocabulary import Purpose
from serving.ledger.chain import head
from serving.ledger.rows import CONTACT_STATUSES, BadRow, BadRows, ContactReceipt, ContactRow, digest
from serving.ledger.scope import Scope, faults_of_keys, keyed
from serving.ledger.tables import LEDGER, contact, contact_event, instant, micros, minor, placement

_PURPOSES = frozenset(Purpose)
_NOTED = {"delivered": "delivered_at", "opened": "opened_at", "failed": "failed_at", "blocked": "failed_at"}
_MERGED = ("sent_at", "business_on", "delivered_at", "opened_at", "failed_at", "source")


def contact_id(row: ContactRow) -> str:
    """The contact a step belongs to: the one it names, else its placement's, else one of its own."""
    return row.contact_id or row.placement_id or row.event_id


def note(scope: Scope, connection: Connection, rows: Sequence[ContactRow], actor: str) -> list[ContactReceipt]:
    """Write those steps that are new; the receipt of each. Raises BadRows with every row that is not allowed."""
    head(connection, for_update=True)
    stored = keyed(connection, contact_event.c.event_id, [row.event_id for row in rows], contact_event.c.body_digest)
    slots = keyed(connection, placement.c.placement_id, [r.placement_id for r in rows if r.placement_id], *placement.c)
    kept = keyed(connection, contact.c.contact_id, [contact_id(row) for row in rows], *contact.c)
    bad = [*_faults(rows, slots, kept), *faults_of_keys([(row.event_id, digest(row)) for row in rows], stored)]
    if bad:
        raise BadRows(bad)
    fresh = {row.event_id: row for row in rows if row.event_id not in stored}
    if fresh:
        known_at = micros(scope.clock())
        _fold(scope, connection, list(fresh.values()), slots, kept, known_at)
        connection.execute(contact_event.insert(), [_event(row, actor, known_at) for row in fresh.values()])
    return [ContactReceipt(row.event_id, contact_id(row), _customer(row, slots)) for row in rows]


def _fold(
    scope: Scope,
    connection: Connection,
    rows: Sequence[ContactRow],
    slots: Mapping[str, Row[Any]],
    kept: Mapping[str, Row[Any]],
    known_at: int,
) -> None:
    folded: dict[str, dict[str, Any]] = {key: dict(row._mapping) for key, row in kept.items()}
    for row in rows:
        key = contact_id(row)
        values = folded.setdefault(key, _values(row, slots.get(row.placement_id or ""), known_at))
        _merge(values, row.status, micros(row.at))
        values["business_on"] = scope.business_on(instant(values["sent_at"]))
        values["source"] = LEDGER
    made = [values for key, values in folded.items() if key not in kept]
    if made:
        connection.execute(contact.insert(), made)
    changed = [{"key": key} | {name: folded[key][name] for name in _MERGED} for key in kept]
    if changed:
        setting: dict[str, Any] = {name: bindparam(name) for name in _MERGED}
        connection.execute(update(contact).where(contact.c.contact_id == bindparam("key")).values(setting), changed)


def _merge(values: dict[str, Any], status: str, at: int) -> None:
    for name in ("sent_at", _NOTED.get(status)):
        if name is not None:
            values[name] = at if values[name] is None else min(values[name], at)


def _values(row: ContactRow, slot: Row[Any] | None, known_at: int) -> dict[str, Any]:
    cost = None if row.cost_amount is None else minor(row.cost_amount)
    return {
        "contact_id": contact_id(row),
        "customer_id": row.customer_id if slot is None else slot.customer_id,
        "placement_id": row.placement_id,
        "campaign_id": None,
        "offer_id": row.offer_id if slot is None else slot.offer_id,
        "channel": row.channel or (None if slot is None else slot.channel),
        "purpose": row.purpose or (None if slot is None else slot.purpose),
        "sent_at": None,
        "business_on": None,
        "delivered_at": None,
        "opened_at": None,
        "failed_at": None,
        "propensity": None if slot is None else slot.propensity,
        "cost_minor": cost if cost is not None else (0 if slot is None else slot.cost_minor),
        "known_at": known_at,
        "source": LEDGER,
    }


def _faults(
    rows: Sequence[ContactRow], slots: Mapping[str, Row[Any]], kept: Mapping[str, Row[Any]]
) -> Iterator[BadRow]:
    owners = {key: row.customer_id for key, row in kept.items()}
    for index, row in enumerate(rows):
        for code, message in _complaints(row, slots):
            yield BadRow(index, row.event_id, code, message)
        customer_id = _customer(row, slots)
        if owners.setdefault(contact_id(row), customer_id) != customer_id:
            yield BadRow(index, row.event_id, "OTHER_CUSTOMER", "the contact is another customer's")


def _complaints(row: ContactRow, slots: Mapping[str, Row[Any]]) -> Iterator[tuple[str, str]]:
    if row.status not in CONTACT_STATUSES:
        yield "UNKNOWN_STATUS", f"status {row.status!r}; allowed: {', '.join(CONTACT_STATUSES)}"
    if row.at.tzinfo is None:
        yield "NO_ZONE", "at names no zone"
    if row.purpose is not None and row.purpose not in _PURPOSES:
        yield "UNKNOWN_PURPOSE", f"purpose {row.purpose!r}; allowed: {', '.join(Purpose)}"
    if row.placement_id is None:
        if not (row.customer_id and row.channel and row.purpose):
            yield "INCOMPLETE", "names neither a placement nor customer, channel and purpose"
    elif row.placement_id not in slots:
        yield "UNKNOWN_PLACEMENT", f"no placement {row.placement_id!r} was decided"
    elif row.customer_id not in (None, slots[row.placement_id].customer_id):
        yield "OTHER_CUSTOMER", "the placement is another customer's"


def _customer(row: ContactRow, slots: Mapping[str, Row[Any]]) -> str:
    slot = slots.get(row.placement_id or "")
    return str(row.customer_id if slot is None else slot.customer_id)


def _event(row: ContactRow, actor: str, known_at: int) -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "contact_id": contact_id(row),
        "status": row.status,
        "at": micros(row.at),
        "actor": actor,
        "body_digest": digest(row),
        "known_at": known_at,
    }
