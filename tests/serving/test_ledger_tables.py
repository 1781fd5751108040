"""The tables are made by migrations, forward and back, once, however many processes start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from features.errors import UserMistake
from serving.ledger import LedgerTooNew
from serving.ledger.engine import migrate, migrations, open_engines
from serving.ledger.tables import METADATA
from tests.serving.ledgers import LedgerUrl, change, opened
from tests.serving.test_ledger_decisions import decided

OPEN = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo
from serving.ledger import Ledger
url, home = sys.argv[1], Path(sys.argv[2])
clock = lambda: datetime(2025, 12, 31, 4, tzinfo=UTC)
with Ledger.open(url, home, zone=ZoneInfo("Asia/Shanghai"), clock=clock) as ledger:
    print(ledger.pseudonym("C1"))
"""


@pytest.fixture
def url(ledger_url: LedgerUrl, tmp_path: Path) -> str:
    return ledger_url(tmp_path)


def test_migrations_make_the_tables_that_the_code_uses(url: str, tmp_path: Path) -> None:
    engines = open_engines(url)
    migrate(engines, tmp_path)
    with engines.reader.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        foreign = {key["referred_table"] for key in inspect(connection).get_foreign_keys("placement")}
    assert foreign == {"decision"}
    engines.dispose()


def test_decisions_of_an_older_ledger_keep_their_place_in_the_chain(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger:
        ledger.record([decided(f"D{i}") for i in range(3)]).result()
        anchor = ledger.head()
    engines = open_engines(url)
    with engines.writer.begin() as connection:
        command.downgrade(migrations(connection), "0003")  # who asked is not kept there
    engines.dispose()
    with opened(url, tmp_path) as ledger:
        ledger.record([decided("D3", actor="rm-7")]).result()
        report = ledger.verify(anchor)
        assert (report.is_whole, report.n_rows) == (True, 4)
        assert [ledger.decision(f"D{i}").row.actor for i in (2, 3)] == [None, "rm-7"]


def test_migrations_go_back_to_nothing_and_forward_again(url: str, tmp_path: Path) -> None:
    engines = open_engines(url)
    for _ in range(2):
        migrate(engines, tmp_path)
        with engines.reader.connect() as connection:
            assert set(inspect(connection).get_table_names()) == {*METADATA.tables, "alembic_version"}
        with engines.writer.begin() as connection:
            command.downgrade(migrations(connection), "base")
        with engines.reader.connect() as connection:
            assert inspect(connection).get_table_names() == ["alembic_version"]
    engines.dispose()


def test_several_processes_that_start_at_once_make_tables_and_key_once(url: str, tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, url, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    told = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0] * 4, [err for _, err in told]
    assert len({out for out, _ in told}) == 1


def test_tables_of_a_later_version_are_left_alone(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path).close()
    change(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerTooNew, match="upgrade Tiercel"):
        opened(url, tmp_path)


def test_a_database_that_the_ledger_cannot_stand_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="sqlite, postgresql"):
        opened("mysql://somewhere/ledger", tmp_path)


def test_every_connection_syncs_each_commit_and_holds_foreign_keys(tmp_path: Path) -> None:
    """FULL is 2: with NORMAL (1) a commit of SQLite's WAL may be lost with the power."""
    engines = open_engines(f"sqlite:///{tmp_path / 'ledger.db'}")
    for engine in (engines.writer, engines.reader):
        with engine.connect() as connection:
            found = {name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
                     for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}  # fmt: skip
        assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    engines.dispose()
