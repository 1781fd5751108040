"""The packed online store: whole publications, exact instants, lifetimes that hold."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.errors import UserMistake
from features.online_rows import MissingStore, OnlineReader, microseconds
from features.packing import ARROW_TYPES, CannotPack, SchemaMismatch
from features.publishing import ViewRows, publish
from features.vocabulary import Column, Kind

ROOT = Path(__file__).parents[2]
AS_OF = datetime(2025, 12, 31, 16, 0, 0, 123_456, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MONTH = (
    Column("tier", Kind.CODE, "tier"),
    Column("mda", Kind.NUMBER, "balance"),
    Column("since_on", Kind.DATE, "since"),
)
DAY = (Column("n_txn", Kind.INTEGER, "transactions"),)


def month(
    tiers: dict[str, str | None],
    *,
    as_of: datetime = AS_OF,
    available: datetime | None = None,
    lifetime: timedelta = timedelta(days=62),
) -> ViewRows:
    n = len(tiers)
    columns = {
        "tier": list(tiers.values()),
        "mda": [float(k) for k in range(n)],
        "since_on": [date(1969, 7, 20)] * n,
    }
    return ViewRows("month", MONTH, lifetime, table_of(MONTH, columns, list(tiers), as_of, available or as_of))


def day(counts: dict[str, int], *, as_of: datetime = AS_OF) -> ViewRows:
    columns = {"n_txn": list(counts.values())}
    return ViewRows("day", DAY, timedelta(days=3), table_of(DAY, columns, list(counts), as_of, as_of))


def table_of(
    columns: tuple[Column, ...], values: dict[str, list[object]], ids: list[str], as_of: datetime, available: datetime
) -> pa.Table:
    instant = pa.timestamp("us", tz="UTC")
    stamps = {
        "as_of_at": pa.array([as_of] * len(ids), instant),
        "available_at": pa.array([available] * len(ids), instant),
    }
    typed = {c.name: pa.array(values[c.name], ARROW_TYPES[c.kind]) for c in columns}
    return pa.table({"customer_id": pa.array(ids, pa.string()), **stamps, **typed})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "online" / "L1.sqlite"


@pytest.fixture
def reader(path: Path) -> Iterator[OnlineReader]:
    publish(path, month({"a": "金卡", "b": None, "c": ""}))
    with OnlineReader(path) as opened:
        yield opened


def test_customers_come_in_the_order_asked_with_unknown_and_repeated_ones(reader: OnlineReader) -> None:
    rows = reader.rows(["c", "nobody", "a", "b", "a"], at=AS_OF)
    assert rows.arrays["tier"].tolist() == ["", None, "金卡", None, "金卡"]
    assert np.array_equal(rows.arrays["mda"], [2.0, np.nan, 0.0, 1.0, 0.0], equal_nan=True)
    assert rows.arrays["since_on"].tolist() == [date(1969, 7, 20), None] + [date(1969, 7, 20)] * 3
    assert rows.is_known["month"].tolist() == [True, False, True, True, True]
    assert not rows.is_stale["month"].any()


def test_one_customer_reads_like_many(reader: OnlineReader) -> None:
    for customer in ("a", "b", "nobody", "o'clock", '"'):
        one, two = reader.rows([customer], at=AS_OF), reader.rows([customer, "c"], at=AS_OF)
        assert one.is_known["month"].tolist() == two.is_known["month"].tolist()[:1]
        assert one.arrays["tier"].tolist() == two.arrays["tier"].tolist()[:1]


def test_no_customer_is_no_row(reader: OnlineReader) -> None:
    assert reader.rows([], at=AS_OF).arrays["tier"].shape == (0,)


def test_a_row_counts_from_its_publication_to_the_end_of_its_lifetime_and_not_a_microsecond_longer(path: Path) -> None:
    available, lifetime = AS_OF + timedelta(hours=6), timedelta(days=62)
    publish(path, month({"a": "VIP"}, available=available, lifetime=lifetime))
    with OnlineReader(path) as reader:
        seen = {
            at: reader.rows(["a"], at=at)
            for at in (available - MICROSECOND, available, AS_OF + lifetime, AS_OF + lifetime + MICROSECOND)
        }
    states = [(bool(r.is_known["month"][0]), bool(r.is_stale["month"][0]), r.arrays["tier"][0]) for r in seen.values()]
    assert states == [(False, False, None), (True, False, "VIP"), (True, False, "VIP"), (True, True, None)]
    assert [r.event_at["month"][0] for r in seen.values()][1] == np.datetime64(AS_OF.replace(tzinfo=None), "us")
    assert np.isnat(next(iter(seen.values())).event_at["month"][0])


def test_views_that_a_publication_does_not_name_are_carried_over(path: Path) -> None:
    publish(path, month({"a": "VIP", "b": "MASS"}), day({"a": 1, "b": 2}))
    publish(path, day({"a": 7}))
    with OnlineReader(path) as reader:
        rows = reader.rows(["a", "b"], at=AS_OF)
    assert rows.arrays["tier"].tolist() == ["VIP", "MASS"]
    assert np.array_equal(rows.arrays["n_txn"], [7.0, np.nan], equal_nan=True)


def test_a_publication_that_fails_leaves_the_old_store_and_nothing_beside_it(path: Path) -> None:
    publish(path, month({"a": "VIP"}))
    before = path.read_bytes()
    twice = month({"a": "MASS"})
    broken = ViewRows("month", MONTH, twice.lifetime, pa.concat_tables([twice.table, twice.table]))
    with pytest.raises(CannotPack, match="has a customer twice"):
        publish(path, broken)
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == ["L1.sqlite"]


def test_a_row_without_an_instant_is_refused(path: Path) -> None:
    rows = month({"a": "VIP"})
    empty = pa.array([None], pa.timestamp("us", tz="UTC"))
    table = rows.table.set_column(rows.table.column_names.index("as_of_at"), "as_of_at", empty)
    with pytest.raises(CannotPack, match="without customer or instant"):
        publish(path, ViewRows("month", MONTH, rows.lifetime, table))


def test_a_reader_keeps_its_publication_and_knows_when_it_is_old(path: Path) -> None:
    publish(path, month({"a": "VIP"}))
    with OnlineReader(path) as reader:
        assert reader.is_current()
        publish(path, month({"a": "MASS"}))
        assert reader.rows(["a"], at=AS_OF).arrays["tier"].tolist() == ["VIP"]
        assert not reader.is_current()


def test_no_reader_sees_two_publications_at_once(path: Path) -> None:
    """Feast's own store, materialised view by view, showed mixed views in a fifth of all reads."""
    publish(path, month({"a": "0"}), day({"a": 0}))
    done = threading.Event()

    def keep_publishing() -> None:
        for k in range(1, 40):
            publish(path, month({"a": str(k)}), day({"a": k}))
        done.set()

    publisher = threading.Thread(target=keep_publishing)
    publisher.start()
    seen = []
    while not done.is_set():
        with OnlineReader(path) as reader:
            arrays = reader.rows(["a"], at=AS_OF).arrays
            seen.append((int(arrays["tier"][0]), int(arrays["n_txn"][0])))
    publisher.join()
    assert [pair for pair in seen if pair[0] != pair[1]] == []
    assert seen == sorted(seen)
    assert len(set(seen)) > 1, "the publisher was done before anybody read"


