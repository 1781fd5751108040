"""The write-ahead log is copied beside the commits, and stays short while they go on without a pause."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from serving.ledger import checkpoints, databases
from tests.serving.ledgers import opened
from tests.serving.test_ledger_throughput import decided

PATIENCE_SECONDS = 30.0


def n_in_database_alone(home: Path, aside: Path) -> int:
    """Decisions that stand in the database without its log; none while it is being copied there."""
    shutil.copy(home / "ledger.db", aside)
    try:
        with closing(sqlite3.connect(aside)) as connection:
            return int(connection.execute("SELECT count(*) FROM decision").fetchone()[0])
    except sqlite3.DatabaseError:
        return 0


def test_what_is_committed_comes_into_the_database_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.01)
    until = time.monotonic() + PATIENCE_SECONDS
    with opened(f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path) as ledger:
        ledger.record([decided(f"a{n}") for n in range(20)]).result()
        while n_in_database_alone(tmp_path, tmp_path / "aside.db") < 20:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_long_log_starts_again_while_decisions_come_without_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.01)
    short = tuple(pragma.replace("8192", "100") for pragma in databases.PRAGMAS)
    assert short != databases.PRAGMAS
    monkeypatch.setattr(databases, "PRAGMAS", short)
    with opened(f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path) as ledger:
        for n in range(300):
            ledger.record([decided(f"b{n}-{k}") for k in range(4)]).result()
        log = (tmp_path / "ledger.db-wal").stat().st_size
    written = (tmp_path / "ledger.db").stat().st_size
    assert written > 300 * 4 * 7_000  # bytes of an answer and its inputs
    assert log < written / 2
