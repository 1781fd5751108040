"""What a ledger on PostgreSQL asks of its server, and what it does when the server is away."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import text

from features.errors import UserMistake
from serving.app import create_app
from serving.key_file import make_keys
from serving.ledger import DecisionRow, PlacementRow, Unreachable
from serving.ledger.engine import open_engines
from serving.settings import Settings
from tests.serving.clusters import PASSWORD, Cluster
from tests.serving.ledgers import NOON, change, opened, rows_of


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A server that the test may stop."""
    cluster = Cluster()
    yield cluster
    cluster.close()


def decided(decision_id: str, *placement_ids: str) -> DecisionRow:
    names = ("R1", "none", "s", "d", "treated", "{}", "{}")
    slots = tuple(PlacementRow(key, 1, "P01", "T", "APP", 0.5, NOON) for key in placement_ids)
    return DecisionRow(decision_id, "C1", NOON, "APP", *names, slots)


def test_every_session_waits_for_the_disk_and_readers_see_one_instant(postgres: Cluster) -> None:
    engines = open_engines(postgres.database())
    for engine, level in ((engines.writer, "read committed"), (engines.reader, "repeatable read")):
        with engine.connect() as connection:
            found = {
                name: connection.execute(text(f"SHOW {name}")).scalar_one()
                for name in ("fsync", "synchronous_commit", "lock_timeout", "transaction_isolation")
            }
        assert found == {
            "fsync": "on", "synchronous_commit": "on", "lock_timeout": "5s", "transaction_isolation": level
        }  # fmt: skip
    engines.dispose()


def test_a_server_that_does_not_sync_is_refused(own_cluster: Cluster, tmp_path: Path) -> None:
    url = own_cluster.database()
    own_cluster.command("ALTER SYSTEM SET fsync = off")
    own_cluster.command("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # the server reads its file again when it gets to it
        try:
            opened(url, tmp_path).close()
        except UserMistake as error:
            assert "fsync = on" in str(error)  # noqa: PT017  # the loop waits for it
            return
        time.sleep(0.05)
    raise AssertionError("a ledger was opened on a server that does not sync")


def test_a_database_of_another_encoding_is_refused(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database("ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'")
    with pytest.raises(UserMistake, match=r"SQL_ASCII.*UTF8"):
        opened(url, tmp_path)


def test_the_chain_holds_whatever_order_the_database_gives_to_text(postgres: Cluster, tmp_path: Path) -> None:
    """This server puts b before C, bytes put C before b; placements of one rank are hashed in the order of bytes."""
    url = postgres.database()
    ids = ("b", "C", "a", "é", "Z", "中", "1")
    with opened(url, tmp_path) as ledger:
        ledger.record([decided("D1", *ids)]).result()
        assert ledger.verify().is_whole
        assert [slot.placement_id for slot in ledger.decision("D1").row.placements] == sorted(ids)
    assert rows_of(url, "SELECT 'b' < 'C'") == [(True,)]


@pytest.mark.parametrize("spoil", ["password", "socket", "database"])
def test_a_server_that_does_not_answer_is_told_without_the_password(
    postgres: Cluster, tmp_path: Path, spoil: str
) -> None:
    url = postgres.database()
    url = {
        "password": url.replace(PASSWORD, "wr0ng-password"),
        "socket": url.replace("port=", "port=1"),
        "database": url.replace("@/ledger", "@/none"),
    }[spoil]
    with pytest.raises(Unreachable, match="start PostgreSQL") as caught:
        opened(url, tmp_path)
    told = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in told
    assert "wr0ng-password" not in told


@pytest.mark.parametrize("url", [f"postgresql//tiercel:{PASSWORD}@h/d", f"oracle://tiercel:{PASSWORD}@h/d"])
def test_an_address_that_cannot_be_used_is_told_without_the_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserMistake) as caught:
        opened(url, tmp_path)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_without_the_driver_the_way_to_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserMistake, match=r"pip install 'tiercel\[postgres\]'"):
        opened("postgresql://somewhere/ledger", tmp_path)


def test_two_ledgers_in_two_schemas_of_one_database_are_two(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database()
    change(url, "CREATE SCHEMA one", "CREATE SCHEMA two")
    for name, n in (("one", 3), ("two", 1)):
        with opened(f"{url}&options=-csearch_path%3D{name}", tmp_path / name) as ledger:
            ledger.record([decided(f"D{i}") for i in range(n)]).result()
            assert ledger.head().seq == n
    assert rows_of(url, "SELECT count(*) FROM one.decision") == [(3,)]


def test_a_ledger_outlives_its_servers_crash(own_cluster: Cluster, tmp_path: Path) -> None:
    """Away, it refuses both ways with a reason; back, it goes on by itself where it was."""
    with opened(own_cluster.database(), tmp_path) as ledger:
        for n in range(3):
            ledger.record([decided(f"D{n}")]).result()
            own_cluster.stop(signal.SIGQUIT)
            assert ledger.record([decided(f"lost{n}")]).exception(10) is not None
            with pytest.raises(Unreachable, match="start PostgreSQL"):
                ledger.recent(["C1"], NOON)
            with pytest.raises(Unreachable):
                ledger.decision("D0")
            own_cluster.start()
            assert ledger.decision(f"D{n}").seq == n + 1
        assert ledger.head().seq == 3
        assert ledger.verify().is_whole


def test_the_whole_service_runs_on_it_and_two_workers_share_it(postgres: Cluster, home: Path) -> None:
    """Decided by one worker, repeated and answered through the other; the home itself has no ledger."""
    url, keys = postgres.database(), make_keys(home)
    headers = {"Authorization": f"Bearer {keys['service']}"}
    asked = {"customer_id": "C-USUAL", "channel": "APP"}
    settings = Settings(home=home, ledger_url=SecretStr(url))
    with TestClient(create_app(settings)) as one:
        first = one.post("/v1/decisions", json=asked, headers=headers | {"Idempotency-Key": "k1"})
        assert first.status_code == 200, first.text
        with TestClient(create_app(settings)) as two:  # begins later: in this home each has a clock that stands
            again = two.post("/v1/decisions", json=asked, headers=headers | {"Idempotency-Key": "k1"})
            later = two.post("/v1/decisions", json=asked, headers=headers).json()
        assert again.json() == first.json()
        assert later["repeat_of"] == first.json()["decision_id"]
        assert [slot["offer_id"] for slot in later["offers"]] == [slot["offer_id"] for slot in first.json()["offers"]]
        read = one.get(f"/v1/decisions/{later['decision_id']}", headers=headers)
        assert read.status_code == 200, read.text
    assert rows_of(url, "SELECT count(*), count(repeat_of) FROM decision") == [(2, 1)]
    assert not (home / "ledger.db").exists()
