"""What the ledger answered is there after the process was killed, and nothing is there by halves.

The parent starts a nursery (this file run as a script), which forks a child for each life: the child opens the ledger,
records batches from several threads, posts a response to each, and writes the batch's name to the pipe once its
futures have resolved. The parent kills it with SIGKILL, opens the ledger again and counts. The nursery spares each
life the import of the libraries, so that many fit into a second.

SOAK_KILLS sets the number of kills at random times (25 unless told; 500 for the soak run). A killed process keeps
nothing of its own but the operating system keeps its pages: this proves atomicity and recovery, not that a commit
survives a power cut. See docs/decisions/0003-ledger.md.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, event

from serving.ledger import DecisionRow, Ledger, PlacementRow, ResponseRow

NOON = datetime(2025, 12, 31, 4, tzinfo=UTC)
BATCH, SLOTS, THREADS = 7, 3, 4
N_KILLS = int(os.environ.get("SOAK_KILLS", "25"))


def opened(home: Path) -> Ledger:
    url = f"sqlite:///{home / 'ledger.db'}"
    return Ledger.open(url, home, zone=ZoneInfo("Asia/Shanghai"), clock=lambda: NOON)


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


def write(ledger: Ledger, name: str) -> None:
    """A batch and a complaint about it, each told once it is on the disk."""
    ledger.record(batch(name)).result()
    os.write(1, f"recorded {name}\n".encode())
    ledger.responses([ResponseRow(f"{name}.e", f"{name}.0.1", "complained", NOON)], "rm7")
    os.write(1, f"answered {name}\n".encode())


def live(home: Path, life: str) -> None:
    """Write until killed."""
    ledger = opened(home)

    def go(thread: int) -> None:
        for n in range(1_000_000):
            write(ledger, f"{life}-{thread}-{n}")

    for thread in range(1, THREADS):
        threading.Thread(target=go, args=(thread,), daemon=True).start()
    go(0)


def die_at(home: Path, life: str, step: int, from_start: bool) -> None:
    """Be killed right before the `step`-th statement: of opening the ledger, or of writing to an open one."""
    steps = iter(range(1, 1_000_000))

    def count(*_: object) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    if from_start:
        event.listen(Engine, "before_cursor_execute", count)
        event.listen(Engine, "commit", count)
    with opened(home) as ledger:
        if not from_start:
            event.listen(Engine, "before_cursor_execute", count)
            event.listen(Engine, "commit", count)
        write(ledger, life)
    os.write(1, b"survived\n")


def nursery() -> None:
    for line in sys.stdin:
        kind, home, life, *rest = line.split("\t")
        child = os.fork()
        if child == 0:
            if kind == "live":
                live(Path(home), life.strip())
            else:
                die_at(Path(home), life, int(rest[0]), kind == "open")
            os._exit(0)
        os.write(1, f"born {child}\n".encode())
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


@dataclass
class Nursery:
    """The running nursery; `raised` tells what one life had answered when it ended."""

    process: subprocess.Popen[str]
    told: IO[str]
    orders: IO[str]
    is_survivor: bool = field(default=False)

    def raised(self, kind: str, home: Path, life: str, *, step: int = 0, seconds: float | None = None) -> list[str]:
        self.orders.write(f"{kind}\t{home}\t{life}\t{step}\n" if kind != "live" else f"{kind}\t{home}\t{life}\n")
        self.orders.flush()
        child = int(self.told.readline().split()[1])
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        lines = list(iter(lambda: self.told.readline().strip(), "dead"))
        self.is_survivor = "survived" in lines
        return [line for line in lines if line != "survived"]


@pytest.fixture(scope="module")
def raising() -> Iterator[Nursery]:
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
    yield Nursery(process, process.stdout, process.stdin)
    process.stdin.close()
    process.wait(10)


def check(home: Path, acknowledged: list[str]) -> int:
    """Raise unless every acknowledged batch and answer is there and every batch is whole; the number of batches."""
    with opened(home) as ledger:
        report = ledger.verify()
        assert report.is_whole, report.faults[:3]
    with sqlite3.connect(home / "ledger.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        decided = [key for (key,) in connection.execute("SELECT decision_id FROM decision ORDER BY seq")]
        n_placements = connection.execute("SELECT count(*) FROM placement").fetchone()[0]
        answered = {key for (key,) in connection.execute("SELECT event_id FROM response")}
        cases = {key for (key,) in connection.execute('SELECT case_id FROM "case"')}
    batches = [key.rpartition(".")[0] for key in decided]
    assert set(Counter(batches).values()) <= {BATCH}
    assert n_placements == SLOTS * len(decided)
    assert cases == {f"CASE-{event_id}" for event_id in answered}  # a complaint never without its case
    told = [line.split() for line in acknowledged]
    assert {name for kind, name in told if kind == "recorded"} <= set(batches)
    assert {f"{name}.e" for kind, name in told if kind == "answered"} <= answered
    return len(set(batches))


def test_nothing_acknowledged_is_lost_however_often_the_process_is_killed(raising: Nursery, tmp_path: Path) -> None:
    """Each fifth life begins a new home, so that some die while the tables are made."""
    chance = random.Random(20251231)
    acknowledged: list[str] = []
    home, n_acknowledged, began = tmp_path, 0, time.monotonic()
    for life in range(N_KILLS):
        if life % 5 == 0:
            home, acknowledged = tmp_path / f"home{life}", []
            home.mkdir()
        told = raising.raised("live", home, str(life), seconds=chance.uniform(0.0, 0.4))
        acknowledged += told
        n_acknowledged += len(told)
        check(home, acknowledged)
    print(f"{N_KILLS} kills, {n_acknowledged} acknowledged, 0 lost, {time.monotonic() - began:.1f} s")  # noqa: T201  # the figure that the decision record quotes
    assert n_acknowledged > N_KILLS


def test_a_kill_before_any_statement_of_a_write_leaves_all_of_it_or_nothing(raising: Nursery, tmp_path: Path) -> None:
    acknowledged: list[str] = []
    n_batches, step, found = 0, 0, set()
    while not raising.is_survivor:
        step += 1
        told = raising.raised("write", tmp_path, f"step{step}", step=step)
        acknowledged += told
        written = check(tmp_path, acknowledged) - n_batches
        n_batches += written
        found.add((written, len(told)))
    raising.is_survivor = False
    assert step > 10
    assert found == {(0, 0), (1, 1), (1, 2)}  # nothing; the batch alone; the batch and the answer


def test_a_kill_while_the_tables_are_made_leaves_a_home_that_opens(raising: Nursery, tmp_path: Path) -> None:
    stride = 1 if N_KILLS > 100 else 5
    step = 1
    while not raising.is_survivor:
        home = tmp_path / f"home{step}"
        home.mkdir()
        told = raising.raised("open", home, f"step{step}", step=step)
        assert check(home, told) >= len(told) - 1
        step += stride
    raising.is_survivor = False
    assert step > 20


if __name__ == "__main__":
    nursery()
