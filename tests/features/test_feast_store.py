"""Feast end to end, on real files: what training sees is what serving reads, and nobody sees what was not yet known."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import feast.infra.online_stores.sqlite  # noqa: F401  # replaces the adapter of datetime for the process
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import MissingBuild, NotFound, UserMistake
from features.facts import PROFILE, RECENT, TODAY
from features.feast_views import (
    AT_ONCE,
    DAY,
    MOMENT,
    MONTH,
    ViewSpec,
    apply,
    historical,
    online,
    online_path,
    store,
    utc_engine,
    view_specs,
)  # fmt: skip
from features.online_rows import OnlineReader
from features.packing import ARROW_TYPES, SchemaMismatch
from features.publishing import ViewRows, publish
from features.vocabulary import Column, Kind

ROOT = Path(__file__).parents[2]
KINDS = (Kind.FLAG, Kind.INTEGER, Kind.NUMBER, Kind.AMOUNT, Kind.CODE, Kind.SET, Kind.DATE)
MONTH_COLUMNS = tuple(Column(f"m_{kind}", kind, "under test") for kind in KINDS)
DAY_COLUMNS = tuple(Column(f"d_{kind}", kind, "under test") for kind in KINDS)
MOMENT_COLUMNS = (Column("n_contacts", Kind.INTEGER, "under test"),)
LINEAGE = "L1"
IDS = [f"客{n:03d}" for n in range(40)]
JANUARY, FEBRUARY = datetime(2025, 1, 31, 16, tzinfo=UTC), datetime(2025, 2, 28, 16, tzinfo=UTC)
LAG = timedelta(hours=6)
LIFETIME = timedelta(days=40)


def specs(lineage: str = LINEAGE) -> tuple[ViewSpec, ...]:
    return (
        ViewSpec(MONTH, MONTH_COLUMNS, f"profiles/{lineage}/*.parquet", LIFETIME),
        ViewSpec(DAY, DAY_COLUMNS, f"views/{lineage}/today/*.parquet", timedelta(days=3)),
        ViewSpec(MOMENT, MOMENT_COLUMNS, f"views/{lineage}/recent/*.parquet", AT_ONCE, is_online=False),
    )


def random_value(kind: Kind, chance: np.random.Generator) -> Any:
    if chance.random() < 0.25:
        return None
    pick = int(chance.integers(0, 4))
    days = int(chance.integers(-30_000, 30_000))
    return {
        Kind.FLAG: pick < 2,
        Kind.INTEGER: (0, -1, 2**53 + 1, days)[pick],
        Kind.NUMBER: (0.0, -0.0, float(chance.normal()), 1e300)[pick],
        Kind.AMOUNT: Decimal(days) / 100,
        Kind.CODE: ("", "金卡", "MASS", "null")[pick],
        Kind.SET: ("|", "|A|", "|A|理财|", "|B|")[pick],
        Kind.DATE: date(1970, 1, 1) + timedelta(days=days),
    }[kind]


def rows_at(
    columns: tuple[Column, ...],
    as_of: datetime,
    *,
    seed: int = 0,
    ids: list[str] = IDS,
    available: datetime | None = None,
    given: dict[str, Any] | None = None,
) -> pa.Table:
    """One row a customer: random values, but those in `given` the same for everybody."""
    chance = np.random.default_rng(seed)
    stamps = pa.timestamp("us", tz="UTC")
    values = {
        c.name: [(given or {}).get(c.name, random_value(c.kind, chance)) for _ in ids] for c in columns
    }  # fmt: skip
    return pa.table(
        {
            "customer_id": pa.array(ids, pa.string()),
            "as_of_at": pa.array([as_of] * len(ids), stamps),
            "available_at": pa.array([available or as_of + LAG] * len(ids), stamps),
            **{c.name: pa.array(values[c.name], ARROW_TYPES[c.kind]) for c in columns},
        }
    )


def write(home: Path, table: pa.Table, folder: str, name: str) -> None:
    (home / folder).mkdir(parents=True, exist_ok=True)
    pq.write_table(table, home / folder / f"{name}.parquet")


def write_profiles(home: Path, name: str, table: pa.Table, lineage: str = LINEAGE) -> None:
    write(home, table, f"profiles/{lineage}", name)


def spine(*pairs: tuple[str, datetime]) -> pd.DataFrame:
    ids, instants = zip(*pairs, strict=True)
    return pd.DataFrame({"customer_id": ids, "event_timestamp": pd.to_datetime(list(instants), utc=True)})


def plain(frame: pd.DataFrame, columns: tuple[Column, ...]) -> dict[str, list[Any]]:
    """Columns of a frame as Python values, None where missing."""
    found: dict[str, list[Any]] = {}
    for column in columns:
        values = [None if value is None or pd.isna(value) else value for value in frame[column.name]]
        turn: dict[Kind, Any] = {Kind.DATE: lambda v: v.date(), Kind.INTEGER: int, Kind.FLAG: bool, Kind.NUMBER: float}
        found[column.name] = [None if v is None else turn.get(column.kind, lambda v: v)(v) for v in values]
    return found


def age_seen(home: Path, at: datetime) -> Any:
    """The integer of the first customer's month view as training sees it at an instant."""
    return plain(historical(home, LINEAGE, spine((IDS[0], at)), "churn_v1"), MONTH_COLUMNS)["m_integer"][0]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months and a day of 40 customers, of whom the last has no day row; applied and published as of February."""
    home = tmp_path_factory.mktemp("home")
    write_profiles(home, "2025-01-31", rows_at(MONTH_COLUMNS, JANUARY, seed=1))
    newest = rows_at(MONTH_COLUMNS, FEBRUARY, seed=2)
    write_profiles(home, "2025-02-28", newest)
    today = rows_at(DAY_COLUMNS, FEBRUARY + timedelta(days=1), seed=3, ids=IDS[:-1])
    write(home, today, f"views/{LINEAGE}/today", "2025-03-01")
    write(home, rows_at(MOMENT_COLUMNS, FEBRUARY, seed=4), f"views/{LINEAGE}/recent", "2025-03-01")
    publish(
        online_path(home, LINEAGE),
        ViewRows(MONTH, MONTH_COLUMNS, LIFETIME, newest),
        ViewRows(DAY, DAY_COLUMNS, timedelta(days=3), today),
    )
    apply(home, LINEAGE, specs())
    return home


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A home of one customer whose integer is 1 in January's build; applied."""
    write_profiles(tmp_path, "2025-01-31", rows_at(MONTH_COLUMNS, JANUARY, ids=IDS[:1], given={"m_integer": 1}))
    apply(tmp_path, LINEAGE, specs()[:1])
    return tmp_path


