"""Decisions written on the caller's own thread, where the ledger is a file that nobody else is writing and syncs fast.

To hand rows to the writer's thread and to be woken by it takes longer than SQLite takes to write and sync them on a
disk with a protected cache. It is the same transaction with the same promise: written once this returns. Who does not
get the write lock within a few milliseconds, or meets a slow disk, is sent to the queue: an event loop must not wait.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from serving.ledger.engine import Engines
from serving.ledger.recording import Recorder
from serving.ledger.rows import DecisionRow
from serving.ledger.writer import Unconfirmed

HELD_MILLISECONDS = 3  # for which somebody else's write is waited for: to go round it by the queue takes as long
SLOW_SECONDS = 0.005  # syncs that hold up every other request for longer, on average, are not for the event loop
PAUSE_SECONDS = 1.0  # for which the queue then does the writing
_OF_LAST = 0.1  # what the last one counts in the average, as twice SLOW_SECONDS at most: it takes seven slow ones


class AtOnce:
    """Writes decisions from one thread at a time, by the connection with which that thread reads."""

    def __init__(self, engines: Engines, recorder: Recorder) -> None:
        self._engines, self._recorder = engines, recorder
        self._connection: sqlite3.Connection | None = None
        self._not_before = 0.0
        self._usual = 0.0  # seconds

    def record(self, rows: Sequence[DecisionRow]) -> bool:
        """Whether all of `rows` are on the disk; where they are not, nothing is. Raises Unconfirmed."""
        began = time.monotonic()
        if began < self._not_before or (statements := self._begun()) is None:
            return False
        try:
            self._recorder.record(statements, rows)
        except Exception:  # whatever it is, the writer's thread tells it, row by row
            with suppress(sqlite3.Error):
                statements.exec_driver_sql("ROLLBACK")
            return False
        self._commit(statements)
        self._note(began, time.monotonic())
        return True

    def _begun(self) -> _Statements | None:
        """A transaction that holds the write lock; None where the ledger is no file, or somebody else is writing."""
        connection = self._engines.at_hand()
        if connection is None:
            return None
        if connection is not self._connection:
            connection.execute(f"PRAGMA busy_timeout = {HELD_MILLISECONDS}")
            self._connection = connection
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            with suppress(sqlite3.OperationalError):  # of a transaction that a broken disk would not let be undone
                connection.execute("ROLLBACK")
            return None
        return _Statements(connection)

    def _note(self, began: float, ended: float) -> None:
        """Leave the writing to the queue for a while once writes usually take long."""
        self._usual += _OF_LAST * (min(ended - began, 2 * SLOW_SECONDS) - self._usual)
        if self._usual > SLOW_SECONDS:
            self._not_before, self._usual = ended + PAUSE_SECONDS, 0.0

    def _commit(self, statements: _Statements) -> None:
        try:
            statements.exec_driver_sql("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                statements.exec_driver_sql("ROLLBACK")
            raise Unconfirmed("the ledger's database did not confirm that it wrote",
                              todo="ask again with the same Idempotency-Key") from error  # fmt: skip


class _Statements:
    """A connection of the driver's own that takes statements as SQLAlchemy's does."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def exec_driver_sql(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        if isinstance(values, list):
            return self._connection.executemany(statement, values)
        return self._connection.execute(statement, values)
