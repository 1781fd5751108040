"""What customers and sellers say came of a placement: each event counts once, a batch is all or nothing.

The event's id is its key. The same event with the same content changes nothing and is answered as before; with
another content it is refused, and so is the batch around it. A request not to be called and a complaint take effect
in the same transaction as the response that told them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from features.vocabulary import Outcome
from serving.ledger.chain import head
from serving.ledger.consents import close_channel
from serving.ledger.rows import BadRow, BadRows, ResponseReceipt, ResponseRow, digest
from serving.ledger.scope import Scope, chunks, faults_of_keys, keyed
from serving.ledger.tables import (
    LEDGER,
    case_file,
    complaint,
    contact,
    decision,
    instant,
    micros,
    minor,
    placement,
    response,
)

_OUTCOMES = frozenset(Outcome)
TELEPHONE = "CALL"
_REACHES_OUT = frozenset({TELEPHONE, "SMS", "WECHAT", "EMAIL", "LETTER"})
SKEW = timedelta(minutes=5)  # by which clocks of tellers' devices may be behind or ahead
COMPLAINT_TOPIC = "MARKETING"  # what a complaint about a placement is about
COMPLAINT_SEVERITY = 3  # the middle of 1 to 5, until someone has looked at it


def answer(scope: Scope, connection: Connection, rows: Sequence[ResponseRow], actor: str) -> list[ResponseReceipt]:
    """Write those of `rows` that are new; the receipt of each. Raises BadRows with every row that is not allowed."""
    head(connection, for_update=True)  # one writer at a time, also on a database that lets several in
    stored = keyed(connection, response.c.event_id, [row.event_id for row in rows], response.c.body_digest)
    slots = keyed(connection, placement.c.placement_id, [row.placement_id for row in rows], *placement.c)
    decided = keyed(connection, decision.c.decision_id, [slot.decision_id for slot in slots.values()],
                    decision.c.decided_at)  # fmt: skip
    bad = [*_faults(rows, slots, decided), *faults_of_keys([(row.event_id, digest(row)) for row in rows], stored)]
    if bad:
        raise BadRows(bad)
    fresh = {row.event_id: row for row in rows if row.event_id not in stored}
    known_at = scope.clock()
    if fresh:
        contacts = _contacts(connection, [row.placement_id for row in fresh.values()])
        values = [_values(scope, row, slots[row.placement_id], contacts, actor, known_at) for row in fresh.values()]
        connection.execute(response.insert(), values)
        for item in values:
            _consequences(connection, item, slots[item["placement_id"]], actor)
    return [_receipt(row, slots[row.placement_id]) for row in rows]


def _faults(
    rows: Sequence[ResponseRow], slots: Mapping[str, Row[Any]], decided: Mapping[str, Row[Any]]
) -> Iterator[BadRow]:
    for index, row in enumerate(rows):
        if row.placement_id not in slots:
            yield BadRow(index, row.event_id, "UNKNOWN_PLACEMENT", f"no placement {row.placement_id!r} was decided")
        elif row.occurred_at.tzinfo is not None:
            decided_at = instant(decided[slots[row.placement_id].decision_id].decided_at)
            if row.occurred_at < decided_at - SKEW:
                message = f"occurred_at lies before the placement was decided, {decided_at.isoformat()}"
                yield BadRow(index, row.event_id, "BEFORE_DECISION", message)
        if row.outcome not in _OUTCOMES:
            allowed = ", ".join(Outcome)
            yield BadRow(index, row.event_id, "UNKNOWN_OUTCOME", f"outcome {row.outcome!r}; allowed: {allowed}")
        if row.occurred_at.tzinfo is None:
            yield BadRow(index, row.event_id, "NO_ZONE", "occurred_at names no zone")


def _contacts(connection: Connection, placement_ids: Sequence[str]) -> dict[str, str]:
    """The first contact of each placement that has one."""
    found: dict[str, str] = {}
    for chunk in chunks(placement_ids):
        query = select(contact.c.placement_id, func.min(contact.c.contact_id))
        query = query.where(contact.c.placement_id.in_(chunk)).group_by(contact.c.placement_id)
        found.update((row[0], row[1]) for row in connection.execute(query))
    return found


def _values(
    scope: Scope,
    row: ResponseRow,
    slot: Row[Any],
    contacts: Mapping[str, str],
    actor: str,
    known_at: datetime,
) -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "customer_id": slot.customer_id,
        "contact_id": contacts.get(row.placement_id),
        "placement_id": row.placement_id,
        "offer_id": slot.offer_id,
        "outcome": str(row.outcome),
        "occurred_at": micros(row.occurred_at),
        "business_on": scope.business_on(row.occurred_at),
        "amount_minor": None if row.amount is None else minor(row.amount),
        "reason_code": row.reason_code,
        "next_contact_on": row.next_contact_on,
        "note": row.note,
        "actor": actor,
        "body_digest": digest(row),
        "known_at": micros(known_at),
        "source": LEDGER,
    }


def _consequences(connection: Connection, item: Mapping[str, Any], slot: Row[Any], actor: str) -> None:
    if item["outcome"] == Outcome.DNC_REQUESTED:
        close_channel(connection, item, _closed_by(slot.channel))
    if item["outcome"] == Outcome.COMPLAINED:
        _open_case(connection, item, actor)


def _closed_by(channel: str) -> str:
    """The channel that "do not call" closes: the one that reached out, or the telephone where the customer came."""
    return channel if channel in _REACHES_OUT else TELEPHONE


def _open_case(connection: Connection, item: Mapping[str, Any], actor: str) -> None:
    complaint_id = f"COMPLAINT-{item['event_id']}"
    entry = {
        "complaint_id": complaint_id,
        "customer_id": item["customer_id"],
        "opened_at": item["occurred_at"],
        "business_on": item["business_on"],
        "closed_at": None,
        "topic": item["reason_code"] or COMPLAINT_TOPIC,
        "severity": COMPLAINT_SEVERITY,
        "known_at": item["known_at"],
        "source": LEDGER,
    }
    opened = {
        "case_id": _case_id(item["event_id"]),
        "complaint_id": complaint_id,
        "customer_id": item["customer_id"],
        "placement_id": item["placement_id"],
        "opened_at": item["occurred_at"],
        "state": "OPEN",
        "opened_by": actor,
    }
    connection.execute(complaint.insert(), entry)
    connection.execute(case_file.insert(), opened)


def _case_id(event_id: str) -> str:
    return f"CASE-{event_id}"


def _receipt(row: ResponseRow, slot: Row[Any]) -> ResponseReceipt:
    outcome = Outcome(row.outcome)
    return ResponseReceipt(
        event_id=row.event_id,
        placement_id=row.placement_id,
        customer_id=slot.customer_id,
        offer_id=slot.offer_id,
        outcome=outcome,
        case_id=_case_id(row.event_id) if outcome is Outcome.COMPLAINED else None,
        do_not_call=_closed_by(slot.channel) if outcome is Outcome.DNC_REQUESTED else None,
    )