READ_AT = FEBRUARY + timedelta(days=1, hours=7)
ASKED = [*IDS[::-1], "nobody", IDS[0]]


def test_training_sees_what_serving_reads_row_for_row(home: Path) -> None:
    columns = (*MONTH_COLUMNS, *DAY_COLUMNS)
    frame = historical(home, LINEAGE, spine(*((customer, READ_AT) for customer in ASKED)), "decision_v1")
    offline = plain(frame, columns)
    by_feast = online(home, LINEAGE, "decision_v1", ASKED, at=READ_AT)
    assert list(offline) == list(by_feast)
    for name in offline:
        assert repr(offline[name]) == repr(by_feast[name]), name  # repr tells -0.0 from 0.0
    assert any(value is not None for value in offline["d_date"]), "two empty results are no agreement"
    with OnlineReader(online_path(home, LINEAGE)) as reader:
        arrays = reader.rows(ASKED, at=READ_AT).arrays
    for column in columns:
        assert repr(as_array(offline[column.name], column.kind)) == repr(arrays[column.name].tolist()), column.name


def as_array(values: list[Any], kind: Kind) -> list[Any]:
    if kind in (Kind.CODE, Kind.SET, Kind.DATE):
        return values
    return [float("nan") if value is None else float(value) for value in values]


