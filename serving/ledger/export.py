"""What the ledger learned, as Parquet in the form of the bank's own tables, so that the next month starts wiser.

One file a table, `FOLDER/<table>/ledger.parquet`, written under another name and then renamed: a reader sees the old
file or the new one, never half of one. All files of one export show the same instant. The bank's own history, which
came from such tables, is left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Select, Table, case, func, or_, select

from features.bank.tables import TABLES
from features.vocabulary import DecisionMark, Kind
from serving.ledger.tables import (
    LEDGER,
    complaint,
    consent,
    contact,
    decision,
    do_not_call,
    placement,
    response,
    tag_deletion,
)

FILE = "ledger.parquet"
_CHUNK_ROWS = 20_000
_HELD_OUT = "HOLDOUT"  # the arm of a decision, as `decisioning.arms` names it
_INSTANT = pa.timestamp("us", tz="UTC")
_ARROW = {
    Kind.FLAG: pa.bool_(), Kind.INTEGER: pa.int64(), Kind.NUMBER: pa.float64(), Kind.AMOUNT: pa.decimal128(18, 2),
    Kind.CODE: pa.string(), Kind.SET: pa.string(), Kind.DATE: pa.date32(), Kind.INSTANT: _INSTANT,
}  # fmt: skip
_SQL = {"BIGINT": pa.int64(), "INTEGER": pa.int64(), "BOOLEAN": pa.bool_(), "FLOAT": pa.float64(), "DATE": pa.date32()}
_MINOR = {"amount": "amount_minor", "cost_amount": "cost_minor"}


def export(connection: Connection, folder: Path) -> dict[str, int]:
    """Write every table of the export under `folder`; the number of rows by table."""
    return {
        name: _write(connection, query, schema, folder / name / FILE) for name, (query, schema) in _exported().items()
    }


def _exported() -> Mapping[str, tuple[Select[Any], pa.Schema]]:
    first = select(func.min(contact.c.contact_id)).where(contact.c.placement_id == response.c.placement_id)
    answered = func.coalesce(response.c.contact_id, first.scalar_subquery()).label("contact_id")
    bank: dict[str, Select[Any]] = {
        "contact": _as_bank(contact, decision_mark=_mark()).where(contact.c.source == LEDGER),
        "response": _as_bank(response, contact_id=answered).where(response.c.source == LEDGER),
        "complaint": _as_bank(complaint).where(complaint.c.source == LEDGER),
        "do_not_call": _as_bank(do_not_call),
        "consent": _as_bank(consent),
    }
    found = {name: (query, _bank_schema(name)) for name, query in bank.items()}
    for table in (decision, placement, tag_deletion):
        found[table.name] = (_as_own(table).order_by(*table.primary_key), _own_schema(table))
    return found


def _mark() -> Any:
    """What forbids to learn from the decision behind a contact. Dry runs and replays are never written, so they lead to
    none."""
    mine = select(
        case(
            (or_(decision.c.is_degraded, decision.c.is_fallback), str(DecisionMark.DEGRADED)),
            (decision.c.arm == _HELD_OUT, str(DecisionMark.HOLDOUT)),
        )
    )
    joined = mine.join(placement, placement.c.decision_id == decision.c.decision_id)
    return joined.where(placement.c.placement_id == contact.c.placement_id).scalar_subquery()


def _as_bank(table: Table, **replaced: Any) -> Select[Any]:
    columns = []
    for column in TABLES[table.name].columns:
        name = _MINOR.get(column.name, column.name)
        stored = replaced[name] if name in replaced else table.c[name]
        columns.append(stored.label(column.name))
    return select(*columns).order_by(*table.primary_key)


def _as_own(table: Table) -> Select[Any]:
    return select(*[column.label(column.name.replace("_minor", "_amount")) for column in table.c])


def _bank_schema(name: str) -> pa.Schema:
    columns = TABLES[name].columns
    return pa.schema([pa.field(column.name, _ARROW[column.kind], nullable=column.is_nullable) for column in columns])


def _own_schema(table: Table) -> pa.Schema:
    def kind(name: str, stored: str) -> pa.DataType:
        if name.endswith("_at"):
            return _INSTANT
        return _ARROW[Kind.AMOUNT] if name.endswith("_minor") else _SQL.get(stored, pa.string())

    return pa.schema(
        [
            pa.field(c.name.replace("_minor", "_amount"), kind(c.name, str(c.type)), nullable=bool(c.nullable))
            for c in table.c
        ]
    )


def _write(connection: Connection, query: Select[Any], schema: pa.Schema, path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    n_rows = 0
    with pq.ParquetWriter(part, schema) as writer:
        for batch in _batches(connection, query, schema):
            writer.write_batch(batch)
            n_rows += batch.num_rows
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)
    return n_rows


def _batches(connection: Connection, query: Select[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows = connection.execute(query, execution_options={"yield_per": _CHUNK_ROWS})
    for part in rows.partitions():
        columns = zip(*part, strict=True)
        arrays = [_array(values, field.type) for values, field in zip(columns, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_decimal(kind):
        return pa.array([None if value is None else Decimal(value).scaleb(-2) for value in values], kind)
    return pa.array(values, kind)
