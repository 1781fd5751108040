"""A bank opened on an engine through Ibis: its tables as expressions, and its rows as known on a day.

DuckDB is embedded and reads Parquet where it lies; nothing is written to a database file. The connection is private to
the caller, in UTC, and loads no extensions from anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa

from features.bank.contract import Table
from features.bank.tables import TABLES
from features.errors import BadBank
from features.vocabulary import Kind

STORED: Mapping[Kind, pa.DataType] = {
    Kind.FLAG: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.AMOUNT: pa.decimal128(18, 2),
    Kind.CODE: pa.string(),
    Kind.SET: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.INSTANT: pa.timestamp("us", tz="UTC"),
}


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema in which a bank table is stored."""
    return pa.schema([pa.field(c.name, STORED[c.kind], nullable=c.is_nullable) for c in table.columns])


@dataclass(frozen=True)
class Bank:
    """A bank's tables on one engine; a table that the bank does not have is absent."""

    home: Path
    con: Any
    tables: Mapping[str, ir.Table]

    def has(self, name: str) -> bool:
        return name in self.tables

    def known_by(self, instant: datetime) -> Mapping[str, ir.Table]:
        """Every table without the rows that the bank's systems did not know at `instant`."""
        return {name: t.filter(t.known_at <= ibis.literal(instant)) for name, t in self.tables.items()}

    def keep(self, name: str, expr: ir.Table) -> ir.Table:
        """`expr` computed once and kept for this connection under `name`, replacing what stood there."""
        return self.keep_sql(name, self.con.compile(expr))

    def keep_sql(self, name: str, sql: str) -> ir.Table:
        """A statement compiled earlier, computed and kept under `name`."""
        self.con.raw_sql(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {sql}')
        return self.con.table(name)

    def point(self, name: str, path: Path) -> ir.Table:
        """The Parquet file at `path` under `name`, so that the same statement can read another file next time."""
        place = str(path).replace("'", "''")
        self.con.raw_sql(f"CREATE OR REPLACE TEMP VIEW \"{name}\" AS SELECT * FROM read_parquet('{place}')")
        return self.con.table(name)

    def register(self, name: str, rows: pa.Table) -> ir.Table:
        """`rows` as a table of this connection."""
        return self.con.create_table(name, rows, temp=True, overwrite=True)


def connect() -> Any:
    """A private DuckDB connection in UTC that never reaches out for an extension."""
    con = ibis.duckdb.connect()
    for setting in (
        "TimeZone = 'UTC'",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "lambda_syntax = 'ENABLE_SINGLE_ARROW'",  # Ibis 12 writes x -> y, which DuckDB 2.0 refuses by default
    ):
        con.raw_sql(f"SET {setting}")
    return con


@contextmanager
def open_bank(home: Path) -> Iterator[Bank]:
    """The bank under `home/bank`; raises BadBank if it is not one, or a file breaks its table's schema."""
    folder = home / "bank"
    if not any(folder.glob("customer/*.parquet")):
        raise BadBank(
            "this folder holds no bank", value=str(home), allowed="a home with bank/customer/*.parquet",
            todo="run `tiercel simulate` or `tiercel import` first",
        )  # fmt: skip
    con = connect()
    try:
        tables = {}
        for name, table in TABLES.items():
            files = sorted((folder / name).glob("*.parquet"))
            if files:
                tables[name] = _read(con, table, files)
        yield Bank(home, con, tables)
    finally:
        con.disconnect()


def _read(con: Any, table: Table, files: list[Path]) -> ir.Table:
    read = con.read_parquet([str(f) for f in files], table_name=f"bank_{table.name}")
    expected = {c.name: dt.DataType.from_pyarrow(STORED[c.kind]) for c in table.columns}
    for name, dtype in expected.items():
        if name not in read.columns:
            raise BadBank(f"table {table.name} lacks column", value=name, allowed=expected)
        if not read[name].type().castable(dtype):
            raise BadBank(f"column {table.name}.{name} is {read[name].type()}", allowed=str(dtype), todo="convert it")
    return read.select(**{name: read[name].cast(dtype) for name, dtype in expected.items()})


def write_parquet(con: Any, expr: ir.Table, path: Path) -> None:
    """Write `expr` to `path` so that a reader sees the whole file or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    con.to_parquet(expr, half)
    with half.open("rb") as file:
        os.fsync(file.fileno())
    half.replace(path)


def month_end(day: date) -> date:
    """The last day of the month of `day`."""
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return date.fromordinal(following.toordinal() - 1)
