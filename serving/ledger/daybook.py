"""The daybook: a file beside a ledger on SQLite in which decisions are entered first, to be posted to the ledger later.

To write a decision in the ledger changes thirteen pages of it, its indexes and its chain; to enter it here changes
five, with the same promise: on the disk before anybody is told. What is posted is struck out here. Entries keep their
order, and a number is never given twice, so that who has read up to a number misses nothing after it. An entry that
the ledger refuses is set aside with the reason, never dropped.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson
from sqlalchemy import Engine, make_url

from features.errors import NotReady
from serving.ledger.databases import BUSY_MILLISECONDS, file_of, of_its_own
from serving.ledger.rows import DecisionRow, FirstDecision, PlacementRow
from serving.ledger.tables import instant, micros, minor

SUFFIX = ".daybook.db"
KNOWN_FIRSTS = 4_096  # first decisions of a day that are remembered; then they are read again from what is waiting
_FORM = 1  # of the tables
_COLUMNS = (  # what is asked about each request stands before what fills pages of its own
    "customer_id", "repeat_of", "decided_at", "decision_id", "release_id", "channel", "prices_version",
    "segments_digest", "decisions_digest", "arm", "is_degraded", "is_fallback", "is_stale", "actor", "placements",
    "answer", "inputs",
)  # fmt: skip
_NAMES = ", ".join(_COLUMNS)
_MAY_BE_NULL = ("repeat_of", "actor")
_DEFINED = ", ".join(name if name in _MAY_BE_NULL else f"{name} NOT NULL" for name in _COLUMNS)
_TABLES = (
    f"CREATE TABLE entry (seq INTEGER PRIMARY KEY AUTOINCREMENT, {_DEFINED})",
    f"CREATE TABLE aside (seq INTEGER PRIMARY KEY, {_NAMES}, reason)",
    f"PRAGMA user_version = {_FORM}",
)
_GIVEN = ", ".join("CAST(? AS TEXT)" if name in ("answer", "inputs") else "?" for name in _COLUMNS)  # text or UTF-8
_ENTER = f"INSERT INTO entry ({_NAMES}) VALUES ({_GIVEN})"
_SINCE = "SELECT seq, customer_id, repeat_of, decided_at, decision_id, release_id FROM entry WHERE seq > ?"
_WAITING = f"SELECT seq, {_NAMES} FROM entry ORDER BY seq LIMIT ?"
_SPAN = "SELECT (SELECT max(seq) FROM entry) - (SELECT min(seq) FROM entry) + 1"
_SET_ASIDE = f"INSERT OR REPLACE INTO aside SELECT seq, {_NAMES}, ? FROM entry WHERE seq = ?"


class DaybookUnreadable(NotReady):
    """There is a daybook, but it cannot be read: decisions may stand in it that the ledger does not have."""

    slug = "daybook-unreadable"


class Entry(NamedTuple):
    """A decision that waits: its number and its columns as they are stored."""

    seq: int
    values: tuple[Any, ...]

    @property
    def decision_id(self) -> str:
        return str(self.values[_COLUMNS.index("decision_id")])

    def row(self) -> DecisionRow:
        """The decision; raises ValueError or TypeError where it cannot be read."""
        given = dict(zip(_COLUMNS, self.values, strict=True))
        slots = tuple(_slot(slot) for slot in orjson.loads(given.pop("placements")))
        given["decided_at"] = instant(given["decided_at"])
        for flag in ("is_degraded", "is_fallback", "is_stale"):
            given[flag] = bool(given[flag])
        return DecisionRow(**given, placements=slots)


class Daybook:
    """The daybook of one ledger; `turn` is held by whoever uses `connection`, to enter or to look for first decisions.

    An event loop must not wait for who reads the ledger meanwhile, so those ask by a connection of their own.
    """

    def __init__(self, file: Path, engine: Engine) -> None:
        self.file = file
        self.turn = threading.Lock()
        self.connection = of_its_own(engine, file)
        self._engine = engine
        self._asking, self._asks = of_its_own(engine, file), threading.Lock()
        self._firsts: dict[str, list[FirstDecision]] = {}
        self._n_firsts = self._read_to = 0

    @classmethod
    def of(cls, engine: Engine) -> Self | None:
        """The daybook of the ledger that `engine` writes, made if there is none yet; None where none can be.

        Raises DaybookUnreadable.
        """
        ledger = file_of(engine.url)
        if ledger is None:
            return None
        file, was_there = daybook_of(ledger), False
        try:
            was_there = file.exists()
            with closing(of_its_own(engine, file)) as connection:
                _make(connection, file)
            return cls(file, engine)
        except (sqlite3.Error, OSError) as error:
            if not was_there:
                return None
            raise DaybookUnreadable("decisions may wait in a daybook that cannot be opened", value=str(file),
                                    todo="look at the file and its permissions") from error  # fmt: skip

    def close(self) -> None:
        with self.turn, self._asks:
            self.connection.close()
            self._asking.close()

    def reopened(self) -> Any:
        """One more connection, for posting; what it strikes out need not be on the disk when it goes on."""
        connection = of_its_own(self._engine, self.file)
        connection.execute("PRAGMA synchronous = NORMAL")  # a strike that is lost is done again; an entry syncs it too
        connection.execute("PRAGMA secure_delete = FAST")  # or pages that are given free are written once more
        return connection

    def insert(self, rows: Sequence[DecisionRow]) -> None:
        """Enter decisions in the transaction of `connection`."""
        self.connection.cursor().executemany(_ENTER, [_values(row) for row in rows])

    def n_waiting(self) -> int:
        """How many wait, by the numbers they have, in the transaction of `connection`."""
        return int(self.connection.execute(_SPAN).fetchone()[0] or 0)

    def is_empty(self) -> bool:
        """Whether nothing waits that was entered before this was asked."""
        with self._asks:
            return self._asking.execute("SELECT 1 FROM entry LIMIT 1").fetchone() is None

    def firsts(self, customer_ids: Sequence[str], start: int, before: int) -> dict[str, FirstDecision]:
        """The first decision in start ≤ decided_at < before of each of these customers who has one waiting.

        Of any process; some were posted since. To be asked before the ledger: what is posted in between stands there.
        """
        with self.turn:
            self._read_on()
            if not self._firsts:
                return {}
            found: dict[str, FirstDecision] = {}
            for customer_id in customer_ids:
                for first in self._firsts.get(customer_id, ()):
                    if start <= micros(first.decided_at) < before and (
                        customer_id not in found or first.decided_at < found[customer_id].decided_at
                    ):
                        found[customer_id] = first
            return found

    def _read_on(self) -> None:
        """Note the first decisions entered since the last time."""
        if self._n_firsts > KNOWN_FIRSTS:
            self._firsts, self._n_firsts, self._read_to = {}, 0, 0
        if self.connection.in_transaction:  # that a broken disk would not let be undone: nothing of it is entered
            self.connection.execute("ROLLBACK")
        for seq, customer_id, repeat_of, decided_at, decision_id, release_id in self.connection.execute(
            _SINCE, (self._read_to,)
        ).fetchall():
            if repeat_of is None:
                first = FirstDecision(decision_id, release_id, instant(decided_at))
                self._firsts.setdefault(customer_id, []).append(first)
                self._n_firsts += 1
            self._read_to = seq


def daybook_of(ledger: Path) -> Path:
    """Where the daybook of a ledger's file stands.

    >>> daybook_of(Path("bank/ledger.db")).as_posix()
    'bank/ledger.daybook.db'
    """
    return ledger.with_suffix(SUFFIX)


def waiting(connection: Any, most: int) -> list[Entry]:
    """The entries that wait longest, in their order."""
    return [Entry(row[0], row[1:]) for row in connection.execute(_WAITING, (most,)).fetchall()]


def strike(connection: Any, entries: Sequence[Entry], reasons: dict[int, str]) -> None:
    """Strike out entries that the ledger has; those with a reason, by their number, are set aside."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for seq, reason in reasons.items():
            connection.execute(_SET_ASIDE, (reason, seq))
        connection.execute("DELETE FROM entry WHERE seq BETWEEN ? AND ?", (entries[0].seq, entries[-1].seq))
        connection.execute("COMMIT")
    except BaseException:
        with suppress(Exception):
            connection.execute("ROLLBACK")
        raise


