"""Processes that write to a ledger until they are killed, and what must be found after each of them.

This file run as a script is a nursery, which forks a child for each life: the child opens the ledger, records batches
from several threads, one of them at once as an event loop does, posts a response to each, and writes the batch's name
to the pipe once its futures have resolved. Beside a ledger on SQLite a process posts, and is killed as well. The
nursery spares each life the import of the libraries, so that many fit into a second.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Engine, event

from features.errors import NotReady
from serving.ledger import DecisionRow, Ledger, PlacementRow, ResponseRow, checkpoints, databases
from serving.ledger.attending import attend
from serving.ledger.daybook import looked_into
from tests.serving.ledgers import NOON, change, opened, rows_of

BATCH, SLOTS, THREADS = 7, 3, 4
SQLITE_CHECKS = {"PRAGMA integrity_check": [("ok",)], "PRAGMA foreign_key_check": []}
INDEX_CHECK = """SELECT bt_index_check(indexrelid, true) FROM pg_index
JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 'public'::regnamespace"""


def batch(name: str) -> list[DecisionRow]:
    rows = []
    for i in range(BATCH):
        slots = tuple(
            PlacementRow(f"{name}.{i}.{rank}", rank, "P01", "T", "APP", 0.5, NOON + timedelta(days=7))
            for rank in range(1, SLOTS + 1)
        )
        names = ("R1", "none", "s", "d", "treated", '{"a":1}', "x" * 2_000)
        rows.append(DecisionRow(f"{name}.{i}", f"C{i}", NOON, "APP", *names, slots))
    return rows


def into_the_pipe(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def queued(ledger: Ledger, rows: list[DecisionRow]) -> None:
    """Write through the ledger's own thread."""
    ledger.record(rows).result()


def at_once(ledger: Ledger, rows: list[DecisionRow]) -> None:
    """Write on this thread where the ledger lets one, as an event loop does; only one thread may."""
    if not ledger.record_at_once(rows):
        queued(ledger, rows)


def write(
    ledger: Ledger, name: str, tell: Callable[[str], object] = into_the_pipe,
    record: Callable[[Ledger, list[DecisionRow]], None] = queued,
) -> None:  # fmt: skip
    """A batch and a complaint about it, each told once it is on the disk."""
    record(ledger, batch(name))
    tell(f"recorded {name}")
    ledger.responses([ResponseRow(f"{name}.e", f"{name}.0.1", "complained", NOON)], "rm7")
    tell(f"answered {name}")


def post_beside(url: str, home: Path) -> None:
    """A process that posts what this one enters, killed at random moments and begun anew, until this one ends."""
    lifeline, mine = os.pipe()
    if os.fork():
        os.close(lifeline)
        return
    os.close(mine)
    chance, ended = random.Random(os.getpid()), False
    while not ended:
        child = os.fork()
        if child == 0:
            with os.fdopen(lifeline) as until:
                attend(url, home, until)
            os._exit(0)
        ended = bool(select.select([lifeline], [], [], chance.uniform(0.0, 0.15))[0])
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os._exit(0)


def live(url: str, home: Path, life: str) -> None:
    """Write until killed; while the ledger is not ready, try again with the next batch."""
    ledger = opened(url, home)
    if url.startswith("sqlite"):
        ledger.close()  # no connection may be there at a fork
        post_beside(url, home)
        ledger = opened(url, home)
    into_the_pipe("opened")

    def go(thread: int) -> None:
        for n in range(1_000_000):
            try:
                write(ledger, f"{life}-{thread}-{n}", record=queued if thread else at_once)
            except NotReady:
                time.sleep(0.02)

    for thread in range(1, THREADS):
        threading.Thread(target=go, args=(thread,), daemon=True).start()
    go(0)


