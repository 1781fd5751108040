"""Decisions entered in the daybook on the caller's own thread, where it is a file that syncs fast.

To hand rows to the writer's thread and to be woken by it takes longer than SQLite takes to enter and sync them on a
disk with a protected cache. The promise is the same: on the disk once this returns. Who does not get the daybook's lock
within a few milliseconds, meets a slow disk, or finds that posting does not keep up, is sent to the queue: an event
loop must not wait, and the queue's thread posts before it writes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from serving.ledger.daybook import Daybook
from serving.ledger.rows import DecisionRow
from serving.ledger.writer import Unconfirmed

HELD_MILLISECONDS = 10  # for which somebody else's entry or strike is waited for: to go by the queue takes longer
SLOW_SECONDS = 0.005  # syncs that hold up every other request for longer, on average, are not for the event loop
PAUSE_SECONDS = 1.0  # for which the queue then does the writing
MOST_WAITING = 4_096  # decisions not posted yet, some 30 MB; who wants to read then waits a second for them
COUNTED_EVERY = 64  # decisions
_OF_LAST = 0.1  # what the last one counts in the average, as twice SLOW_SECONDS at most: it takes seven slow ones


class AtOnce:
    """Enters decisions from one thread at a time, by the connection with which that thread asks the daybook."""

    def __init__(self, daybook: Daybook | None) -> None:
        self._daybook = daybook
        self._not_before = 0.0
        self._usual = 0.0  # seconds
        self._n_uncounted = COUNTED_EVERY
        if daybook is not None:
            daybook.connection.execute(f"PRAGMA busy_timeout = {HELD_MILLISECONDS}")

    def record(self, rows: Sequence[DecisionRow]) -> bool:
        """Whether all of `rows` are on the disk; where they are not, nothing is. Raises Unconfirmed."""
        began = time.monotonic()
        if self._daybook is None or began < self._not_before:
            return False
        with self._daybook.turn:
            connection = self._daybook.connection
            if not _begun(connection):
                return False
            try:
                is_entered = self._entered(self._daybook, rows)
            except Exception:  # whatever it is, the writer's thread tells it, row by row
                is_entered = False
            if not is_entered:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                return False
            _commit(connection)
        self._note(began, time.monotonic())
        return True

    def _entered(self, daybook: Daybook, rows: Sequence[DecisionRow]) -> bool:
        """Whether there was room for `rows`; they are counted now and then, since only a dead poster lets them grow."""
        self._n_uncounted += len(rows)
        if self._n_uncounted >= COUNTED_EVERY:
            if daybook.n_waiting() > MOST_WAITING:
                return False
            self._n_uncounted = 0
        daybook.insert(rows)
        return True

    def _note(self, began: float, ended: float) -> None:
        """Leave the writing to the queue for a while once writes usually take long."""
        self._usual += _OF_LAST * (min(ended - began, 2 * SLOW_SECONDS) - self._usual)
        if self._usual > SLOW_SECONDS:
            self._not_before, self._usual = ended + PAUSE_SECONDS, 0.0


def _begun(connection: Any) -> bool:
    """Whether a transaction that holds the write lock was begun; not where somebody else is writing."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        with suppress(sqlite3.OperationalError):  # of a transaction that a broken disk would not let be undone
            connection.execute("ROLLBACK")
        return False
    return True


def _commit(connection: Any) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise Unconfirmed("the ledger's database did not confirm that it wrote",
                          todo="ask again with the same Idempotency-Key") from error  # fmt: skip
