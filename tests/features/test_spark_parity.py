"""DuckDB and Spark write the same tiles and the same profiles: the same expressions, compared value by value.

Integers, codes, flags, dates and instants are equal, floats within 1e-9. A machine without Spark or Java skips this.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features import profiles
from features.bank.engines import ENGINES, STORED, open_bank
from features.bank.quarantine import receive
from features.bank.spark_engine import INSTALL
from features.errors import BadBank
from features.policy import segments
from features.profiles import PROFILE
from simulation import simulate
from tests.features.conftest import tables_of
from tests.features.drawn_banks import drawn_bank
from tests.features.tier_policy import ALL_AT_ONCE
from tests.simulation.banks import shelf

ROOT = Path(__file__).parents[2]
FLOAT_SHARE = 1e-9
is_here = find_spec("pyspark") is not None and shutil.which("java") is not None
needs_spark = pytest.mark.skipif(not is_here, reason=f"no Spark here: {INSTALL}")


def differences(one: pa.Table, other: pa.Table) -> list[str]:
    """What tells two tables apart, a line a column; rows are compared in the order given."""
    if one.column_names != other.column_names or one.num_rows != other.num_rows:
        return [f"{one.num_rows} rows of {one.column_names}, not {other.num_rows} of {other.column_names}"]
    found = []
    for name in one.column_names:
        left, right = one[name], other[name]
        if not left.type.equals(right.type):
            found.append(f"{name} is {left.type}, not {right.type}")
        elif pa.types.is_floating(left.type):
            found += [f"{name} differs" for same in [_are_close(left, right)] if not same]
        elif left.to_pylist() != right.to_pylist():
            pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
            found.append(f"{name} differs: {[pair for pair in pairs if pair[0] != pair[1]][:3]}")
    return found


def _are_close(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    if pc.is_null(one).to_pylist() != pc.is_null(other).to_pylist():
        return False
    left, right = (np.asarray(column.drop_null()) for column in (one, other))
    return bool(np.allclose(left, right, rtol=FLOAT_SHARE, atol=FLOAT_SHARE))


def plain(path: Path) -> pa.Table:
    """The file without what engines say beside its rows: metadata, and whether an element may be null."""
    table = pq.read_table(path).replace_schema_metadata()
    lists = {f.name: pa.list_(f.type.value_type) for f in table.schema if pa.types.is_list(f.type)}
    return table.cast(pa.schema([pa.field(f.name, lists.get(f.name, f.type)) for f in table.schema]))


def tiles_of(home: Path) -> dict[str, pa.Table]:
    """Tiles and what is summed of them, by the place of the file, their rows in the order of their key."""
    found = {}
    for path in sorted(home.glob("tiles/**/*.parquet")):
        table = plain(path)
        order = [(key, "ascending") for key in ("customer_id", "month_no") if key in table.column_names]
        found[str(path.relative_to(home))] = table.sort_by(order)
    return found


def lists_of(home: Path) -> list[list[str]]:
    """Every list of codes that the window of the newest month holds."""
    windows = [table for name, table in tiles_of(home).items() if "/window-" in name]
    lists = [table[f.name] for table in windows for f in table.schema if pa.types.is_list(f.type)]
    return [codes for column in lists for codes in column.drop_null().to_pylist()]


def profiles_of(home: Path) -> dict[str, pa.Table]:
    """Profile files by lineage and name, their rows in the order of the file."""
    return {f"{path.parent.name}/{path.name}": plain(path) for path in sorted(home.glob("profiles/*/*.parquet"))}


def assert_same(one: Path, other: Path) -> dict[str, pa.Table]:
    """Every tile and every profile of both homes is the same; the profiles."""
    for read in (tiles_of, profiles_of):
        left, right = read(one), read(other)
        assert left.keys() == right.keys()
        assert [f"{name}: {told}" for name in left for told in differences(left[name], right[name])] == []
    return profiles_of(one)


def copies(home: Path, place: Path) -> dict[str, Path]:
    """A copy of the home for each engine, by the engine's name."""
    return {engine: Path(shutil.copytree(home, place / engine)) for engine in ENGINES}


