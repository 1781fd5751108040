"""Opens the database of the ledger and brings its tables up to date."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, inspect

from features.errors import NotReady
from serving.ledger.databases import engines_of, unreachable
from serving.ledger.tables import decision

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


class LedgerTooNew(NotReady):
    """The tables were made by a later version of Tiercel."""

    slug = "ledger-too-new"


class _Kept:
    """One cursor a thread: to take a connection from the pool and give it back takes as long as the question."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._connections: list[Any] = []

    def cursor(self, engine: Engine) -> Any:
        found = getattr(self._mine, "cursor", None)
        if found is None:
            connection = engine.raw_connection()
            self._connections.append(connection)
            found = self._mine.cursor = connection.cursor()
        return found

    def close(self) -> None:
        while self._connections:
            self._connections.pop().close()


@dataclass(frozen=True, slots=True)
class Engines:
    """One connection that writes, and a pool of those that read."""

    writer: Engine
    reader: Engine
    _kept: _Kept = field(default_factory=_Kept)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction with the write lock, committed at the end; raises Unreachable."""
        with self._told(), self.writer.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one instant of the ledger for as long as it is held; raises Unreachable."""
        with self._told(), self.reader.connect() as connection:
            yield connection

    def asking(self) -> AbstractContextManager[Any]:
        """A cursor of the driver's own for one statement, which sees one instant by itself; raises Unreachable.

        A server may have gone since the last question, so its connections come from the pool, which looks; they ask
        outside a transaction, whose end would cost a way to the server and what the driver has prepared. A file is
        always there, and each thread keeps its cursor.
        """
        if self.reader.dialect.name == "sqlite":
            return nullcontext(self._kept.cursor(self.reader))
        return self._asking_server()

    @contextmanager
    def _asking_server(self) -> Iterator[Any]:
        with (
            self._told(),
            self.reader.execution_options(isolation_level="AUTOCOMMIT").connect() as connection,
            closing(connection.connection.cursor()) as cursor,
        ):
            yield cursor

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if (told := unreachable(self.writer, error)) is not None:
                raise told from error
            raise

    def dispose(self) -> None:
        self._kept.close()
        self.reader.dispose()
        self.writer.dispose()


def open_engines(url: str) -> Engines:
    """The engines of the ledger at `url`; raises UserMistake for a database it cannot stand on."""
    return Engines(*engines_of(url))


@contextmanager
def looked_at(url: str) -> Iterator[Connection | None]:
    """A connection that reads the ledger at `url` as it stands, None where it has no tables yet: nothing is made or
    brought up to date. Raises UserMistake for a database it cannot stand on, Unreachable."""
    engines = open_engines(url)
    try:
        with engines.reading() as connection:
            yield connection if inspect(connection).has_table(decision.name) else None
    finally:
        engines.dispose()


def migrate(engines: Engines, home: Path, revision: str = "head") -> None:
    """Bring the tables to `revision`, one process at a time; raises LedgerTooNew for tables of a later version."""
    from alembic import command
    from alembic.util import CommandError

    with alone(home), engines.writing() as connection:
        try:
            command.upgrade(migrations(connection), revision)
        except CommandError as error:
            raise LedgerTooNew("the ledger was made by a later version", value=engines.writer.url.database,
                               todo="upgrade Tiercel") from error  # fmt: skip


def migrations(connection: Connection) -> Config:
    """Alembic's configuration for the ledger, bound to `connection`."""
    from alembic.config import Config

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