def test_columns_come_in_their_natural_types(home: Path) -> None:
    frame = historical(home, LINEAGE, spine((IDS[0], READ_AT), (IDS[1], READ_AT)), "churn_v1")
    assert {name: str(dtype) for name, dtype in frame.dtypes.items() if name.startswith("m_")} == {
        "m_flag": "boolean", "m_integer": "Int64", "m_number": "float64", "m_amount": "object", "m_code": "object",
        "m_set": "object", "m_date": "datetime64[s]",
    }  # fmt: skip


def test_rows_of_the_spine_stay_as_many_in_their_order_with_their_own_columns(home: Path) -> None:
    asked = spine((IDS[5], READ_AT), ("nobody", READ_AT), (IDS[5], READ_AT), (IDS[5], JANUARY + LAG))
    asked = asked.assign(label=[0.0, 1.0, 2.0, 3.0], m_flag_of_mine="x").set_index(pd.Index([7, 7, 3, 1]))
    frame = historical(home, LINEAGE, asked, "churn_v1")
    pd.testing.assert_frame_equal(frame[asked.columns], asked)
    values = plain(frame, MONTH_COLUMNS)
    assert [values["m_code"][n] for n in (0, 1, 2)] == [values["m_code"][0], None, values["m_code"][0]]
    assert all(column[1] is None for column in values.values())
    february, january = ([column[n] for column in values.values()] for n in (0, 3))
    assert february != january


def test_an_empty_spine_gives_an_empty_frame_with_all_columns(home: Path) -> None:
    frame = historical(home, LINEAGE, spine((IDS[0], READ_AT)).iloc[:0], "churn_v1")
    assert len(frame) == 0
    assert [c.name for c in MONTH_COLUMNS] == list(frame.columns[2:])


def test_a_build_is_seen_from_its_publication_on(small: Path) -> None:
    microsecond = timedelta(microseconds=1)
    assert [age_seen(small, JANUARY), age_seen(small, JANUARY + LAG - microsecond)] == [None, None]
    assert age_seen(small, JANUARY + LAG) == 1


def test_a_late_correction_does_not_leak_into_what_was_known_before(small: Path) -> None:
    corrected = JANUARY + timedelta(days=10)
    table = rows_at(MONTH_COLUMNS, JANUARY, ids=IDS[:1], available=corrected, given={"m_integer": 2})
    write_profiles(small, "2025-01-31-corrected", table)
    assert age_seen(small, corrected - timedelta(seconds=1)) == 1
    assert age_seen(small, corrected) == 2


def test_a_row_that_outlived_its_view_is_missing_offline_and_online(small: Path) -> None:
    table = pq.read_table(small / "profiles" / LINEAGE / "2025-01-31.parquet")
    publish(online_path(small, LINEAGE), ViewRows(MONTH, MONTH_COLUMNS, LIFETIME, table))
    for at, seen in ((JANUARY + LIFETIME, 1), (JANUARY + LIFETIME + timedelta(microseconds=1), None)):
        assert age_seen(small, at) == seen
        assert online(small, LINEAGE, "churn_v1", IDS[:1], at=at)["m_integer"] == [seen]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    after=st.timedeltas(timedelta(microseconds=1), timedelta(days=60)),
    lag=st.timedeltas(timedelta(0), timedelta(days=2)),
    seed=st.integers(0, 99),
)
def test_nothing_that_happens_later_changes_what_is_seen(
    home: Path, after: timedelta, lag: timedelta, seed: int
) -> None:
    asked = spine(*((customer, READ_AT) for customer in IDS))
    before = historical(home, LINEAGE, asked, "churn_v1")
    later = rows_at(MONTH_COLUMNS, READ_AT + after, seed=seed, available=READ_AT + after + lag)
    write_profiles(home, "later", later)
    try:
        pd.testing.assert_frame_equal(historical(home, LINEAGE, asked, "churn_v1"), before)
    finally:
        (home / "profiles" / LINEAGE / "later.parquet").unlink()


