"""Several expressions as one statement, each reading the ones before by name, for the engine to stream through.

Nested into one expression they would mean the same; but Ibis merges what is nested, and compiling a month takes five
times as long. A step that is read once is no cost to the engine.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.bank.engines import Bank


class Chain:
    """Steps of a statement in the order in which they were named."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._steps: list[str] = []

    def step(self, name: str, expr: ir.Table) -> ir.Table:
        """The rows of `expr` under `name`, for the expressions that follow."""
        self._steps.append(f"{name} AS ({self._bank.con.compile(expr)})")
        return ibis.table(expr.schema(), name=name)

    def statement(self, expr: ir.Table) -> str:
        """SQL of `expr`, which reads the steps, its columns in the declared types."""
        last = self._bank.engine.statement(expr)
        return f"WITH {', '.join(self._steps)} SELECT * FROM ({last}) AS answer" if self._steps else last
