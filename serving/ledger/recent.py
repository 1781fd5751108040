"""What happened to customers of late, as plain arrays: the ledger's part of a decision's moment.

One row a contact, response or open complaint that lies strictly before the instant and was known by then; contacts
and responses of the last 180 days, complaints as long as they are open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Dialect, Select, bindparam, func, literal_column, null, or_, select, union_all
from sqlalchemy.types import BigInteger, String

from serving.ledger.prepared import OfCustomers
from serving.ledger.tables import complaint, contact, micros, response

KINDS = ("contact", "response", "complaint")  # as numbered in the query
_KINDS = np.array(KINDS, dtype=object)
NEVER = -1  # in the query, for what did not happen: before 1970 no bank sent messages
_NAT = np.iinfo(np.int64).min  # how NumPy writes "not a time"


@dataclass(frozen=True, slots=True)
class RecentRows:
    """k rows ordered by customer and instant.

    `customer` is the position in the ids asked for, int64; `kind` is contact, response or complaint; `at`,
    `opened_at` and `failed_at` are datetime64[us] UTC, NaT where it did not happen before the instant; the others are
    objects with None.
    """

    customer: NDArray[np.int64]
    kind: NDArray[np.object_]
    at: NDArray[np.datetime64]
    offer_id: NDArray[np.object_]
    channel: NDArray[np.object_]
    purpose: NDArray[np.object_]
    outcome: NDArray[np.object_]
    opened_at: NDArray[np.datetime64]
    failed_at: NDArray[np.datetime64]


class RecentReader:
    """Reads the recent rows of one customer or of many."""

    def __init__(self, dialect: Dialect) -> None:
        self._query = OfCustomers(lambda of_customers: union_all(*happened_of(of_customers)), dialect)

    def read(self, connection: Connection, customer_ids: Sequence[str], before: datetime, days: int) -> RecentRows:
        """The recent rows of `customer_ids` (distinct) at the instant `before`, known by then."""
        limits = {"before": micros(before), "since": micros(before - timedelta(days=days))}
        rows = self._query.rows(connection, customer_ids, **limits)
        return recent_rows(rows, customer_ids, limits["before"])


def recent_rows(rows: Sequence[Sequence[Any]], customer_ids: Sequence[str], before: int) -> RecentRows:
    """The rows of the queries of `happened_of` as arrays; `before` in microseconds."""
    if not rows:
        return _NOTHING
    position = {customer_id: i for i, customer_id in enumerate(customer_ids)}
    columns = list(zip(*rows, strict=True))
    customer = np.array([position[customer_id] for customer_id in columns[0]], dtype=np.int64)
    kind, at = np.array(columns[1], dtype=np.int64), np.array(columns[2], dtype=np.int64)
    order = np.lexsort((kind, at, customer))
    return RecentRows(
        customer=customer[order],
        kind=_KINDS[kind[order]],
        at=at[order].view("datetime64[us]"),
        offer_id=_objects(columns[3], order),
        channel=_objects(columns[4], order),
        purpose=_objects(columns[5], order),
        outcome=_objects(columns[6], order),
        opened_at=_instants(columns[7], order, before),
        failed_at=_instants(columns[8], order, before),
    )


def happened_of(of_customers: Callable[[Any], Any]) -> list[Select[Any]]:
    """Queries of contacts, responses and open complaints of customers, as rows of one shape."""
    before, since = bindparam("before", type_=BigInteger), bindparam("since", type_=BigInteger)
    text: Any = null().cast(String)
    never: Any = literal_column(str(NEVER))

    def part(table: Any, kind: int, at: Any, *columns: Any) -> Select[Any]:
        query = select(table.c.customer_id, literal_column(str(kind)), at, *columns)
        return query.where(of_customers(table.c.customer_id), at < before, table.c.known_at <= before)

    opened_at, failed_at = (func.coalesce(column, never) for column in (contact.c.opened_at, contact.c.failed_at))
    contacts = part(contact, 0, contact.c.sent_at, contact.c.offer_id, contact.c.channel, contact.c.purpose,
                    text, opened_at, failed_at).where(contact.c.sent_at >= since)  # fmt: skip
    responses = part(response, 1, response.c.occurred_at, response.c.offer_id, text, text,
                     response.c.outcome, never, never).where(response.c.occurred_at >= since)  # fmt: skip
    complaints = part(complaint, 2, complaint.c.opened_at, text, text, text, text, never, never)
    is_open = or_(complaint.c.closed_at.is_(None), complaint.c.closed_at >= before)
    return [contacts, responses, complaints.where(is_open)]


def _objects(values: Sequence[Any], order: NDArray[np.int64]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array[order]


def _instants(values: Sequence[int], order: NDArray[np.int64], before: int) -> NDArray[np.datetime64]:
    at = np.array(values, dtype=np.int64)[order]
    return np.where((at == NEVER) | (at >= before), _NAT, at).view("datetime64[us]")


def _nothing() -> RecentRows:
    none, codes = np.empty(0, dtype=np.int64), np.empty(0, dtype=object)
    at = none.view("datetime64[us]")
    return RecentRows(none, codes, at, codes, codes, codes, codes, at, at)


_NOTHING = _nothing()
