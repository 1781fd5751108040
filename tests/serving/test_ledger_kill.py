"""A process that writes is killed, a server crashes, two processes write at once: what was answered is there, once.

A short run of what `make soak` does at length; see tests/soak.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.serving.clusters import Cluster
from tests.serving.ledgers import LedgerUrl, opened, rows_of
from tests.soak.kills import kill_at_every_statement, kill_while_tables_are_made, kill_writers, stop_servers
from tests.soak.lives import Nursery, raising

N_KILLS, N_STOPS = 10, 3
N_BATCHES, BATCH = 150, 4
WRITE = f"""
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from serving.ledger import DecisionRow, Unwritable
from tests.serving.ledgers import NOON, opened
url, home, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
names = ("R1", "none", "s", "d", "treated", "{{}}", "{{}}")
with opened(url, home) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range({N_BATCHES}):
        rows = [DecisionRow(f"{{name}}-{{n}}-{{i}}", f"C{{i}}", NOON, "APP", *names) for i in range({BATCH})]
        while True:
            try:
                ledger.record(rows).result()
                time.sleep(0.002)  # or one of them keeps SQLite's lock to itself: it is not handed out in turn
                break
            except Unwritable:  # the other had the lock for five seconds: nothing was written, so try again
                continue
"""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with raising() as nursery:
        yield nursery


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_a_process_is_killed(
    nursery: Nursery, ledger_url: LedgerUrl, tmp_path: Path
) -> None:
    assert kill_writers(nursery, ledger_url, tmp_path, N_KILLS).n_acknowledged > N_KILLS


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_server_crashes(nursery: Nursery, tmp_path: Path) -> None:
    cluster = Cluster()
    try:
        assert stop_servers(nursery, cluster, tmp_path, N_STOPS).n_acknowledged > 0
    finally:
        cluster.close()


@pytest.mark.slow
def test_a_kill_before_any_statement_of_a_write_leaves_all_of_it_or_nothing(
    nursery: Nursery, ledger_url: LedgerUrl, tmp_path: Path
) -> None:
    kill_at_every_statement(nursery, ledger_url(tmp_path), tmp_path)


@pytest.mark.slow
def test_a_kill_before_any_statement_of_entering_and_posting_leaves_all_of_it_or_nothing(
    nursery: Nursery, tmp_path: Path
) -> None:
    kill_at_every_statement(nursery, f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path, "enter")


@pytest.mark.slow
def test_a_kill_while_the_tables_are_made_leaves_a_home_that_opens(
    nursery: Nursery, ledger_url: LedgerUrl, tmp_path: Path
) -> None:
    kill_while_tables_are_made(nursery, ledger_url, tmp_path, stride=9)


def test_two_processes_that_write_at_once_make_one_chain_and_lose_nothing(
    ledger_url: LedgerUrl, tmp_path: Path
) -> None:
    url = ledger_url(tmp_path)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, url, str(tmp_path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2], text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
    assert [writer.returncode for writer in writers] == [0, 0]
    with opened(url, tmp_path) as ledger:
        report = ledger.verify()
    assert report.is_whole, report.faults
    assert report.n_rows == 2 * N_BATCHES * BATCH
    ids = [key for (key,) in rows_of(url, "SELECT decision_id FROM decision ORDER BY seq")]
    for name in ("one", "two"):
        mine = [key for key in ids if key.startswith(name)]
        assert mine == [f"{name}-{n}-{i}" for n in range(N_BATCHES) for i in range(BATCH)]  # each in its own order
    turns = sum(a.split("-")[0] != b.split("-")[0] for a, b in pairwise(ids))
    assert turns > 10  # they did write at once
