"""Writes the packed online store: whole files beside the old one, or single rows for Feast's own write path.

A file is published whole, beside the old one and under a temporary name, and then takes the old one's place in one
step: a reader sees all views of one publication or all of another. Views that a publication does not name are carried
over, so that the day view can be published every morning without packing the month again.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from features.online_rows import MICROSECOND, StoredView, rows_of
from features.packing import CannotPack, Dictionaries, RowCodec, dictionaries, schema_digest
from features.vocabulary import AS_OF_AT, AVAILABLE_AT, CUSTOMER_ID, Column

_TABLES = """
CREATE TABLE IF NOT EXISTS view (name TEXT PRIMARY KEY, columns TEXT NOT NULL, digest TEXT NOT NULL,
                                 lifetime_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dictionary (view TEXT, column TEXT, code INTEGER, word TEXT NOT NULL,
                                       PRIMARY KEY (view, column, code)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class ViewRows:
    """The newest rows of one view, ready to publish.

    `table` has one row a customer with customer_id, as_of_at, available_at and every one of `columns`. A row older
    than `lifetime` is stale to a reader.
    """

    name: str
    columns: tuple[Column, ...]
    lifetime: timedelta
    table: pa.Table


def publish(path: Path, *views: ViewRows, is_all: bool = False) -> int:
    """Size in bytes of the store that now stands at `path`: `views`, and the old store's other views unless `is_all`.

    Raises CannotPack if a customer appears twice or a column does not hold what it says; the old store then stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    beside.unlink(missing_ok=True)
    try:
        with _transaction(beside, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;", attach=path) as new:
            for view in views:
                add_view(new, view.name, view.columns, view.lifetime)
                _fill(new, view)
            if not is_all:
                _carry_over(new)
        _sync(beside)
        size = beside.stat().st_size
        beside.replace(path)
        _sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)
    return size


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """An open store at `path`, made if absent, in one transaction: committed at the end, undone by an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _transaction(path, "PRAGMA synchronous = FULL;") as db:
        yield db


def add_view(db: sqlite3.Connection, name: str, columns: Sequence[Column], lifetime: timedelta) -> None:
    """Make room for a view that the store does not have yet."""
    schema = json.dumps([[column.name, str(column.kind)] for column in columns])
    db.execute(
        "INSERT INTO main.view VALUES (?, ?, ?, ?)", (name, schema, schema_digest(columns), lifetime // MICROSECOND)
    )
    _add_rows_table(db, name)


def drop_view(db: sqlite3.Connection, name: str) -> None:
    """Remove a view and its rows, if it is there."""
    db.execute(f"DROP TABLE IF EXISTS {rows_of(name)}")
    db.execute("DELETE FROM dictionary WHERE view = ?", (name,))
    db.execute("DELETE FROM view WHERE name = ?", (name,))


def merge_rows(db: sqlite3.Connection, view: StoredView, table: pa.Table) -> None:
    """Write rows into an open store; of two rows of a customer the later event stays, then the later creation."""
    words = dictionaries(table, view.codec.columns, view.codec.dictionaries)
    _write_dictionaries(db, view.name, words, view.codec.dictionaries)
    db.executemany(
        f"INSERT INTO {rows_of(view.name)} VALUES (?, ?, ?, ?) ON CONFLICT (customer_id) DO UPDATE SET"
        " event_at = excluded.event_at, created_at = excluded.created_at, packed = excluded.packed"
        " WHERE (excluded.event_at, excluded.created_at) >= (event_at, created_at)",
        _packed(RowCodec(view.codec.columns, words), table),
    )


@contextmanager
def _transaction(path: Path, pragmas: str, attach: Path | None = None) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(pragmas + _TABLES)
        if attach is not None and attach.exists():
            db.execute("ATTACH ? AS old", (str(attach),))
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def _fill(db: sqlite3.Connection, view: ViewRows) -> None:
    words = dictionaries(view.table, view.columns)
    _write_dictionaries(db, view.name, words, {})
    ordered = view.table.sort_by(CUSTOMER_ID)  # rows that come in key order fill the tree's pages one after another
    try:
        insert = f"INSERT INTO main.{rows_of(view.name)} VALUES (?, ?, ?, ?)"
        db.executemany(insert, _packed(RowCodec(view.columns, words), ordered))
    except sqlite3.IntegrityError as error:
        raise CannotPack(f"view {view.name!r} has a customer twice, or a row without customer or instant",
                         value=str(error), todo="publish one build, one row a customer") from error  # fmt: skip


def _packed(codec: RowCodec, table: pa.Table) -> Iterable[tuple[str, int, int, bytes]]:
    ids, records = codec.pack(table)
    instants = (table[name].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()) for name in (AS_OF_AT, AVAILABLE_AT))
    return zip(ids.tolist(), *(at.to_pylist() for at in instants), codec.rows(records), strict=True)


def _write_dictionaries(db: sqlite3.Connection, view: str, words: Dictionaries, known: Dictionaries) -> None:
    fresh = (
        (view, column, code, word)
        for column, all_words in words.items()
        for code, word in enumerate(all_words)
        if code >= len(known.get(column, ()))
    )
    db.executemany("INSERT INTO main.dictionary VALUES (?, ?, ?, ?)", fresh)


def _carry_over(new: sqlite3.Connection) -> None:
    """Copy the views of the attached old store, if there is one, that the new one does not have."""
    if ("old",) not in new.execute("SELECT name FROM pragma_database_list").fetchall():
        return
    missing = "SELECT name FROM old.view WHERE name NOT IN (SELECT name FROM main.view)"
    for (name,) in new.execute(missing).fetchall():
        new.execute("INSERT INTO main.view SELECT * FROM old.view WHERE name = ?", (name,))
        new.execute("INSERT INTO main.dictionary SELECT * FROM old.dictionary WHERE view = ?", (name,))
        _add_rows_table(new, name)
        new.execute(f"INSERT INTO main.{rows_of(name)} SELECT * FROM old.{rows_of(name)} ORDER BY customer_id")


def _add_rows_table(db: sqlite3.Connection, view: str) -> None:
    db.execute(
        f"CREATE TABLE main.{rows_of(view)} (customer_id TEXT PRIMARY KEY, event_at INTEGER NOT NULL,"
        " created_at INTEGER NOT NULL, packed BLOB NOT NULL) WITHOUT ROWID"
    )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
