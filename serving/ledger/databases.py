"""What only one database knows: how SQLite and PostgreSQL sync, lock, tell the time and keep a row that is there.

Both give the same promises. A commit is on the disk before it is answered: SQLite in WAL with `synchronous=FULL`,
PostgreSQL with `synchronous_commit=on` on a server that syncs. Every transaction that writes begins with the ledger's
one write lock, BEGIN IMMEDIATE there and an advisory lock of the schema here: writers of several processes follow one
another, each sees all that the one before it wrote, and none can be refused half-way. Who waits five seconds for the
lock is told. Readers see one instant and wait for nobody. Errors hide their parameters, which are customers' data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    Table,
    and_,
    bindparam,
    create_engine,
    event,
    func,
    literal_column,
    make_url,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError

from features.errors import NotReady, UserMistake
from serving.ledger.prepared import Prepared
from serving.ledger.tables import BANK

BUSY_MILLISECONDS = 5_000
ALLOWED = ("sqlite", "postgresql")
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={BUSY_MILLISECONDS}",
    "wal_autocheckpoint=8192",  # pages, 32 MB: by then `checkpoints.py` has copied most of the log
    "cache_size=-32000",  # 32 MB: with SQLite's 2 MB the indexes of a bank's history are read again at each insert
)
_SESSION = (
    "synchronous_commit = on",
    f"lock_timeout = {BUSY_MILLISECONDS}",
    "idle_in_transaction_session_timeout = 60000",  # a process that hangs with the write lock loses it after a minute
)
_WRITE_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('tiercel ledger ' || current_schema(), 0))"
_GONE = {None, "08", "53", "57"}  # SQLSTATE: none or class 08, no connection; 53, no room for one; 57, shut down
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_SECONDS = {
    "sqlite": "SELECT CAST(strftime('%s', 'now') AS INTEGER)",
    "postgresql": "SELECT CAST(floor(extract(epoch FROM clock_timestamp())) AS bigint)",
}


class Unreachable(NotReady):
    """The database of the ledger does not answer."""

    slug = "ledger-unreachable"


def engines_of(url: str) -> tuple[Engine, Engine]:
    """An engine of one connection that writes, and one that reads; raises UserMistake, without the URL's password."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UserMistake("the ledger's address cannot be read", allowed="postgresql://USER:PASSWORD@HOST/DATABASE",
                          todo="mend TIERCEL_LEDGER_URL") from None  # fmt: skip
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url, "BEGIN IMMEDIATE", 1), _sqlite(url, "BEGIN", 8)
    if backend == "postgresql":
        driven = parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        try:
            return _postgresql_writer(driven), _postgresql(driven, 8, isolation_level="REPEATABLE READ")
        except ModuleNotFoundError as error:
            raise UserMistake("a ledger on PostgreSQL needs its driver", value=error.name,
                              todo="pip install 'tiercel[postgres]'") from error  # fmt: skip
    raise UserMistake("the ledger cannot stand on this database", value=backend, allowed=ALLOWED)


def file_of(url: URL) -> Path | None:
    """The file in which SQLite keeps the database of this address; None for a server, or a database in memory."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name).absolute()


def of_its_own(engine: Engine, file: Path | None = None) -> Any:
    """One more connection of the driver's own to the file of an engine of SQLite, or to another one, with the same
    promises; one thread at a time may use it."""
    url = engine.url if file is None else engine.url.set(database=str(file))
    args, given = engine.dialect.create_connect_args(url)
    connection = engine.dialect.connect(*args, **{**given, "check_same_thread": False})
    _settle(connection)
    return connection


def seconds_now(connection: Connection) -> int:
    """The database's own time in seconds since 1970: one for all who share it, and it goes on when a home's stands."""
    return int(connection.exec_driver_sql(_SECONDS[connection.dialect.name]).scalar_one())


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


def keep_all(
    connection: Connection, table: Table, columns: Mapping[str, Sequence[Any]], refresh: Sequence[str] = ()
) -> None:
    """Insert many rows, given by column, or keep those of the same key as `insert_or_keep` does.

    SQLite is fastest a row at a time; PostgreSQL, which would answer each row, takes them as one array a column.
    """
    statement, dialect = insert_or_keep(table, connection.dialect, refresh), connection.dialect
    if dialect.name == "sqlite":
        Prepared(statement, dialect, list(columns)).run_columns(connection, columns)
        return
    arrays = [bindparam(name, type_=postgresql.ARRAY(table.c[name].type)) for name in columns]
    given = func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
    latest = _latest(columns, [column.name for column in table.primary_key])
    connection.execute(statement.from_select(list(columns), select(given)), latest)


def _latest(columns: Mapping[str, Sequence[Any]], key: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    """The columns with the last row of each key alone: one statement of PostgreSQL may touch a row once."""
    place = {row: i for i, row in enumerate(zip(*[columns[name] for name in key], strict=True))}
    if len(place) == len(columns[key[0]]):
        return columns
    return {name: [values[i] for i in place.values()] for name, values in columns.items()}


def unreachable(engine: Engine, error: Exception) -> Unreachable | None:
    """What to tell of `error` if it means that the database server is away; None if it means anything else."""
    driver_error = error.orig if isinstance(error, DBAPIError) else error
    if engine.dialect.name == "sqlite" or not isinstance(driver_error, engine.dialect.loaded_dbapi.OperationalError):
        return None
    state = getattr(driver_error, "sqlstate", None)
    if (state and state[:2]) not in _GONE:
        return None
    at = f"{engine.url.host or 'local socket'}:{engine.url.port or 5432}/{engine.url.database}"
    told = Unreachable("the ledger's database does not answer", value=at, todo="start PostgreSQL, or mend its address")
    told.__cause__ = error
    return told


def _sqlite(url: str, begin: str, pool_size: int) -> Engine:
    overflow = 0 if pool_size == 1 else 32
    engine = create_engine(url, pool_size=pool_size, max_overflow=overflow, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        _settle(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _settle(connection: Any) -> None:
    """Give a connection of SQLite's driver the ledger's promises."""
    connection.isolation_level = None  # the driver would begin transactions of its own
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _postgresql(url: str, pool_size: int, **given: Any) -> Engine:
    overflow = 0 if pool_size == 1 else 32
    engine = create_engine(
        url, pool_size=pool_size, max_overflow=overflow, pool_pre_ping=True, hide_parameters=True, **given
    )

    @event.listens_for(engine, "connect", insert=True)  # before SQLAlchemy's own questions, which need UTF-8
    def _connect(connection: Any, _: object) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise UserMistake("the ledger's database has another encoding", value=encoding,
                              allowed="UTF8", todo="create the database with ENCODING 'UTF8'")  # fmt: skip
        (syncs,) = connection.execute("SHOW fsync").fetchone()
        if syncs != "on":
            raise UserMistake("the database server does not sync to disk: fsync", value=syncs, allowed="on",
                              todo="set fsync = on: a crash would lose what was answered")  # fmt: skip
        for setting in _SESSION:
            connection.execute(f"SET {setting}")
        connection.commit()

    return engine


def _postgresql_writer(url: str) -> Engine:
    engine = _postgresql(url, 1)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(_WRITE_LOCK)

    return engine
