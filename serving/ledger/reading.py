"""What the ledger knows, read on connections of their own: reading does not wait for the writer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Connection, Date, Dialect, Row, Select, and_, bindparam, func, or_, select, tuple_

from features.errors import BadRequest, NotFound
from serving.ledger.prepared import OfCustomers
from serving.ledger.rows import DecisionPage, DecisionRow, FirstDecision, PlacementRow, StoredDecision, StoredPlacement
from serving.ledger.scope import chunks, keyed
from serving.ledger.tables import contact, decision, do_not_call, instant, micros, placement, response

PAGE_ROWS = 500


def read_decision(connection: Connection, decision_id: str) -> StoredDecision:
    """The decision of this id; raises NotFound."""
    row = connection.execute(select(decision).where(decision.c.decision_id == decision_id)).one_or_none()
    if row is None:
        raise NotFound("no decision of this id", value=decision_id)
    return _with_placements(connection, [row])[0]


def read_decisions(
    connection: Connection, start: datetime, end: datetime, cursor: str | None = None, limit: int = PAGE_ROWS
) -> DecisionPage:
    """Decisions with start ≤ decided_at < end, in order of time, at most `limit` after `cursor`; raises BadRequest."""
    query = select(decision).where(decision.c.decided_at >= micros(start), decision.c.decided_at < micros(end))
    if cursor is not None:
        query = query.where(tuple_(decision.c.decided_at, decision.c.seq) > tuple_(*_position(cursor)))
    rows = connection.execute(query.order_by(decision.c.decided_at, decision.c.seq).limit(limit + 1)).all()
    page = rows[:limit]
    more = _cursor(page[-1].decided_at, page[-1].seq) if len(rows) > limit else None
    return DecisionPage(tuple(_with_placements(connection, page)), more)


def read_latest_decisions(
    connection: Connection, customer_id: str, before: datetime, limit: int
) -> tuple[StoredDecision, ...]:
    """A customer's decisions before an instant, the newest first, at most `limit`."""
    query = select(decision).where(decision.c.customer_id == customer_id, decision.c.decided_at < micros(before))
    rows = connection.execute(query.order_by(decision.c.decided_at.desc(), decision.c.seq.desc()).limit(limit)).all()
    return tuple(_with_placements(connection, rows))


def read_placements(connection: Connection, placement_ids: Sequence[str]) -> dict[str, StoredPlacement]:
    """The placements of these ids by id; an id that nothing answers to is left out."""
    found = keyed(connection, placement.c.placement_id, placement_ids, *placement.c)
    return {key: StoredPlacement(_placement(row), row.decision_id, row.customer_id) for key, row in found.items()}


class DayReader:
    """What a decision has to know of the day: which decision it repeats, which channels are closed."""

    def __init__(self, dialect: Dialect) -> None:
        self._firsts = OfCustomers(firsts_of, dialect)
        self._closed = OfCustomers(closed_of, dialect)

    def first_decisions(
        self, connection: Connection, customer_ids: Sequence[str], start: datetime, before: datetime
    ) -> dict[str, FirstDecision]:
        """Each customer's first decision from `start` on and before `before`, which later ones of the day repeat."""
        found: dict[str, FirstDecision] = {}
        for row in self._firsts.rows(connection, customer_ids, start=micros(start), before=micros(before)):
            customer_id, decision_id, release_id, decided_at = row
            found.setdefault(customer_id, FirstDecision(decision_id, release_id, instant(decided_at)))
        return found

    def do_not_call(self, connection: Connection, customer_ids: Sequence[str], on: date) -> dict[str, frozenset[str]]:
        """The channels closed on a day, of each customer who has any."""
        found: dict[str, set[str]] = {}
        for customer_id, channel in self._closed.rows(connection, customer_ids, on=on):
            found.setdefault(customer_id, set()).add(channel)
        return {customer_id: frozenset(channels) for customer_id, channels in found.items()}


def firsts_of(of_customers: Callable[[Any], Any]) -> Select[Any]:
    """The query of the decisions of a day that repeat no other, first ones first."""
    start, before = bindparam("start", type_=BigInteger), bindparam("before", type_=BigInteger)
    query = select(decision.c.customer_id, decision.c.decision_id, decision.c.release_id, decision.c.decided_at)
    query = query.where(of_customers(decision.c.customer_id), decision.c.repeat_of.is_(None))
    query = query.where(decision.c.decided_at >= start, decision.c.decided_at < before)
    return query.order_by(decision.c.customer_id, decision.c.decided_at, decision.c.seq)


def closed_of(of_customers: Callable[[Any], Any]) -> Select[Any]:
    """The query of the channels that are closed on a day."""
    on = bindparam("on", type_=Date)
    holds = and_(do_not_call.c.from_on <= on, or_(do_not_call.c.to_on.is_(None), do_not_call.c.to_on > on))
    return select(do_not_call.c.customer_id, do_not_call.c.channel).where(
        of_customers(do_not_call.c.customer_id), holds
    )


def read_latest_at(connection: Connection) -> datetime | None:
    """The last instant at which the ledger itself wrote something; None for one that holds nothing of its own."""
    latest = [
        connection.execute(select(func.max(decision.c.decided_at))).scalar_one(),
        connection.execute(select(func.max(response.c.known_at)).where(response.c.source == "ledger")).scalar_one(),
        connection.execute(select(func.max(contact.c.known_at)).where(contact.c.source == "ledger")).scalar_one(),
    ]
    return max((instant(at) for at in latest if at is not None), default=None)


def _with_placements(connection: Connection, rows: Sequence[Row[Any]]) -> list[StoredDecision]:
    slots: dict[str, list[PlacementRow]] = {}
    for chunk in chunks(row.decision_id for row in rows):
        query = select(placement).where(placement.c.decision_id.in_(chunk))
        for slot in connection.execute(query.order_by(placement.c.rank, placement.c.placement_id)):
            slots.setdefault(slot.decision_id, []).append(_placement(slot))
    return [_decision(row, tuple(slots.get(row.decision_id, ()))) for row in rows]


def _decision(row: Row[Any], placements: tuple[PlacementRow, ...]) -> StoredDecision:
    values = dict(row._mapping)
    seq, prev_hash, row_hash = values.pop("seq"), values.pop("prev_hash"), values.pop("row_hash")
    values["decided_at"] = instant(values["decided_at"])
    return StoredDecision(DecisionRow(**values, placements=placements), seq, prev_hash, row_hash)


def _placement(row: Row[Any]) -> PlacementRow:
    return PlacementRow(
        placement_id=row.placement_id,
        rank=row.rank,
        offer_id=row.offer_id,
        treatment_id=row.treatment_id,
        channel=row.channel,
        propensity=row.propensity,
        expires_at=instant(row.expires_at),
        purpose=row.purpose,
        cost_amount=Decimal(row.cost_minor).scaleb(-2),
    )


def _cursor(decided_at: int, seq: int) -> str:
    return base64.urlsafe_b64encode(f"{decided_at}.{seq}".encode()).decode()


def _position(cursor: str) -> tuple[int, int]:
    try:
        decided_at, seq = base64.urlsafe_b64decode(cursor.encode()).decode().split(".")
        return int(decided_at), int(seq)
    except (ValueError, binascii.Error) as error:
        raise BadRequest("the cursor was not given out by us", value=cursor[:80], todo="begin without one") from error