def test_a_moment_belongs_to_its_own_instant_and_to_no_later_one(home: Path) -> None:
    recent = rows_at(MOMENT_COLUMNS, READ_AT, ids=IDS[:1], available=READ_AT, given={"n_contacts": 5})
    write(home, recent, f"views/{LINEAGE}/recent", "moments")
    asked = spine((IDS[0], READ_AT), (IDS[0], READ_AT + timedelta(seconds=1)))
    frame = historical(home, LINEAGE, asked, "response_v1")
    assert plain(frame, MOMENT_COLUMNS)["n_contacts"] == [5, None]


def test_the_moment_is_not_kept_online(home: Path) -> None:
    found = online(home, LINEAGE, "response_v1", IDS[:1], at=READ_AT)
    assert list(found) == [column.name for column in (*MONTH_COLUMNS, *DAY_COLUMNS)]
    with OnlineReader(online_path(home, LINEAGE)) as reader:
        assert sorted(reader.views) == [MONTH, DAY]


def test_feast_can_fill_the_store_itself_and_a_late_write_does_not_replace_a_newer_row(
    home: Path, tmp_path: Path
) -> None:
    for name, as_of, seed in (("2025-01-31", JANUARY, 1), ("2025-02-28", FEBRUARY, 2)):
        write_profiles(tmp_path, name, rows_at(MONTH_COLUMNS, as_of, seed=seed))
    apply(tmp_path, LINEAGE, specs()[:1])
    feast = store(tmp_path, LINEAGE)
    with utc_engine():
        feast.materialize(JANUARY - LAG, FEBRUARY + LAG)
    feast.write_to_online_store(MONTH, rows_at(MONTH_COLUMNS, JANUARY, seed=1).to_pandas())
    with OnlineReader(online_path(tmp_path, LINEAGE)) as by_feast, OnlineReader(online_path(home, LINEAGE)) as ours:
        one, two = by_feast.rows(IDS, at=READ_AT), ours.rows(IDS, at=READ_AT)
    for column in MONTH_COLUMNS:
        assert repr(one.arrays[column.name].tolist()) == repr(two.arrays[column.name].tolist()), column.name
    assert one.event_at[MONTH].tolist() == two.event_at[MONTH].tolist()
    feast.teardown()
    assert not online_path(tmp_path, LINEAGE).exists()


def everything_read(home: Path) -> list[str]:
    """What training, Feast's online path and the request path see of the home, as text."""
    frame = historical(home, LINEAGE, spine(*((customer, READ_AT) for customer in IDS)), "decision_v1")
    with OnlineReader(online_path(home, LINEAGE)) as reader:
        rows = reader.rows(IDS, at=READ_AT)
    direct = {name: values.tolist() for name, values in rows.arrays.items()}
    by_feast = online(home, LINEAGE, "decision_v1", IDS, at=READ_AT)
    with utc_engine():
        zone = ibis.get_backend().raw_sql("SELECT current_setting('TimeZone')").fetchone()
    return [frame.to_csv(), repr(by_feast), repr(direct), repr(rows.event_at), repr(zone)]


def test_no_value_moves_with_the_time_zone_of_a_process(home: Path) -> None:
    """Feast's own store read 12:00 of London as 21:00 in Tokyo."""
    zone = "Asia/Tokyo" if time.tzname[0] == "UTC" else "UTC"
    command = [sys.executable, "-W", "ignore", __file__, str(home)]
    environment = os.environ | {"TZ": zone, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=120, check=True)
    zone_there, *there = json.loads(done.stdout)
    assert zone_there != time.tzname[0]
    assert there == everything_read(home)


