"""Tables go to disk on a thread of their own while the next month is drawn; the bytes are the same as in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from simulation.bank_files import Columns, write, write_parquet
from simulation.behaviour import Month

_WAITING = 2  # tables that may wait for the disk: more would only hold memory


class Writer:
    """Writes tables of the bank and of its truth, and counts the bank's rows by table."""

    def __init__(self, home: Path, thread: ThreadPoolExecutor) -> None:
        self.bank, self.truth = home / "bank", home / "truth"
        self.rows: dict[str, int] = {}
        self._thread = thread
        self._waiting: deque[Future[int]] = deque()

    def tables(self, tables: Mapping[str, Columns], month: Month | None = None) -> None:
        """Bank tables, as the file of a month or as the only one."""
        for table, columns in tables.items():
            self.table(table, columns, file=month.label if month else "all")

    def table(self, table: str, columns: Columns, *, file: str) -> None:
        """One file of a bank table."""
        self.rows[table] = self.rows.get(table, 0) + len(next(iter(columns.values())))
        self._wait(_WAITING)
        self._waiting.append(self._thread.submit(write, self.bank, table, columns, file=file))

    def judged(self, name: str, rows: pa.Table) -> None:
        """A table of the truth."""
        self._wait(_WAITING)
        self._waiting.append(self._thread.submit(write_parquet, self.truth / f"{name}.parquet", rows))

    def finish(self) -> None:
        """Returns when all is written; raises what a write raised."""
        self._wait(0)

    def _wait(self, allowed: int) -> None:
        while len(self._waiting) > allowed:
            self._waiting.popleft().result()


@contextmanager
def writer(home: Path) -> Iterator[Writer]:
    """A writer into home/bank and home/truth."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tables") as thread:
        writing = Writer(home, thread)
        yield writing
        writing.finish()
