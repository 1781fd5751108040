"""A ledger of the tests on either database, and a look behind its back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from serving.ledger import Ledger
from serving.ledger.engine import open_engines

NOON = datetime(2025, 12, 31, 4, tzinfo=UTC)
LedgerUrl = Callable[[Path], str]  # where the ledger of a home stands; the same home gives the same database


def opened(url: str, home: Path, **given: Any) -> Ledger:
    """The ledger at `url` of a bank in Shanghai, whose clock stands at noon."""
    return Ledger.open(url, home, **({"zone": ZoneInfo("Asia/Shanghai"), "clock": lambda: NOON} | given))


def rows_of(url: str, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query on a connection of its own."""
    engines = open_engines(url)
    try:
        with engines.reading() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    finally:
        engines.dispose()


def change(url: str, *statements: str) -> None:
    """Run statements behind the ledger's back."""
    engines = open_engines(url)
    try:
        with engines.writing() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engines.dispose()


@contextmanager
def write_lock_held(url: str) -> Iterator[None]:
    """Another process in the middle of writing: the ledger's own writer has to wait for it."""
    engines = open_engines(url)
    with engines.writer.connect() as other:
        transaction = other.begin()
        try:
            yield
        finally:
            transaction.rollback()
    engines.dispose()