@pytest.fixture(scope="module", autouse=True)
def quick_java() -> Iterator[None]:
    """Java that compiles once and plainly: the few seconds a test lasts do not pay for better code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC")
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of sixty customers over a leap February and March, with a clock after both closings."""
    home = tmp_path_factory.mktemp("drawn")
    receive(home, tables_of(**drawn_bank(5, date(2024, 2, 1), 60, customers=60, rows=500)))
    (home / "home.json").write_text(json.dumps({"instant": datetime(2024, 4, 4, tzinfo=UTC).isoformat()}))
    return home


@needs_spark
def test_the_simulated_bank_has_one_profile_on_both_engines(tmp_path: Path) -> None:
    home = tmp_path / "simulated"
    simulate(home, customers=200, months=3, seed=3, last_month_end=date(2025, 12, 31), offers=shelf())
    homes = copies(home, tmp_path)
    for engine, copy in homes.items():
        book = segments(ROOT / "simulation/policy/segments")
        profiles.build(copy, book, instant=datetime(2026, 1, 5, tzinfo=UTC), engine=engine)
    same = assert_same(*homes.values())
    assert [len(table) > 150 for table in same.values()] == [True] * 3
    last = list(same.values())[-1]
    assert len(set(last["cell"].to_pylist())) > 5
    assert len(set(last["tier"].to_pylist())) > 3


@needs_spark
def test_a_bank_of_every_code_and_every_null_has_one_profile_on_both_engines(drawn: Path, tmp_path: Path) -> None:
    """Through the command, so that its option is held as well."""
    from serving.cli import app

    homes = copies(drawn, tmp_path)
    for engine, home in homes.items():
        answer = CliRunner().invoke(app, ["build", "--engine", engine, "--home", str(home), "--json"])
        assert answer.exit_code == 0, answer.output
    same = assert_same(*homes.values())
    rows = pa.concat_tables(same.values())
    assert {c.name for c in PROFILE if rows[c.name].null_count == len(rows)} == {
        "has_dormant_account", "won_back_on", "reactivated_on", "is_hot_money",  # two months of history cannot tell
        "family_mda",  # families do not count together as shipped
        "last_product_view_on",  # drawn ids are no products of the policy
        "n_failed_steps_3m", "n_given_up_steps_3m", "longest_step_s_3m",  # no journeys are drawn here
    }  # fmt: skip
    assert [c.name for c in PROFILE if rows[c.name].type != STORED[c.kind]] == []
    assert any(len(tile) > len(set(tile["customer_id"].to_pylist())) for tile in tiles_of(homes["spark"]).values()), (
        "no row came late"
    )
    assert max(len(codes) for codes in lists_of(homes["spark"])) > 1


@needs_spark
def test_spark_goes_on_where_duckdb_stopped_under_every_setting_of_tiers(drawn: Path, tmp_path: Path) -> None:
    instant = datetime(2024, 4, 4, tzinfo=UTC)
    homes = copies(drawn, tmp_path)
    for home in homes.values():
        for name in ("txn", "channel_event", "contact", "response", "loan", "holding"):
            shutil.rmtree(home / "bank" / name)
        profiles.build(home, ALL_AT_ONCE, instant=instant, as_of=date(2024, 2, 29))
    for engine, home in homes.items():
        profiles.build(home, ALL_AT_ONCE, instant=instant, engine=engine)
    same = assert_same(*homes.values())
    assert all(
        table["n_txn_1m"].null_count == table["n_services_3m"].null_count == len(table) for table in same.values()
    )


