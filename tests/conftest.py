"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from serving.settings import read_settings
from tests.serving.clusters import Cluster
from tests.serving.ledgers import LedgerUrl


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets; a test that needs it is skipped where the setting names none."""
    folder = read_settings().shared_data
    if folder is None:
        pytest.skip("no public data sets here: set TIERCEL_SHARED_DATA to their folder")
    return folder.resolve()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server of this run, stopped at its end; skipped with the install command where there is none."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> LedgerUrl:
    """Where the ledger of a home stands, on each database in turn: SQLite in the home, or a PostgreSQL of its own."""
    if request.param == "sqlite":
        return lambda home: f"sqlite:///{home / 'ledger.db'}"
    cluster: Cluster = request.getfixturevalue("postgres")
    return cache(lambda home: cluster.database())
