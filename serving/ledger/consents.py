"""Changes of consent and requests not to be called: the latest word counts, and in doubt the closing one.

A request not to be called holds until renewed consent (R40): a later grant of marketing consent, for that channel or
for all, that carries its own proof. Nothing else reopens a channel, whichever of the two arrives first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Select, and_, bindparam, func, literal_column, or_, select, update

from serving.ledger.chain import head
from serving.ledger.rows import BadRow, BadRows, ConsentReceipt, ConsentRow, digest
from serving.ledger.scope import Scope, faults_of_keys, keyed
from serving.ledger.tables import consent, do_not_call, instant, micros

PURPOSES = ("MARKETING", "PROFILING", "RESEARCH", "SHARING")
_SKEW_US = 300_000_000
ASKED = PURPOSES[:2]  # what a decision asks


class Word(NamedTuple):
    """One change of consent as a decision reads it: `at` in microseconds since 1970; channel, category None are all."""

    at: int
    purpose: str
    channel: str | None
    category: str | None
    is_granted: bool
    is_proven: bool


def change_consents(
    scope: Scope, connection: Connection, rows: Sequence[ConsentRow], actor: str
) -> list[ConsentReceipt]:
    """Write those of `rows` that are new, and give the receipt of each; raises BadRows with every bad one."""
    head(connection, for_update=True)
    kept = (consent.c.body_digest, consent.c.known_at)
    stored = keyed(connection, consent.c.consent_id, [row.consent_id for row in rows], *kept)
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
    since = {key: row.known_at for key, row in stored.items()}
    return [ConsentReceipt(row.consent_id, instant(since.get(row.consent_id, known_at))) for row in rows]


def said_of(of_customers: Callable[[Any], Any]) -> Select[Any]:
    """The query of what customers said on marketing and profiling, as the ledger knew at an instant.

    Clocks of several machines differ: a word counts at once by each of them, and of the past some minutes too early.
    """
    before = bindparam("before", type_=BigInteger)
    return select(consent.c.customer_id).where(
        of_customers(consent.c.customer_id),
        consent.c.purpose.in_([literal_column(f"'{purpose}'") for purpose in ASKED]),
        consent.c.known_at <= before + literal_column(str(_SKEW_US), BigInteger),
    )


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
