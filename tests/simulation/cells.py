"""A bank as `tiercel simulate` makes it, built month by month, and how many customers each cell has."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pyarrow.parquet as pq

from features import profiles
from features.vocabulary import Stage
from serving import jobs


def customers_by_cell(home: Path, *, customers: int, months: int, seed: int = 7) -> dict[str, int]:
    """Customers of each cell of the class × lifecycle matrix after the last month, empty cells included."""
    jobs.simulate(home, customers=customers, months=months, seed=seed, last_on=jobs.LAST_SIMULATED, progress=silent)
    book = jobs.segments_book(home)
    profiles.build(home, book, instant=datetime(2026, 1, 6, tzinfo=UTC), as_of=None, progress=silent)
    (path,) = (home / "profiles").glob(f"*/{jobs.LAST_SIMULATED}.parquet")
    found = Counter(pq.read_table(path, columns=["cell"])["cell"].to_pylist())
    classes = book.view(jobs.LAST_SIMULATED).classes.classes
    return {f"{name}/{stage}": found[f"{name}/{stage}"] for name, stage in product(classes, Stage)}


def silent(_what: str, _share: float) -> None:
    """No progress is told."""
