"""Changes of consent and requests not to be called: the latest word counts, and in doubt the closing one.

A request not to be called holds until renewed consent (R40): a later grant of marketing consent, for that channel or
for all, that carries its own proof. Nothing else reopens a channel, whichever of the two arrives first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, update

from serving.ledger.chain import head
from serving.ledger.rows import BadRow, BadRows, ConsentRow, digest
from serving.ledger.scope import Scope, faults_of_keys, keyed
from serving.ledger.tables import consent, do_not_call, micros

PURPOSES = ("MARKETING", "PROFILING", "RESEARCH", "SHARING")


def change_consents(scope: Scope, connection: Connection, rows: Sequence[ConsentRow], actor: str) -> None:
    """Write those of `rows` that are new; raises BadRows with every row that is not allowed."""
    head(connection, for_update=True)
    stored = keyed(connection, consent.c.consent_id, [row.consent_id for row in rows], consent.c.body_digest)
    bad = [*_faults(rows), *faults_of_keys([(row.consent_id, digest(row)) for row in rows], stored)]
    if bad:
        raise BadRows(bad)
    known_at = micros(scope.clock())
    fresh = {row.consent_id: row for row in rows if row.consent_id not in stored}
    for row in fresh.values():
        values = _values(scope, row, actor) | {"known_at": known_at}
        connection.execute(consent.insert(), values)
        if row.is_granted and row.purpose == "MARKETING" and row.proof_id and row.category is None:
            _reopen(connection, values)


def close_channel(connection: Connection, item: Mapping[str, Any], channel: str) -> None:
    """Close `channel` for the customer of response `item`, until renewed consent, which may be known already."""
    renewed = and_(
        consent.c.customer_id == item["customer_id"],
        consent.c.purpose == "MARKETING",
        consent.c.is_granted,
        consent.c.proof_id.is_not(None),
        consent.c.category.is_(None),
        consent.c.occurred_at > item["occurred_at"],
        or_(consent.c.channel.is_(None), consent.c.channel == channel),
    )
    key = {"customer_id": item["customer_id"], "channel": channel, "from_on": item["business_on"]}
    found = {
        "to_on": connection.execute(select(func.min(consent.c.business_on)).where(renewed)).scalar_one(),
        "occurred_at": item["occurred_at"],
        "event_id": item["event_id"],
        "known_at": item["known_at"],
    }
    of_day = and_(*[do_not_call.c[name] == value for name, value in key.items()])
    said_at = connection.execute(select(do_not_call.c.occurred_at).where(of_day)).scalar_one_or_none()
    if said_at is None:
        connection.execute(do_not_call.insert(), key | found)
    elif said_at < item["occurred_at"]:  # said again that day: the later word counts
        connection.execute(update(do_not_call).where(of_day), found)


def _reopen(connection: Connection, values: Mapping[str, Any]) -> None:
    closed = and_(
        do_not_call.c.customer_id == values["customer_id"],
        do_not_call.c.occurred_at < values["occurred_at"],
        or_(do_not_call.c.to_on.is_(None), do_not_call.c.to_on > values["business_on"]),
    )
    if values["channel"] is not None:
        closed = and_(closed, do_not_call.c.channel == values["channel"])
    connection.execute(update(do_not_call).where(closed), {"to_on": values["business_on"]})


def _faults(rows: Sequence[ConsentRow]) -> Iterator[BadRow]:
    for index, row in enumerate(rows):
        if row.purpose not in PURPOSES:
            allowed = ", ".join(PURPOSES)
            yield BadRow(index, row.consent_id, "UNKNOWN_PURPOSE", f"purpose {row.purpose!r}; allowed: {allowed}")
        if row.occurred_at.tzinfo is None:
            yield BadRow(index, row.consent_id, "NO_ZONE", "occurred_at names no zone")


def _values(scope: Scope, row: ConsentRow, actor: str) -> dict[str, Any]:
    return {
        "consent_id": row.consent_id,
        "customer_id": row.customer_id,
        "purpose": row.purpose,
        "channel": row.channel,
        "category": row.category,
        "is_granted": row.is_granted,
        "proof_id": row.proof_id,
        "occurred_at": micros(row.occurred_at),
        "business_on": scope.business_on(row.occurred_at),
        "actor": actor,
        "body_digest": digest(row),
    }