def test_threads_may_share_a_reader(reader: OnlineReader) -> None:
    found: list[list[str | None]] = []

    def read() -> None:
        found.extend(reader.rows([customer], at=AS_OF).arrays["tier"].tolist() for customer in "abc" * 100)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=str) == sorted([["金卡"], [None], [""]] * 400, key=str)


def test_instants_are_integers_whatever_adapters_sqlite_has(path: Path) -> None:
    """Feast's SQLite module replaces the adapter of datetime for the whole process when it is imported."""
    adapters = sqlite3.adapters.copy()
    sqlite3.register_adapter(datetime, lambda at: int(at.timestamp()))
    sqlite3.register_adapter(date, lambda on: "never")
    try:
        publish(path, month({"a": "VIP"}))
    finally:
        sqlite3.adapters.clear()
        sqlite3.adapters.update(adapters)
    with sqlite3.connect(path) as db:
        ((kind, event_at),) = db.execute("SELECT typeof(event_at), event_at FROM rows_month").fetchall()
    db.close()
    assert (kind, event_at) == ("integer", 1_767_196_800_123_456)
    assert microseconds(AS_OF) == event_at


def test_other_columns_are_noticed_before_any_row_is_read(reader: OnlineReader) -> None:
    reader.require("month", MONTH)
    with pytest.raises(SchemaMismatch, match="view 'month' was published under other columns"):
        reader.require("month", MONTH[::-1])
    with pytest.raises(MissingStore, match="lacks a view: 'day'; allowed: month"):
        reader.require("day", DAY)


def test_a_store_that_was_never_published_is_said_to_be_missing(path: Path) -> None:
    with pytest.raises(MissingStore, match="publish a build first"):
        OnlineReader(path)


def test_a_view_whose_name_is_no_identifier_is_refused(path: Path) -> None:
    rows = month({"a": "VIP"})
    with pytest.raises(UserMistake, match="name of a view"):
        publish(path, ViewRows('x"; DROP TABLE view; --', MONTH, rows.lifetime, rows.table))


def test_the_request_path_imports_neither_feast_nor_pandas() -> None:
    code = "import sys, features.online_rows; print(sorted({'feast', 'pandas', 'ibis', 'duckdb'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
