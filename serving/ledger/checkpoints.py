"""Copies SQLite's write-ahead logs, the ledger's and its daybook's, into their databases, on a thread of its own.

Left to itself SQLite does so inside whichever commit fills a thousand pages: one decision in a few hundred then waits
for some megabytes to be written and synced, and all others behind it. A thread that copies every second lets commits
go on meanwhile; the commit that finds the log long (`databases.PRAGMAS`) has only the rest to copy, and the log starts
from its beginning.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from sqlalchemy import Engine

from serving.ledger.databases import of_its_own

EVERY_SECONDS = 1.0


class Checkpoints:
    """Runs until `close`; does nothing for a database that is no file of SQLite's."""

    def __init__(self, writer: Engine, daybook: Path | None) -> None:
        self._files = (None, daybook) if daybook is not None else (None,)
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None
        if writer.dialect.name == "sqlite":
            self._thread = threading.Thread(target=self._run, args=(writer,), name="tiercel-checkpoints", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread; SQLite copies what is left once the last connection closes."""
        self._is_closed.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, writer: Engine) -> None:
        while not self._is_closed.wait(EVERY_SECONDS):
            with suppress(Exception), ExitStack() as opened:  # a full disk is tried again
                connections = [opened.enter_context(closing(of_its_own(writer, file))) for file in self._files]
                while not self._is_closed.wait(EVERY_SECONDS):
                    for connection in connections:
                        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