class Standing(NamedTuple):
    """What stands in a daybook: decisions that wait, and the ids of those set aside with the reason."""

    n_waiting: int
    aside: dict[str, str]


def looked_into(url: str) -> Standing:
    """What stands in the daybook of the ledger at `url`, nothing made or posted; raises DaybookUnreadable."""
    ledger = file_of(make_url(url))
    file = None if ledger is None else daybook_of(ledger)
    if file is None or not file.exists():
        return Standing(0, {})
    try:
        with closing(sqlite3.connect(file.as_uri() + "?mode=ro", uri=True)) as connection:
            (n_waiting,) = connection.execute("SELECT count(*) FROM entry").fetchone()
            return Standing(n_waiting, dict(connection.execute("SELECT decision_id, reason FROM aside").fetchall()))
    except sqlite3.Error as error:
        raise DaybookUnreadable("the daybook cannot be read", value=str(file), todo="look at the file") from error


@contextmanager
def posting_alone(daybook: Path) -> Iterator[None]:
    """Hold the right to post; who waits as long as for the ledger's own lock goes on without it: then the ledger's
    unique ids alone keep an entry from being posted twice, as they do after a kill."""
    with daybook.with_suffix(".lock").open("w") as lock:
        until = time.monotonic() + BUSY_MILLISECONDS / 1e3
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > until:
                break
            time.sleep(0.001)
        yield


def _make(connection: Any, file: Path) -> None:
    """Make the tables of a new daybook; raises DaybookUnreadable for one of a later version."""
    connection.execute("BEGIN IMMEDIATE")
    (form,) = connection.execute("PRAGMA user_version").fetchone()
    for statement in () if form else _TABLES:
        connection.execute(statement)
    connection.execute("COMMIT")
    if form > _FORM:
        raise DaybookUnreadable("the daybook was made by a later version", value=str(file), todo="upgrade Tiercel")


def _values(row: DecisionRow) -> tuple[Any, ...]:
    return (
        row.customer_id,
        row.repeat_of,
        micros(row.decided_at),
        row.decision_id,
        row.release_id,
        row.channel,
        row.prices_version,
        row.segments_digest,
        row.decisions_digest,
        row.arm,
        row.is_degraded,
        row.is_fallback,
        row.is_stale,
        row.actor,
        orjson.dumps([_plain(slot) for slot in row.placements]).decode() if row.placements else "[]",
        row.answer,
        row.inputs,
    )


def _plain(slot: PlacementRow) -> list[Any]:
    return [
        slot.placement_id,
        int(slot.rank),
        slot.offer_id,
        slot.treatment_id,
        slot.channel,
        None if slot.propensity is None else float(slot.propensity),
        micros(slot.expires_at),
        str(slot.purpose),
        minor(slot.cost_amount),
    ]


def _slot(values: Sequence[Any]) -> PlacementRow:
    placement_id, rank, offer_id, treatment_id, channel, propensity, expires_at, purpose, cost_minor = values
    return PlacementRow(
        placement_id, rank, offer_id, treatment_id, channel, propensity, instant(expires_at), purpose,
        Decimal(cost_minor).scaleb(-2),
    )  # fmt: skip
