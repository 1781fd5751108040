"""What the ledger answered is there after the process or its server was killed, and nothing is there by halves.

    make soak          SOAK_KILLS=2000 make soak

A killed process keeps nothing of its own but the operating system keeps its pages: this proves atomicity and
recovery, not that a commit survives a power cut; for that see test_power.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.clusters import Cluster
from tests.serving.ledgers import LedgerUrl
from tests.soak.kills import kill_at_every_statement, kill_while_tables_are_made, kill_writers, stop_servers
from tests.soak.lives import Nursery, raising

N_KILLS = int(os.environ.get("SOAK_KILLS", "500"))
Figure = Callable[[object], None]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with raising() as nursery:
        yield nursery


def test_nothing_acknowledged_is_lost_however_often_the_process_is_killed(
    nursery: Nursery, ledger_url: LedgerUrl, tmp_path: Path, figure: Figure
) -> None:
    figures = kill_writers(nursery, ledger_url, tmp_path, N_KILLS)
    figure(figures)
    assert figures.n_acknowledged > figures.n_kills


def test_nothing_acknowledged_is_lost_however_often_the_server_crashes(
    nursery: Nursery, tmp_path: Path, figure: Figure
) -> None:
    cluster = Cluster()
    try:
        figures = stop_servers(nursery, cluster, tmp_path, max(10, N_KILLS // 5))
    finally:
        cluster.close()
    figure(figures)
    assert figures.n_acknowledged > figures.n_kills


def test_a_kill_before_any_statement_of_a_write_leaves_all_of_it_or_nothing(
    nursery: Nursery, ledger_url: LedgerUrl, tmp_path: Path, figure: Figure
) -> None:
    figure(kill_at_every_statement(nursery, ledger_url(tmp_path), tmp_path))


def test_a_kill_before_any_statement_of_entering_and_posting_leaves_all_of_it_or_nothing(
    nursery: Nursery, tmp_path: Path, figure: Figure
) -> None:
    figure(kill_at_every_statement(nursery, f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path, "enter"))


def test_a_kill_while_the_tables_are_made_leaves_a_home_that_opens(
    nursery: Nursery, ledger_url: LedgerUrl, tmp_path: Path, figure: Figure
) -> None:
    figure(kill_while_tables_are_made(nursery, ledger_url, tmp_path, stride=1))
