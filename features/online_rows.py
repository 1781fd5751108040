"""Reads the packed online store: one SQLite file a lineage, one row a customer and view; no Feast.

    view        one row a view: its columns, their digest, its lifetime
    dictionary  one row a code or set of a column; rows are only ever added
    rows_<view> customer_id -> event_at, created_at, packed row

Every instant is an integer, microseconds since 1970 in UTC: a date adapter that some library registers with `sqlite3`,
or the time zone of a process, cannot reach it. `features.publishing` writes these files.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from features.errors import NotReady, UserMistake
from features.packing import Plain, RowCodec, SchemaMismatch, schema_digest
from features.plain_rows import PlainCodec
from features.vocabulary import Column, Kind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = int(np.iinfo(np.int64).min)
MICROSECOND = timedelta(microseconds=1)
_FEW = 16  # customers of one statement that names each
_MAPPED_BYTES = 1 << 34

StoredRow = tuple[int, int, bytes]  # event_at, created_at, packed row


class MissingStore(NotReady):
    """No online store has been published at this path, or it lacks a view."""

    slug = "missing-store"


@dataclass(frozen=True, slots=True)
class OnlineRows:
    """n customers as read at one instant.

    `arrays`: every column of every view, shape (n,), as RowCodec.arrays gives them, missing where the customer has no
    live row. By view, bool (n,): `is_known` where a row was there and published by the instant, `is_stale` where
    that row has outlived its view's lifetime. `event_at`: datetime64[us] (n,), the row's instant, NaT where not known.
    """

    arrays: dict[str, NDArray[Any]]
    is_known: dict[str, NDArray[np.bool_]]
    is_stale: dict[str, NDArray[np.bool_]]
    event_at: dict[str, NDArray[np.datetime64]]


class OnlineRow(NamedTuple):
    """One customer as read at one instant, without arrays: `facts` as PlainCodec.each gives them, and whether any of
    the views knew the customer, and whether any of their rows has outlived its lifetime; `events_us` are the instants
    of the live rows, by view."""

    facts: dict[str, Plain]
    is_known: bool
    is_stale: bool
    events_us: dict[str, int]


@dataclass(frozen=True, slots=True)
class StoredView:
    """A view as a store holds it."""

    name: str
    codec: RowCodec
    lifetime_us: int


class OnlineReader:
    """Reads customers from a published store; may be shared by threads; needs neither Feast nor a clock.

    Keeps reading the file it opened when a newer one is published at the same path; `is_current` tells.
    """

    def __init__(self, path: Path, *, is_frozen: bool = False, later: Iterable[str] = ()) -> None:
        """Raises MissingStore if nothing is published at `path`, SchemaMismatch if it was written by another layout.

        `is_frozen`: nobody ever writes into this file, as in a release; it is then read without asking for locks.
        `later`: numbers that the caller works out of what `each` gives, where they stand as missing.
        """
        if not path.is_file():
            raise MissingStore("no online store", value=str(path), todo="publish a build first")
        self._path = path
        self._lock = threading.Lock()
        mode = "mode=ro&immutable=1" if is_frozen else "mode=ro"
        self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, check_same_thread=False)
        self._connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")  # a page then costs no call to the system
        self._inode = path.stat().st_ino
        self.views = stored_views(self._connection)
        self._plain = PlainCodec([view.codec for view in self.views.values()], later)
        self._cursor, self._beside = self._connection.cursor(), _side_by_side(tuple(self.views))

    def view(self, name: str) -> StoredView:
        """The stored view called `name`; raises MissingStore."""
        if name not in self.views:
            raise MissingStore("online store lacks a view", value=name, allowed=sorted(self.views), todo="publish it")
        return self.views[name]

    def require(self, name: str, columns: Sequence[Column]) -> None:
        """Raise MissingStore or SchemaMismatch unless the store holds the view with exactly these columns."""
        check_schema(name, self.view(name).codec.digest, columns)

    def is_current(self) -> bool:
        """Whether the file at the path is still the one that this reader opened."""
        return self._path.exists() and self._path.stat().st_ino == self._inode

    def rows(self, customer_ids: Sequence[str], *, at: datetime) -> OnlineRows:
        """The rows of `customer_ids`, in their order, as they stand at `at`; an unknown customer is all missing."""
        at_us = microseconds(at)
        found = OnlineRows({}, {}, {}, {})
        stored = self._stored(customer_ids)
        for name, view in self.views.items():
            rows, missing = stored[name], (_NEVER, _NEVER, view.codec.missing_row)
            events, known, stale, packed = [], [], [], []
            for customer_id in customer_ids:
                event_us, created_us, row = rows.get(customer_id, missing)
                is_known = event_us != _NEVER and event_us <= at_us and created_us <= at_us
                is_stale = is_known and event_us < at_us - view.lifetime_us
                events.append(event_us if is_known else _NEVER)
                known.append(is_known)
                stale.append(is_stale)
                packed.append(row if is_known and not is_stale else missing[2])
            found.arrays.update(view.codec.arrays(packed))
            found.is_known[name], found.is_stale[name] = np.array(known, dtype=bool), np.array(stale, dtype=bool)
            found.event_at[name] = np.array(events, dtype=np.int64).view("datetime64[us]")
        return found

    def each(self, customer_ids: Sequence[str], *, at: datetime) -> list[OnlineRow]:
        """A few customers one by one, in their order, as they stand at `at`: what `rows` gives, as plain values."""
        if not customer_ids:
            return []
        at_us = microseconds(at)
        with self._lock:
            stored = [self._cursor.execute(self._beside, (name,)).fetchone() for name in customer_ids]
        live = [self._live(values, at_us) for values in stored]
        each = self._plain.each([packed for packed, _, _, _ in live])
        return [
            OnlineRow(facts, is_known, is_stale, events_us)
            for facts, (_, is_known, is_stale, events_us) in zip(each, live, strict=True)
        ]

    def _live(self, stored: Sequence[Any], at_us: int) -> tuple[list[bytes], bool, bool, dict[str, int]]:
        """The packed rows of one customer and what else an OnlineRow says of him, of event_at, created_at and packed
        row of each view, null without."""
        packed: list[bytes] = []
        events_us: dict[str, int] = {}
        is_known = is_stale = False
        at = 0
        for name, view in self.views.items():
            event_us, created_us, row = stored[at : at + 3]
            at += 3
            if event_us is None or event_us > at_us or created_us > at_us:
                row = view.codec.missing_row
            elif event_us < at_us - view.lifetime_us:
                is_known = is_stale = True
                row = view.codec.missing_row
            else:
                is_known, events_us[name] = True, event_us
            packed.append(row)
        return packed, is_known, is_stale, events_us

    def read(self, name: str, customer_ids: Sequence[str]) -> dict[str, StoredRow]:
        """The stored rows of those of `customer_ids` that the view has, as they are, whatever their age."""
        return self._stored(customer_ids, [self.view(name).name])[name]

    def _stored(
        self, customer_ids: Sequence[str], views: Iterable[str] | None = None
    ) -> dict[str, dict[str, StoredRow]]:
        """The stored rows of `views` (all of them if not given) by view and customer, in one statement."""
        found: dict[str, dict[str, StoredRow]] = {name: {} for name in (self.views if views is None else views)}
        few = len(customer_ids) <= _FEW  # plain look-ups take a third of the time of a join with a list
        query = _few_rows(tuple(found), len(customer_ids)) if few else _many_rows(tuple(found))
        values = [*customer_ids] * len(found) if few else [json.dumps(list(customer_ids))] * len(found)
        with self._lock:
            rows = self._connection.execute(query, values).fetchall()
        for name, customer_id, *row in rows:
            found[name][customer_id] = (row[0], row[1], row[2])
        return found

    def customer_ids(self) -> list[str]:
        """Every customer that some view holds, in the order of their ids."""
        every = " UNION ".join(f"SELECT customer_id FROM {rows_of(name)}" for name in self.views)
        with self._lock:
            return [row[0] for row in self._connection.execute(f"{every} ORDER BY 1").fetchall()]

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def microseconds(at: datetime) -> int:
    """Microseconds from 1970 to `at`; a time without zone is UTC.

    >>> microseconds(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
    -1
    """
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // MICROSECOND


def instant(microseconds: int) -> datetime:
    """The instant so many microseconds after 1970, in UTC."""
    return _EPOCH + microseconds * MICROSECOND


def is_live(event_us: int, created_us: int, *, at_us: int, lifetime_us: int) -> bool:
    """Whether a row had happened and was published by an instant, and has not outlived its lifetime then."""
    return max(event_us, created_us) <= at_us <= event_us + lifetime_us


def stored_views(db: sqlite3.Connection) -> dict[str, StoredView]:
    """The views of an open store with their codecs, by name; raises SchemaMismatch for another layout's."""
    words: dict[str, dict[str, list[str]]] = {}
    for view, column, word in db.execute("SELECT view, column, word FROM dictionary ORDER BY view, column, code"):
        words.setdefault(view, {}).setdefault(column, []).append(word)
    found = {}
    for name, text, digest, lifetime_us in db.execute("SELECT name, columns, digest, lifetime_us FROM view"):
        columns = tuple(Column(column, Kind(kind), "") for column, kind in json.loads(text))
        check_schema(name, digest, columns)
        known = {column.name: tuple(words.get(name, {}).get(column.name, ())) for column in columns}
        found[name] = StoredView(name, RowCodec(columns, known), lifetime_us)
    return found


def check_schema(view: str, digest: str, columns: Sequence[Column]) -> None:
    """Raise SchemaMismatch unless `digest` is that of `columns`, in their order."""
    if digest != schema_digest(columns):
        raise SchemaMismatch(f"view {view!r} was published under other columns", value=digest[:12],
                             allowed=schema_digest(columns)[:12], todo="publish the view again")  # fmt: skip


def rows_of(view: str) -> str:
    """Name of the table that holds the rows of `view`."""
    if not view.isidentifier() or not view.isascii():
        raise UserMistake("name of a view cannot name a table", value=view, allowed="letters, digits and _")
    return f"rows_{view}"


@lru_cache(maxsize=64)
def _few_rows(views: tuple[str, ...], n: int) -> str:
    wanted = f"customer_id IN ({', '.join('?' * n)})"
    parts = [f"SELECT '{v}', customer_id, event_at, created_at, packed FROM {rows_of(v)} WHERE {wanted}" for v in views]
    return " UNION ALL ".join(parts)


def _side_by_side(views: Iterable[str]) -> str:
    """One row: what every view holds of a customer, or nulls."""
    columns = [f"{rows_of(view)}.{name}" for view in views for name in ("event_at", "created_at", "packed")]
    joined = " ".join(f"LEFT JOIN {rows_of(view)} ON {rows_of(view)}.customer_id = ?1" for view in views)
    return f"SELECT {', '.join(columns)} FROM (SELECT 1) {joined}"


@lru_cache(maxsize=8)
def _many_rows(views: tuple[str, ...]) -> str:
    columns = "r.customer_id, r.event_at, r.created_at, r.packed"
    listed = "json_each(?) ids CROSS JOIN"
    parts = [f"SELECT '{v}', {columns} FROM {listed} {rows_of(v)} r ON r.customer_id = ids.value" for v in views]
    return " UNION ALL ".join(parts)
