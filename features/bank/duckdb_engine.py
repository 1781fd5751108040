"""DuckDB behind a bank: embedded in our process, reading Parquet where it lies.

Nothing is written to a database file. The connection is private to the caller, in UTC, and loads no extensions from
anywhere.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.bank.statements import typed
from features.bank.whole_files import whole

_ROW_GROUP = 30_720  # rows that one thread writes and reads at a time; by default a bank of 100,000 would keep one busy


def connect() -> Any:
    """A private DuckDB connection in UTC that never reaches out for an extension."""
    con = ibis.duckdb.connect()
    spilled = str(Path(tempfile.gettempdir()) / f"tiercel-{os.getpid()}-{id(con):x}.spill").replace("'", "''")
    for setting in (
        f"temp_directory = '{spilled}'",  # made where memory does not do, gone with the connection; TMPDIR says where
        "TimeZone = 'UTC'",
        "enable_progress_bar = false",  # the commands show their own
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "lambda_syntax = 'ENABLE_SINGLE_ARROW'",  # Ibis 12 writes x -> y, which DuckDB 2.0 refuses by default
    ):
        con.raw_sql(f"SET {setting}")
    return con


class DuckDB:
    """One DuckDB connection; see `features.bank.engines.Engine`."""

    name = "duckdb"

    def __init__(self) -> None:
        self.con = connect()

    def statement(self, expr: ir.Table) -> str:
        return typed(self.con, expr, '"')

    def keep(self, name: str, sql: str) -> ir.Table:
        self.con.raw_sql(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {sql}')
        return self.con.table(name)

    def view(self, name: str, sql: str) -> None:
        self.con.raw_sql(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {sql}')

    def register(self, name: str, rows: pa.Table) -> ir.Table:
        return self.con.create_table(name, rows, temp=True, overwrite=True)

    def read(self, files: Sequence[Path], name: str) -> None:
        self.view(name, f"SELECT * FROM read_parquet([{', '.join(map(_text, files))}], union_by_name = true)")

    def write(self, sql: str, path: Path) -> None:
        with whole(path) as half:
            self.con.raw_sql(f"COPY ({sql}) TO {_text(half)} (FORMAT parquet, ROW_GROUP_SIZE {_ROW_GROUP})")

    def close(self) -> None:
        self.con.disconnect()


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
