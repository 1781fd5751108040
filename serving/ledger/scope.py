"""What every writer of events is given, and how batches of keys are looked up and held against what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, select

from serving.ledger.rows import BadRow

T = TypeVar("T")
CHUNK_KEYS = 5_000  # keys of one query; SQLite allows 32,766 parameters, PostgreSQL 65,535


@dataclass(frozen=True, slots=True)
class Scope:
    """The bank's zone, which gives an event its day of business, and the one clock."""

    zone: ZoneInfo
    clock: Callable[[], datetime]

    def business_on(self, at: datetime) -> date:
        """The day of business of an instant, in the bank's zone."""
        return at.astimezone(self.zone).date()


def chunks(keys: Iterable[T]) -> Iterator[list[T]]:
    """The distinct keys in order, in lists that one query may carry."""
    distinct = list(dict.fromkeys(keys))
    for start in range(0, len(distinct), CHUNK_KEYS):
        yield distinct[start : start + CHUNK_KEYS]


def keyed(
    connection: Connection, key: ColumnElement[str], keys: Sequence[str], *columns: ColumnElement[Any]
) -> dict[str, Row[Any]]:
    """The rows whose `key` is among `keys`, by key; each row has the key first, then the other `columns`."""
    query = select(key, *[column for column in columns if column is not key])
    found: dict[str, Row[Any]] = {}
    for chunk in chunks(keys):
        found.update((row[0], row) for row in connection.execute(query.where(key.in_(chunk))))
    return found


def faults_of_keys(rows: Sequence[tuple[str, str]], stored: Mapping[str, Row[Any]]) -> Iterator[BadRow]:
    """The rows (key, digest) whose key is empty, or is known with another content from the ledger or the batch."""
    known = {key: row.body_digest for key, row in stored.items()}
    for index, (key, content) in enumerate(rows):
        if not key:
            yield BadRow(index, key, "NO_KEY", "the event has no id")
        elif known.setdefault(key, content) != content:
            yield BadRow(index, key, "OTHER_BODY", "an event of this id is known with another content")
