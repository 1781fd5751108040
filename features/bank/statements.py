"""An expression as a statement whose columns have the types that the expression declares."""

from __future__ import annotations

from typing import Any

import ibis.expr.types as ir


def typed(con: Any, expr: ir.Table, mark: str) -> str:
    """SQL of `expr` for the engine behind `con`, each column cast to its declared type; `mark` quotes a name.

    Engines keep other types than Ibis says: DuckDB sums int64 into HUGEINT, which Parquet then holds as double, and
    both count bits into smaller integers. What is kept and what is written must not depend on the engine.
    """
    sql = con.compiler.type_mapper.to_string
    columns = ", ".join(
        f"CAST({mark}{name}{mark} AS {sql(dtype)}) AS {mark}{name}{mark}" for name, dtype in expr.schema().items()
    )
    return f"SELECT {columns} FROM ({con.compile(expr)}) AS untyped"
