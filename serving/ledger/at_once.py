"""Decisions written on the caller's own thread, where the ledger is a file that nobody else is writing and syncs fast.

To hand rows to the writer's thread and to be woken by it takes longer than SQLite takes to write and sync them on a
disk with a protected cache. It is the same transaction with the same promise: written once this returns. Who does not
get the write lock at once, or meets a slow disk, is sent to the queue: an event loop must not wait.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine

from serving.ledger.databases import of_its_own
from serving.ledger.recording import Recorder
from serving.ledger.rows import DecisionRow
from serving.ledger.writer import Unconfirmed

SLOW_SECONDS = 0.002  # syncs that hold up every other request for longer, on average, are not for the event loop
PAUSE_SECONDS = 1.0  # for which the queue then does the writing
_OF_LAST = 0.1  # what the last one counts in the average: a single slow one changes nothing


class AtOnce:
    """Writes decisions from one thread at a time; opened by the first that asks."""

    def __init__(self, writer: Engine, recorder: Recorder) -> None:
        self._writer, self._recorder = writer, recorder
        self._is_file = writer.dialect.name == "sqlite"
        self._connection: Any = None
        self._not_before = 0.0
        self._usual = 0.0  # seconds

    def record(self, rows: Sequence[DecisionRow]) -> bool:
        """Whether all of `rows` are on the disk; where they are not, nothing is. Raises Unconfirmed."""
        began = time.monotonic()
        if not self._is_file or began < self._not_before:
            return False
        statements = self._statements()
        try:
            statements.exec_driver_sql("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:  # somebody else is writing
            return False
        try:
            self._recorder.record(statements, rows)
        except Exception:  # whatever it is, the writer's thread tells it, row by row
            statements.exec_driver_sql("ROLLBACK")
            return False
        self._commit(statements)
        self._note(began, time.monotonic())
        return True

    def _note(self, began: float, ended: float) -> None:
        """Leave the writing to the queue for a while once writes usually take long."""
        self._usual += _OF_LAST * (ended - began - self._usual)
        if self._usual > SLOW_SECONDS:
            self._not_before, self._usual = ended + PAUSE_SECONDS, 0.0

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _commit(self, statements: _Statements) -> None:
        try:
            statements.exec_driver_sql("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                statements.exec_driver_sql("ROLLBACK")
            raise Unconfirmed("the ledger's database did not confirm that it wrote",
                              todo="ask again with the same Idempotency-Key") from error  # fmt: skip

    def _statements(self) -> _Statements:
        if self._connection is None:
            self._connection = of_its_own(self._writer)
            self._connection.execute("PRAGMA busy_timeout = 0")
        return _Statements(self._connection)


class _Statements:
    """A connection of the driver's own that takes statements as SQLAlchemy's does."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def exec_driver_sql(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        if isinstance(values, list):
            return self._connection.executemany(statement, values)
        return self._connection.execute(statement, values)
