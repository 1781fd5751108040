"""A disk that loses its power: SQLite under the whole ledger, on a file system that keeps only what was synced.

`Disk` stands between SQLite and the files (a VFS of APSW's). Files behave as ever while the power is on; beside each
it keeps the bytes that a sync has made safe, and the writes since. A cut gives the files as a machine would find them
after the power came back: the safe bytes, and of the writes since none, or any sectors of any of them. `Dialect` lets
SQLAlchemy, and so the ledger itself, run on APSW: `sqlite+apsw:///PATH`.
"""

from __future__ import annotations

import random
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

VFS = "power"
SECTOR = 512


@dataclass
class Kept:
    """One file: what is safe (None: not even its name), and what was written since, in order."""

    safe: bytearray | None = None
    since: list[tuple[int, bytes | None]] = field(default_factory=list)  # offset and bytes, or None: cut off there


class Disk:
    """Every file of one home; `cuts` are the pictures taken at operations chosen by chance."""

    def __init__(self, chance: random.Random, picture: Callable[[dict[str, bytes]], object]) -> None:
        self._files: dict[str, Kept] = {}
        self._lock = threading.RLock()
        self._chance = chance
        self._picture = picture
        self._until_cut = chance.randrange(1, 150)

    def write(self, path: str, offset: int, data: bytes | None) -> None:
        with self._lock:
            self._files.setdefault(path, Kept()).since.append((offset, data))
            self._pass()

    def sync(self, path: str) -> None:
        with self._lock:
            self._pass()
            kept = self._files.setdefault(path, Kept())
            kept.safe = _applied(kept.safe, kept.since)
            kept.since.clear()
            self._pass()

    def delete(self, path: str) -> None:
        with self._lock:
            self._files.pop(path, None)
            self._pass()

    def _pass(self) -> None:
        """One more operation; at some of them the power is cut, on paper."""
        self._until_cut -= 1
        if self._until_cut == 0:
            self._until_cut = self._chance.randrange(1, 150)
            share = self._chance.choice((0.0, 0.0, 0.5, 0.9))
            self._picture({path: bytes(found) for path, kept in self._files.items()
                           if (found := self._after(kept, share)) is not None})  # fmt: skip

    def _after(self, kept: Kept, share: float) -> bytearray | None:
        """The file after a cut that lets this share of the sectors written since survive."""
        if share == 0:
            return kept.safe
        survived: list[tuple[int, bytes | None]] = []
        for offset, data in kept.since:
            if data is None:
                survived += [(offset, None)] if self._chance.random() < share else []
                continue
            sectors = range(0, len(data), SECTOR)
            survived += [(offset + at, data[at : at + SECTOR]) for at in sectors if self._chance.random() < share]
        return _applied(kept.safe, survived) if survived or kept.safe is not None else None


def _applied(safe: bytearray | None, writes: Sequence[tuple[int, bytes | None]]) -> bytearray:
    file = bytearray(safe or b"")
    for offset, data in writes:
        if data is None:
            del file[offset:]
        else:
            file.extend(bytes(max(0, offset - len(file))))
            file[offset : offset + len(data)] = data
    return file


class _Files(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        super().__init__(VFS, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._disk.delete(filename)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:
        super().xWrite(data, offset)
        if self._path:
            self._disk.write(self._path, offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        if self._path:
            self._disk.write(self._path, newsize, None)

    def xSync(self, flags: int) -> None:
        if self._path:
            self._disk.sync(self._path)


@contextmanager
def powered(disk: Disk) -> Iterator[None]:
    """SQLite by APSW runs on `disk`."""
    files = _Files(disk)
    try:
        yield
    finally:
        files.unregister()


class Cursor:
    """As much of Python's database interface as SQLAlchemy asks for, over APSW."""

    arraysize = 1

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._rows: Iterator[Any] = iter(())
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid = None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor:
        return self.executemany(statement, [parameters])

    def executemany(self, statement: str, many: Sequence[Sequence[Any]]) -> Cursor:
        cursor, before = self._connection.cursor(), self._connection.total_changes()
        self.description = None

        def describe(of: apsw.Cursor, *_: object) -> bool:
            self.description = tuple((*column[:2], *[None] * 5) for column in of.getdescription()) or None
            return True

        cursor.exec_trace = describe
        try:
            self._rows = iter([row for values in many for row in cursor.execute(statement, tuple(values))])
        except apsw.ConstraintError as error:
            raise sqlite3.IntegrityError(str(error)) from error
        except apsw.Error as error:
            raise sqlite3.OperationalError(str(error)) from error
        is_change = re.match(r"\s*(INSERT|UPDATE|DELETE)", statement, re.IGNORECASE)
        self.rowcount = self._connection.total_changes() - before if is_change else -1
        return self

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchmany(self, size: int = 1) -> list[Any]:
        return [row for _, row in zip(range(size), self._rows, strict=False)]

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def close(self) -> None:
        self._rows = iter(())


class Connection:
    """A connection of APSW on the disk that may lose its power; the ledger begins and ends transactions itself."""

    def __init__(self, path: str) -> None:
        self._connection = apsw.Connection(path, vfs=VFS)
        self.isolation_level: str | None = None

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def cursor(self) -> Cursor:
        return Cursor(self._connection)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor:
        return self.cursor().execute(statement, parameters)

    def commit(self) -> None:
        if self._connection.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    def create_function(self, *_: object, **__: object) -> None:
        """SQLAlchemy offers a function for regular expressions, which the ledger does not use."""


class Dialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's dialect of SQLite, connecting through APSW."""

    driver = "apsw"
    supports_statement_cache = True

    def connect(self, *args: Any, **given: Any) -> Any:
        return Connection(str(Path(args[0]).resolve()))


registry.register("sqlite.apsw", __name__, "Dialect")