def test_our_rows_are_integers_though_feast_has_replaced_the_adapter_of_datetime(home: Path) -> None:
    assert (datetime, sqlite3.PrepareProtocol) in sqlite3.adapters
    with sqlite3.connect(online_path(home, LINEAGE)) as db:
        kinds = db.execute(f"SELECT DISTINCT typeof(event_at), event_at FROM rows_{MONTH}").fetchall()
    db.close()
    assert kinds == [("integer", int(FEBRUARY.timestamp()) * 1_000_000)]


def test_another_lineage_is_not_read_in_place_of_the_one_asked_for(small: Path) -> None:
    write_profiles(small, "2025-01-31", rows_at(MONTH_COLUMNS, JANUARY, ids=IDS[:1], given={"m_integer": 9}), "L2")
    apply(small, "L2", specs("L2")[:1])
    with pytest.raises(MissingBuild, match="another lineage is applied to the feature store: 'L1'; allowed: L2"):
        age_seen(small, JANUARY + LAG)
    apply(small, LINEAGE, specs()[:1])
    assert age_seen(small, JANUARY + LAG) == 1


def test_rows_published_under_other_columns_are_not_read(small: Path) -> None:
    table = pq.read_table(small / "profiles" / LINEAGE / "2025-01-31.parquet")
    publish(online_path(small, LINEAGE), ViewRows(MONTH, MONTH_COLUMNS[1:], LIFETIME, table))
    with pytest.raises(SchemaMismatch, match="published under other columns"):
        online(small, LINEAGE, "churn_v1", IDS[:1], at=JANUARY + LAG)


def test_what_cannot_be_answered_is_said(small: Path, tmp_path: Path) -> None:
    asked = spine((IDS[0], JANUARY))
    with pytest.raises(NotFound, match="no such feature service: 'uplift_v1'; allowed: churn_v1"):
        historical(small, LINEAGE, asked, "uplift_v1")
    with pytest.raises(UserMistake, match="need a zone"):
        historical(small, LINEAGE, asked.assign(event_timestamp=pd.Timestamp("2025-01-31")), "churn_v1")
    with pytest.raises(UserMistake, match="an online read needs an instant"):
        store(small, LINEAGE).get_online_features([f"{MONTH}:m_flag"], [{"customer_id": "a"}])
    next((small / "profiles" / LINEAGE).iterdir()).unlink()
    with pytest.raises(MissingBuild, match="view 'profile_month' has no files"):
        historical(small, LINEAGE, asked, "churn_v1")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (Column("n_y", Kind.INTEGER, "ends with the suffix of Feast's join"), "ends with _y"),
        (Column("opened_at", Kind.INSTANT, "has microseconds"), "cannot hold these columns without loss"),
    ],
)
def test_a_column_that_feast_would_lose_is_refused(tmp_path: Path, column: Column, said: str) -> None:
    with pytest.raises(UserMistake, match=said):
        apply(tmp_path, LINEAGE, [ViewSpec(MONTH, (column,), "profiles/*.parquet", LIFETIME)])


def test_the_shipped_views_apply_and_nothing_is_written_outside_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "home"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))
    apply(home, LINEAGE, view_specs(LINEAGE, {"profile": 62, "today": 3, "recent": 0}))
    services = {s.name: s for s in store(home, LINEAGE).list_feature_services()}
    names = {name: [f.name for p in s.feature_view_projections for f in p.features] for name, s in services.items()}
    profile, today, recent = ([column.name for column in columns] for columns in (PROFILE, TODAY, RECENT))
    assert names == {
        "response_v1": profile + today + recent, "churn_v1": profile, "decision_v1": profile + today,
    }  # fmt: skip
    assert list(elsewhere.iterdir()) == []
    files = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    assert files == ["feast/online/L1.sqlite", "feast/registry.db"]


if __name__ == "__main__":  # another process in another time zone
    print(json.dumps([time.tzname[0], *everything_read(Path(sys.argv[1]))]))  # noqa: T201  # read by the test
