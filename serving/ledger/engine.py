"""Opens the database of the ledger and brings its tables up to date; the one place that knows which database it is.

SQLite runs in WAL with `synchronous=FULL`, so that a commit is on the disk before it is answered, and readers do not
wait for the writer. Every transaction of the writer begins with the write lock (BEGIN IMMEDIATE): a transaction that
read first and asked for the lock later could be refused half-way. Errors hide their parameters, which are customers'
data and would otherwise stand in a log.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Dialect, Engine, Table, and_, create_engine, event, literal_column, make_url, or_
from sqlalchemy.dialects import postgresql, sqlite

from features.errors import NotReady, UserMistake
from serving.ledger.tables import BANK

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MILLISECONDS = 5_000
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={BUSY_MILLISECONDS}",
    "cache_size=-32000",  # 32 MB: with SQLite's 2 MB the indexes of a bank's history are read again at each insert
)
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class LedgerTooNew(NotReady):
    """The tables were made by a later version of Tiercel."""

    slug = "ledger-too-new"


@dataclass(frozen=True, slots=True)
class Engines:
    """One connection that writes, and a pool of those that read."""

    writer: Engine
    reader: Engine

    def dispose(self) -> None:
        self.reader.dispose()
        self.writer.dispose()


def open_engines(url: str) -> Engines:
    """The engines of the ledger at `url`; raises UserMistake for a database it cannot stand on."""
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        return Engines(_sqlite(url, "BEGIN IMMEDIATE", 1), _sqlite(url, "BEGIN", 8))
    if backend == "postgresql":
        reader = create_engine(
            url, isolation_level="REPEATABLE READ", pool_size=8, max_overflow=32, hide_parameters=True
        )
        return Engines(create_engine(url, pool_size=1, hide_parameters=True), reader)
    raise UserMistake("the ledger cannot stand on this database", value=backend, allowed=["sqlite", "postgresql"])


def migrate(engine: Engine, home: Path, revision: str = "head") -> None:
    """Bring the tables to `revision`, one process at a time; raises LedgerTooNew for tables of a later version."""
    with alone(home), engine.begin() as connection:
        try:
            command.upgrade(migrations(connection), revision)
        except CommandError as error:
            raise LedgerTooNew("the ledger was made by a later version", value=engine.url.database,
                               todo="upgrade Tiercel") from error  # fmt: skip


def migrations(connection: Connection) -> Config:
    """Alembic's configuration for the ledger, bound to `connection`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the home's ledger lock, so that several workers that start at once make tables and keys once."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "ledger.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def insert_or_keep(table: Table, dialect: Dialect, refresh: Sequence[str] = ()) -> Any:
    """An insert that leaves a row of the same key as it is, but for the columns `refresh` of the bank's own rows."""
    statement = _INSERTS[dialect.name](table)
    if not refresh:
        return statement.on_conflict_do_nothing()
    new = statement.excluded
    changed = or_(*[table.c[name].is_distinct_from(new[name]) for name in refresh])
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: new[name] for name in refresh},
        where=and_(table.c.source == literal_column(f"'{BANK}'"), changed),
    )


def _sqlite(url: str, begin: str, pool_size: int) -> Engine:
    overflow = 0 if pool_size == 1 else 32
    engine = create_engine(url, pool_size=pool_size, max_overflow=overflow, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions of its own
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        driver.execute(begin)

    return engine
