"""Sets of small codes as bit masks: what both engines can do with them and Ibis has no one name for."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.datatypes as dt


@ibis.udf.scalar.builtin(name="bit_count", signature=((dt.int64,), dt.int8))
def _bits(mask):  # type: ignore[no-untyped-def]  # the engine's own function, typed by its signature
    """Number of set bits, in as few bits as DuckDB gives it."""


def bit_count(mask: Any) -> Any:
    """Number of set bits of an integer mask, as int64: days of two quarters do not add up within a byte."""
    return _bits(mask).cast("int64")


@ibis.udf.agg.builtin(name="bit_or")  # type: ignore[untyped-decorator]  # Ibis leaves its decorators untyped
def bit_or(mask: int) -> int:  # type: ignore[empty-body]  # the engine's own function
    """Union of the masks of a group, of the rows where `where` holds if it is given; null where there are none."""