def die_at(url: str, home: Path, kind: str, life: str, step: int) -> None:
    """Be killed right before the `step`-th statement: of opening the ledger (`open`), or of writing to an open one
    through its queue (`write`) or at once (`enter`)."""
    steps, counts = iter(range(1, 1_000_000)), kind == "open"

    def count(*_: object) -> None:
        if counts and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    if url.startswith("sqlite"):
        settle = databases._settle

        def settled(connection: Any) -> None:
            connection.set_trace_callback(count)
            settle(connection)

        databases._settle = settled
        checkpoints.EVERY_SECONDS = 1_000.0
    else:
        event.listen(Engine, "before_cursor_execute", count)
        event.listen(Engine, "commit", count)
    with opened(url, home) as ledger:
        counts = True
        write(ledger, life, record=at_once if kind == "enter" else queued)
    os.write(1, b"survived\n")


def nursery() -> None:
    import psycopg  # noqa: F401  # imported once here instead of in every child

    for line in sys.stdin:
        kind, url, home, life, step = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            if kind == "live":
                live(url, Path(home), life)
            else:
                die_at(url, Path(home), kind, life, int(step))
            os._exit(0)
        os.write(1, f"born {child}\n".encode())
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


@dataclass
class Nursery:
    """The running nursery; `answered` tells what one life had answered when it ended."""

    process: subprocess.Popen[str]
    told: IO[str]
    orders: IO[str]
    is_survivor: bool = field(default=False)

    @contextmanager
    def life(self, kind: str, url: str, home: Path, life: str, step: int = 0) -> Iterator[int]:
        """The process of a life as long as the block lasts; it is killed at its end, unless it has ended already."""
        self.orders.write(f"{kind}\t{url}\t{home}\t{life}\t{step}\n")
        self.orders.flush()
        child = int(self.told.readline().split()[1])
        try:
            yield child
        finally:
            if kind == "live":
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

    def answered(self) -> list[str]:
        """What the last life told before it ended."""
        lines = list(iter(lambda: self.told.readline().strip(), "dead"))
        self.is_survivor = "survived" in lines
        return [line for line in lines if line not in ("survived", "opened")]

    def wait_until_opened(self) -> None:
        """Return once the life has its ledger open; raises if it ended before."""
        line = self.told.readline().strip()
        assert line == "opened", line


@contextmanager
def raising() -> Iterator[Nursery]:
    """A nursery, ended with the block."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Nursery(process, process.stdout, process.stdin)
    finally:
        process.stdin.close()
        process.wait(10)


def check(url: str, home: Path, acknowledged: list[str]) -> int:
    """Raise unless every acknowledged batch and answer is there and every batch is whole; the number of batches."""
    with opened(url, home) as ledger:
        report = ledger.verify()
        assert report.is_whole, report.faults[:3]
    if url.startswith("sqlite"):
        assert {pragma: rows_of(url, pragma) for pragma in SQLITE_CHECKS} == SQLITE_CHECKS
        assert rows_of(url.replace("ledger.db", "ledger.daybook.db"), "PRAGMA integrity_check") == [("ok",)]
        assert looked_into(url) == (0, {})
    else:
        change(url, "CREATE EXTENSION IF NOT EXISTS amcheck")
        rows_of(url, INDEX_CHECK)
    decided = [key for (key,) in rows_of(url, "SELECT decision_id FROM decision ORDER BY seq")]
    n_placements = rows_of(url, "SELECT count(*) FROM placement")[0][0]
    answered = {key for (key,) in rows_of(url, "SELECT event_id FROM response")}
    cases = {key for (key,) in rows_of(url, 'SELECT case_id FROM "case"')}
    batches = [key.rpartition(".")[0] for key in decided]
    assert set(Counter(batches).values()) <= {BATCH}
    assert n_placements == SLOTS * len(decided)
    assert cases == {f"CASE-{event_id}" for event_id in answered}  # a complaint never without its case
    told = [line.split() for line in acknowledged]
    assert {name for kind, name in told if kind == "recorded"} <= set(batches)
    assert {f"{name}.e" for kind, name in told if kind == "answered"} <= answered
    return len(set(batches))


if __name__ == "__main__":
    nursery()
