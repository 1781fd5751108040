"""Good rows pass; a row that breaks its table's contract is set aside with table, key, rule and value, and counted.

Nothing is repaired. A run that would set aside more than the allowed share of a table stops with one sentence and
leaves the home as it was: everything is written to a folder beside it and renamed when it is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from features.bank.contract import Table
from features.bank.engines import arrow_schema, connect
from features.bank.tables import TABLES
from features.errors import BadBank
from features.vocabulary import Kind

_LARGEST_SHARE = 0.02
_EARLIEST, _LATEST = "1900-01-02", "2100-01-01"


def receive(home: Path, tables: Mapping[str, pa.Table], *, largest_share: float = _LARGEST_SHARE) -> dict[str, int]:
    """Bring a bank's tables into `home`: good rows to bank/, bad ones to quarantine/; rows kept by table.

    Raises BadBank, and changes nothing, if a table is unknown, lacks a column, or breaks its contract too often.
    """
    unknown = sorted(set(tables) - set(TABLES))
    if unknown:
        raise BadBank("unknown table", value=unknown, allowed=sorted(TABLES))
    if "customer" not in tables:
        raise BadBank("a bank needs its customers", value=sorted(tables), allowed="at least the table customer")
    staging = home / ".receiving"
    shutil.rmtree(staging, ignore_errors=True)
    con = connect()
    try:
        given = {
            name: con.create_table(name, _conformed(TABLES[name], rows), temp=True) for name, rows in tables.items()
        }
        counts = {}
        for name, rows in given.items():
            counts[name] = _sift(con, TABLES[name], rows, given, staging, largest_share)
        _move_in(staging, home)
    finally:
        con.disconnect()
        shutil.rmtree(staging, ignore_errors=True)
    return counts


def complaints(table: Table, rows: ir.Table, others: Mapping[str, ir.Table]) -> Iterator[tuple[str, Any]]:
    """Each rule of the contract, named, with the condition under which a row breaks it."""
    for column in table.columns:
        value = rows[column.name]
        if not column.is_nullable:
            yield f"{column.name} is missing", value.isnull()
        if column.allowed:
            yield f"{column.name} is not a known code", value.notnull() & ~value.isin(column.allowed)
        if column.at_least is not None:
            yield f"{column.name} is below {column.at_least:g}", value < column.at_least
        if column.kind is Kind.NUMBER:
            yield f"{column.name} is not a number", value.isnan()
        if column.kind is Kind.DATE:
            yield f"{column.name} is out of time", (value < ibis.date(_EARLIEST)) | (value > ibis.date(_LATEST))
    nth = ibis.row_number().over(ibis.window(group_by=list(table.key), order_by=list(table.key)))
    yield "key stands twice", nth > 0
    for column_name, owner in table.foreign.items():
        if owner in others:
            owners = others[owner][TABLES[owner].key[0]]
            yield f"{column_name} is not in {owner}", rows[column_name].notnull() & rows[column_name].notin(owners)


def _conformed(table: Table, rows: pa.Table) -> pa.Table:
    schema = arrow_schema(table)
    missing = [name for name in schema.names if name not in rows.column_names]
    if missing:
        raise BadBank(f"table {table.name} lacks columns", value=missing, allowed=", ".join(schema.names))
    try:
        return rows.select(schema.names).cast(pa.schema([field.with_nullable(True) for field in schema]))
    except pa.ArrowException as error:
        raise BadBank(
            f"table {table.name} does not fit its contract", value=str(error), todo="convert the column"
        ) from error


def _sift(
    con: Any, table: Table, rows: ir.Table, others: Mapping[str, ir.Table], staging: Path, largest_share: float
) -> int:
    broken = ibis.cases(*[(test.fill_null(False), rule) for rule, test in complaints(table, rows, others)], else_=None)
    judged = con.create_table(f"judged_{table.name}", rows.mutate(_rule=broken), temp=True)
    good, bad = judged.filter(judged._rule.isnull()).drop("_rule"), judged.filter(judged._rule.notnull())
    n_good, n_bad = int(good.count().execute()), int(bad.count().execute())
    if n_bad > largest_share * (n_good + n_bad):
        first = bad.limit(1).to_pyarrow().to_pylist()[0]
        raise BadBank(
            f"table {table.name}: {n_bad} of {n_good + n_bad} rows break the contract",
            value=f"{ {k: first[k] for k in table.key} }: {first['_rule']}",
            allowed=f"at most {largest_share:.0%} of the rows",
            todo="mend the source; the home is as it was",
        )
    _write(good.to_pyarrow(), staging / "bank" / table.name / "all.parquet")
    if n_bad:
        _write(bad.to_pyarrow(), staging / "quarantine" / f"{table.name}.parquet")
    return n_good


def _write(rows: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path, compression="zstd")


def _move_in(staging: Path, home: Path) -> None:
    """Whole tables replace those of the same name; the others stay."""
    for folder in sorted(staging.rglob("*.parquet")):
        target = home / folder.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        for old in target.parent.glob("*.parquet") if target.parent.parent.name == "bank" else ():
            old.unlink()
        folder.replace(target)
