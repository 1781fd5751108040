"""The ways in which a ledger is killed; each raises on the first thing lost or halved and gives its figures."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.serving.clusters import Cluster
from tests.serving.ledgers import LedgerUrl
from tests.soak.lives import Nursery, check


@dataclass(frozen=True)
class Figures:
    """What a soak run counted; that it ended means that nothing was lost."""

    n_kills: int
    n_acknowledged: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.n_kills:,} kills, {self.n_acknowledged:,} acknowledged, 0 lost, {self.seconds:.0f} s"


def kill_writers(nursery: Nursery, ledger_url: LedgerUrl, folder: Path, n_kills: int) -> Figures:
    """SIGKILL at random times; each fifth life begins a new home, so that some die while the tables are made."""
    chance = random.Random(20251231)
    acknowledged: list[str] = []
    home, n_acknowledged, began = folder, 0, time.monotonic()
    for life in range(n_kills):
        if life % 5 == 0:
            home, acknowledged = folder / f"home{life}", []
            home.mkdir()
        with nursery.life("live", ledger_url(home), home, str(life)):
            if life % 5:
                nursery.wait_until_opened()
            time.sleep(chance.uniform(0.0, 0.4))
        told = nursery.answered()
        acknowledged += told
        n_acknowledged += len(told)
        check(ledger_url(home), home, acknowledged)
    return Figures(n_kills, n_acknowledged, time.monotonic() - began)


def stop_servers(nursery: Nursery, cluster: Cluster, folder: Path, n_stops: int) -> Figures:
    """The PostgreSQL server stopped at once (as in a crash) at random times under a process that goes on writing.

    Every tenth stop the process is killed with it, and what it had told is looked for in a ledger opened anew.
    """
    chance, acknowledged, url = random.Random(20251231), list[str](), cluster.database()
    began = time.monotonic()
    for start in range(0, n_stops, 10):
        with nursery.life("live", url, folder, str(start)):
            nursery.wait_until_opened()
            for _ in range(start, min(start + 10, n_stops)):
                time.sleep(chance.uniform(0.1, 0.6))
                cluster.stop(signal.SIGQUIT)
                cluster.start()
            time.sleep(0.2)
        acknowledged += nursery.answered()
        check(url, folder, acknowledged)
    return Figures(n_stops, len(acknowledged), time.monotonic() - began)


def kill_at_every_statement(nursery: Nursery, url: str, home: Path, kind: str = "write") -> Figures:
    """Killed before each statement of a write in turn: all of it is there afterwards, or nothing.

    `kind` is the way of the write: `write` through the ledger's queue, `enter` at once and posted for its answer.
    """
    acknowledged: list[str] = []
    n_batches, step, found, began = 0, 0, set[tuple[int, int]](), time.monotonic()
    nursery.is_survivor = False
    while not nursery.is_survivor:
        step += 1
        with nursery.life(kind, url, home, f"step{step}", step):
            told = nursery.answered()
        acknowledged += told
        written = check(url, home, acknowledged) - n_batches
        n_batches += written
        found.add((written, len(told)))
    assert step > 10
    assert found == {(0, 0), (1, 1), (1, 2)}  # nothing; the batch alone; the batch and the answer
    return Figures(step - 1, len(acknowledged), time.monotonic() - began)


def kill_while_tables_are_made(nursery: Nursery, ledger_url: LedgerUrl, folder: Path, stride: int) -> Figures:
    """Killed before every `stride`-th statement of opening a new home: the home opens afterwards."""
    step, n_kills, n_told, began = 1, 0, 0, time.monotonic()
    nursery.is_survivor = False
    while not nursery.is_survivor:
        home = folder / f"home{step}"
        home.mkdir()
        with nursery.life("open", ledger_url(home), home, f"step{step}", step):
            told = nursery.answered()
        assert check(ledger_url(home), home, told) >= len(told) - 1
        step, n_kills, n_told = step + stride, n_kills + 1, n_told + len(told)
    assert step > 20
    return Figures(n_kills - 1, n_told, time.monotonic() - began)
