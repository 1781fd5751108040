"""Posting: what was entered in the daybook is appended to the ledger, in order, and then struck out.

Struck out only once the ledger's commit is on the disk; so whoever is killed in between leaves entries that the ledger
has already, and the next one to post finds them there with the same content and strikes them out. What the ledger will
not take, such as a known id with another content, is set aside with the reason and told: never lost, and never in the
way of the rest.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, InterfaceError, ProgrammingError

from features.errors import NotFound
from serving.ledger import daybook as daybooks
from serving.ledger.daybook import Daybook, Entry, posting_alone
from serving.ledger.engine import Engines
from serving.ledger.reading import read_decision
from serving.ledger.recording import AlreadyRecorded, Recorder

GROUP_MAX_ENTRIES = 256  # of one transaction: some 50 ms for which the ledger's lock is held
_log = logging.getLogger("tiercel.serving")
_ITS_OWN_FAULT = (
    AlreadyRecorded, DataError, ProgrammingError, InterfaceError, TypeError, ValueError, LookupError, ArithmeticError
)  # fmt: skip


class Posting:
    """Posts one ledger's daybook, from whichever thread asks."""

    def __init__(self, engines: Engines, recorder: Recorder, daybook: Daybook | None) -> None:
        self._engines, self._recorder, self._daybook = engines, recorder, daybook
        self._connection: Any = None
        self._turn = threading.Lock()

    def is_due(self) -> bool:
        """Whether something waits to be posted."""
        return self._daybook is not None and not self._daybook.is_empty()

    def post(self) -> None:
        """Post all that was entered before this was asked, whoever entered it.

        Raises what the ledger's database raises; then nothing is struck out that is not on its disk.
        """
        if self._daybook is None or self._daybook.is_empty():
            return
        with self._turn, posting_alone(self._daybook.file):
            if self._connection is None:
                self._connection = self._daybook.reopened()
            while entries := daybooks.waiting(self._connection, GROUP_MAX_ENTRIES):
                with self._engines.writing() as connection:
                    refused = self._append(connection, entries)
                daybooks.strike(self._connection, entries, refused)
                for entry in entries if refused else ():
                    if entry.seq in refused:
                        _log.error("decision %s stands aside in the daybook, since the ledger does not take it: %s",
                                   entry.decision_id, refused[entry.seq])  # fmt: skip
                if len(entries) < GROUP_MAX_ENTRIES:
                    break

    def close(self) -> None:
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _append(self, connection: Connection, entries: Sequence[Entry]) -> dict[int, str]:
        """Append entries that the ledger does not have yet; why it refuses some, by their number."""
        try:
            with connection.begin_nested():
                self._recorder.record(connection, [entry.row() for entry in entries])
        except _ITS_OWN_FAULT:
            reasons = {entry.seq: self._append_one(connection, entry) for entry in entries}
            return {seq: reason for seq, reason in reasons.items() if reason is not None}
        return {}

    def _append_one(self, connection: Connection, entry: Entry) -> str | None:
        try:
            with connection.begin_nested():
                self._recorder.record(connection, [entry.row()])
        except AlreadyRecorded:
            return None if _has(connection, entry) else "its id, or one of its placements', is recorded already"
        except _ITS_OWN_FAULT as error:
            return f"it cannot be read or written: {type(error).__name__}"
        return None


def _has(connection: Connection, entry: Entry) -> bool:
    """Whether the ledger has this very decision: somebody was killed before he could strike it out."""
    row = entry.row()
    in_order = row._replace(placements=tuple(sorted(row.placements, key=attrgetter("rank", "placement_id"))))
    try:
        return read_decision(connection, row.decision_id).row == in_order
    except NotFound:
        return False