@needs_spark
def test_the_berka_bank_has_one_profile_on_both_engines(shared_data: Path, tmp_path: Path) -> None:
    """Fourteen months of real owners on DuckDB, and the last month on both engines."""
    from features.bank.sources import berka

    berka.bring_in(shared_data / "berka", tmp_path / "homes")
    home = tmp_path / "homes/prefix"
    book, instant = segments(home / "policy/segments"), datetime(1994, 4, 5, tzinfo=UTC)
    profiles.build(home, book, instant=instant, as_of=date(1994, 2, 28))
    homes = copies(home, tmp_path)
    for engine, copy in homes.items():
        profiles.build(copy, book, instant=instant, engine=engine)
    same = assert_same(*homes.values())
    assert len(list(same.values())[-1]) == 1229


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Any]:
    """A Spark session that somebody else has opened, in another zone."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    builder = builder.config("spark.local.dir", str(tmp_path)).config("spark.sql.warehouse.dir", str(tmp_path / "w"))
    session = builder.config("spark.sql.session.timeZone", "Asia/Tokyo").getOrCreate()
    yield session
    session.stop()


@needs_spark
def test_a_session_that_is_open_is_joined_and_left_as_it_was(application: Any, drawn: Path) -> None:
    with open_bank(drawn, "spark") as bank:
        assert bank.tables["customer"].count().execute() == 60
        assert bank.con.raw_sql("SELECT current_timezone()").collect()[0][0] == "UTC"
    assert application.sql("SELECT current_timezone()").collect()[0][0] == "Asia/Tokyo"
    assert application.catalog.listTables() == []


@pytest.mark.parametrize("engine", ["duckdb", pytest.param("spark", marks=needs_spark)])
def test_a_view_reads_what_stands_under_a_name_when_it_is_read(engine: str, drawn: Path) -> None:
    """A month's statements are laid down once and read other tables in the next month."""
    with open_bank(drawn, engine) as bank:
        rows = bank.register("rows", pa.table({"n": [1, 2]}))
        bank.view("sums", rows.agg(total=rows.n.sum()))
        kept = bank.keep("kept", bank.con.table("sums"))
        bank.register("rows", pa.table({"n": [3, 4]}))
        assert bank.con.table("sums").total.sum().execute() == 7
        assert kept.total.sum().execute() == 3


def test_where_there_is_no_java_the_command_says_what_to_install(drawn: Path, tmp_path: Path) -> None:
    """True without Spark as well: either absence is told in one sentence, and nothing is written."""
    program = "import sys; sys.argv[0] = 'tiercel'; from serving.cli import main; main()"
    bare = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"} | {
        "PATH": str(_without_java(tmp_path))
    }
    run = subprocess.run(
        [sys.executable, "-c", program, "build", "--engine", "spark", "--home", str(drawn)],
        cwd=ROOT, capture_output=True, text=True, env=bare,
    )  # fmt: skip
    assert run.returncode == 2
    assert INSTALL in run.stderr
    assert "Traceback" not in run.stderr
    assert not (drawn / "tiles").exists()


def _without_java(place: Path) -> Path:
    """A folder for PATH with what Spark's start script needs, and no Java."""
    folder = place / "bin"
    folder.mkdir()
    for tool in ("bash", "env", "dirname", "uname", "python3", "sh", "sed", "cat", "ps", "ls", "readlink"):
        if found := shutil.which(tool):
            (folder / tool).symlink_to(found)
    return folder


def test_an_unknown_engine_is_refused_by_name(drawn: Path) -> None:
    with pytest.raises(BadBank, match="unknown engine: 'oracle'; allowed: duckdb, spark"), open_bank(drawn, "oracle"):
        pass


def test_a_difference_is_seen() -> None:
    rows = pa.table({"n": [1, 2], "x": [1.0, None], "code": ["a", None], "on": [date(2024, 1, 1), None]})
    assert differences(rows, rows) == []
    assert differences(rows, rows.set_column(1, "x", [[1.0 + 1e-10, None]])) == []
    other = {
        "n": pa.array([1, 3]), "x": pa.array([1.0 + 1e-8, None]), "code": pa.array(["a", "b"]),
        "on": pa.array([date(2024, 1, 1) + timedelta(days=1), None]),
    }  # fmt: skip
    for at, (name, values) in enumerate(other.items()):
        assert len(differences(rows, rows.set_column(at, name, values))) == 1
    assert differences(rows, rows.set_column(0, "n", pa.array([1.0, 2.0]))) == ["n is int64, not double"]
    assert differences(rows, rows.set_column(1, "x", pa.array([1.0, 0.0]))) == ["x differs"]
    assert len(differences(rows, rows.slice(1))) == 1
