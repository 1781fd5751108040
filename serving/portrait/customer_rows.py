"""One customer's own rows of a bank table, read where they lie, as known at an instant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds


def rows_of(
    home: Path, table: str, customer_ids: Sequence[str], columns: Sequence[str], now: datetime
) -> list[dict[str, Any]]:
    """Rows of `table` of these customers that were known at `now`; none where the bank has no such table."""
    files = sorted((home / "bank" / table).glob("*.parquet"))
    if not files or not customer_ids:
        return []
    theirs = ds.field("customer_id").isin(pa.array(list(customer_ids), pa.string()))
    wanted = theirs & (ds.field("known_at") <= pa.scalar(now, pa.timestamp("us", tz="UTC")))
    found: list[dict[str, Any]] = ds.dataset(files).to_table(columns=list(columns), filter=wanted).to_pylist()
    return found
