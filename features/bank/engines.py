"""A bank opened on an engine through Ibis: its tables as expressions, and its rows as known on a day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa

from features.bank import deliveries
from features.bank.contract import Table
from features.bank.duckdb_engine import DuckDB, connect
from features.bank.tables import TABLES
from features.errors import BadBank
from features.vocabulary import Kind

__all__ = ["ENGINES", "STORED", "Bank", "Engine", "arrow_schema", "connect", "month_end", "open_bank"]
ENGINES = (DuckDB.name, "spark")
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


class Engine(Protocol):
    """What a bank asks of the engine beneath it; DuckDB and Spark answer it alike.

    con       the Ibis connection; `con.table` finds what was kept, registered or read
    statement SQL of an expression for this engine, its columns in the declared types
    keep      rows of a statement, computed once and kept under `name`, replacing what stood there
    view      a statement under `name`, computed each time it is read
    register  Arrow rows as a table
    read      Parquet files as one table under `name`, columns matched by name, null where a file lacks one
    write     rows of a statement as one Parquet file that a reader sees whole or not at all, in their order
    """

    name: str
    con: Any

    def statement(self, expr: ir.Table) -> str: ...
    def keep(self, name: str, sql: str) -> ir.Table: ...
    def view(self, name: str, sql: str) -> None: ...
    def register(self, name: str, rows: pa.Table) -> ir.Table: ...
    def read(self, files: Sequence[Path], name: str) -> None: ...
    def write(self, sql: str, path: Path) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Bank:
    """A bank's tables on one engine; one that the bank does not have is absent, and so is one that stands apart.

    `delivery` names the delivery that they are of, empty for a bank that no import brought.
    """

    home: Path
    engine: Engine
    tables: Mapping[str, ir.Table]
    delivery: str = ""

    @property
    def con(self) -> Any:
        """The engine's Ibis connection."""
        return self.engine.con

    def has(self, name: str) -> bool:
        return name in self.tables

    def known_by(self, instant: datetime) -> Mapping[str, ir.Table]:
        """Every table without the rows that the bank's systems did not know at `instant`."""
        return {name: t.filter(t.known_at <= ibis.literal(instant)) for name, t in self.tables.items()}

    def keep(self, name: str, expr: ir.Table) -> ir.Table:
        """`expr` computed once and kept for this connection under `name`, replacing what stood there."""
        return self.engine.keep(name, self.engine.statement(expr))

    def view(self, name: str, expr: ir.Table) -> None:
        """`expr` under `name`, computed when it is read."""
        self.engine.view(name, self.engine.statement(expr))

    def point(self, name: str, *paths: Path) -> None:
        """The Parquet files at `paths` under `name`, so that one statement can read other files next time."""
        self.engine.read(paths, name)

    def register(self, name: str, rows: pa.Table) -> ir.Table:
        """`rows` as a table of this connection."""
        return self.engine.register(name, rows)

    def write(self, expr: ir.Table, path: Path) -> None:
        """`expr` as the Parquet file `path`, in the order of its rows, so that a reader sees all of it or none."""
        self.engine.write(self.engine.statement(expr), path)

    def write_sql(self, sql: str, path: Path) -> None:
        """As `write`, of a statement compiled earlier for this engine."""
        self.engine.write(sql, path)


@contextmanager
def open_bank(home: Path, engine: str = DuckDB.name) -> Iterator[Bank]:
    """The bank that stands under `home/bank`, the same one to the end.

    Raises BadBank if there is none, or a file breaks its table's schema. `engine` is one of ENGINES; raises
    MissingSpark where Spark is asked for and not installed.
    """
    with deliveries.held(home) as folder:
        if not any(folder.glob("customer/*.parquet")):
            raise BadBank(
                "this folder holds no bank", value=str(home), allowed="a home with bank/customer/*.parquet",
                todo="run `tiercel simulate` or `tiercel import` first",
            )  # fmt: skip
        opened: Engine = _engine(engine)
        try:
            tables = {}
            for name, table in TABLES.items():
                files = sorted((folder / name).glob("*.parquet"))
                if files and not table.is_apart:
                    tables[name] = _read(opened, table, files)
            yield Bank(home, opened, tables, folder.parent.name if folder.parent != home else "")
        finally:
            opened.close()


def _engine(name: str) -> Engine:
    if name == DuckDB.name:
        return DuckDB()
    if name in ENGINES:
        from features.bank.spark_engine import Spark

        return Spark()
    raise BadBank("unknown engine", value=name, allowed=ENGINES)


def _read(engine: Engine, table: Table, files: list[Path]) -> ir.Table:
    engine.read(files, f"bank_{table.name}")
    read = engine.con.table(f"bank_{table.name}")
    expected = {c.name: dt.DataType.from_pyarrow(STORED[c.kind]) for c in table.columns}
    absent = {
        c.name: ibis.null(expected[c.name]) for c in table.columns if c.is_nullable and c.name not in read.columns
    }
    read = read.mutate(**absent) if absent else read  # a file written before the contract had the column
    for name, dtype in expected.items():
        if name not in read.columns:
            raise BadBank(f"table {table.name} lacks column", value=name, allowed=expected)
        if not read[name].type().castable(dtype):
            raise BadBank(f"column {table.name}.{name} is {read[name].type()}", allowed=str(dtype), todo="convert it")
    return read.select(**{name: read[name].cast(dtype) for name, dtype in expected.items()})


def month_end(day: date) -> date:
    """The last day of the month of `day`."""
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return date.fromordinal(following.toordinal() - 1)
