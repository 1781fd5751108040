"""Sets of small codes as bit masks: what both engines can do with them and Ibis has no one name for."""

from __future__ import annotations

import ibis


@ibis.udf.scalar.builtin(name="bit_count")  # type: ignore[untyped-decorator]  # Ibis leaves its decorators untyped
def bit_count(mask: int) -> int:  # type: ignore[empty-body]  # the engine's own function
    """Number of set bits of an integer mask."""


@ibis.udf.agg.builtin(name="bit_or")  # type: ignore[untyped-decorator]  # as above
def bit_or(mask: int) -> int:  # type: ignore[empty-body]  # the engine's own function
    """Union of the masks of a group, of the rows where `where` holds if it is given; null where there are none."""
