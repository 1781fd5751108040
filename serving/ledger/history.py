"""The bank's own contacts, responses and complaints, taken into the ledger when a month is published.

Loading again changes nothing; a row that the ledger has of its own stays as it is. What the bank learns later of its
own rows is taken over: that a message was opened, that a complaint was settled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Table

from serving.ledger.databases import keep_all
from serving.ledger.tables import BANK, complaint, contact, response

_HUNDRED = pa.scalar(Decimal(100), pa.decimal128(3, 0))
CHUNK_ROWS = 20_000  # rows of one transaction: some 0.1 s in which decisions wait
_RENAMED = {"amount": "amount_minor", "cost_amount": "cost_minor"}
_GIVEN: dict[str, dict[str, str]] = {"response": {"actor": BANK, "body_digest": ""}, "contact": {}, "complaint": {}}
_REFRESHED: dict[str, tuple[str, ...]] = {
    "contact": ("delivered_at", "opened_at", "failed_at"),
    "complaint": ("closed_at",),
    "response": (),
}
SEEDED: dict[str, Table] = {table.name: table for table in (contact, response, complaint)}


def portions(rows: pa.Table) -> Iterator[pa.Table]:
    """`rows` in parts that one transaction may hold."""
    for start in range(0, rows.num_rows, CHUNK_ROWS):
        yield rows.slice(start, CHUNK_ROWS)


def seed(connection: Connection, name: str, rows: pa.Table) -> None:
    """Insert `rows` of bank table `name` (contact, response, complaint) where their key is new."""
    table = SEEDED[name]
    columns = {_RENAMED.get(column, column): column for column in rows.column_names}
    values = {stored: _stored(rows[column]) for stored, column in columns.items() if stored in table.c}
    values |= {stored: [value] * rows.num_rows for stored, value in ({"source": BANK} | _GIVEN[name]).items()}
    keep_all(connection, table, values, _REFRESHED[name])


def _stored(column: pa.ChunkedArray) -> Sequence[Any]:
    """A bank column as the ledger stores it: instants in microseconds, amounts in hundredths."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    elif pa.types.is_decimal(column.type):
        column = pc.multiply(column.cast(pa.decimal128(18, 2)), _HUNDRED).cast(pa.int64())
    return list(column.to_pylist())
