"""Decisions are on the disk before they are answered, many at a time, and a bad one fails alone."""

from __future__ import annotations

import sqlite3
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, wait
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Pool, event

from features.errors import BadRequest, NotFound
from serving.ledger import (
    AlreadyRecorded,
    Closed,
    DecisionRow,
    FirstDecision,
    Ledger,
    Overloaded,
    PlacementRow,
    Unwritable,
)
from tests.serving.ledgers import NOON, LedgerUrl, change, opened, write_lock_held


def placed(placement_id: str, *, rank: int = 1, propensity: float | None = 0.25) -> PlacementRow:
    return PlacementRow(placement_id, rank, "P01", "P01-APP-1", "APP", propensity, NOON + timedelta(days=7))


def decided(
    decision_id: str, *, customer_id: str = "C1", at: datetime = NOON, n_placements: int = 2, **given: Any
) -> DecisionRow:
    values: dict[str, Any] = {
        "channel": "APP", "release_id": "R1", "prices_version": "none", "segments_digest": "s", "decisions_digest": "d",
        "arm": "treated", "answer": '{"offers":[]}', "inputs": '{"facts":{"age":41}}',
    }  # fmt: skip
    placements = tuple(placed(f"{decision_id}.{rank}", rank=rank) for rank in range(1, n_placements + 1))
    return DecisionRow(decision_id, customer_id, at, **(values | {"placements": placements} | given))


def record_one_by_one(ledger: Ledger, n: int, accepted: list[Future[None]]) -> None:
    for i in range(n):
        accepted.append(ledger.record([decided(f"D{i}")]))


@pytest.fixture
def url(ledger_url: LedgerUrl, tmp_path: Path) -> str:
    return ledger_url(tmp_path)


def test_a_decision_reads_back_as_it_was_written(url: str, tmp_path: Path) -> None:
    at = datetime(2025, 12, 31, 4, 0, 0, 123457, tzinfo=UTC)
    first = decided("D1", at=at, answer='{"name":"定期存款"}')
    repeat = decided("D2", at=at + timedelta(hours=1), repeat_of="D1", is_degraded=True, is_fallback=True,
                     is_stale=True, n_placements=0)  # fmt: skip
    with opened(url, tmp_path) as ledger:
        ledger.record([first, repeat]).result()
        assert [ledger.decision(key).row for key in ("D1", "D2")] == [first, repeat]
        assert [ledger.decision(key).seq for key in ("D1", "D2")] == [1, 2]
        assert ledger.decision("D2").prev_hash == ledger.decision("D1").row_hash
        assert ledger.decision("D2").row_hash == ledger.head().row_hash
    with opened(url, tmp_path) as ledger:
        assert ledger.decision("D1").row == first
        with pytest.raises(NotFound, match="D3"):
            ledger.decision("D3")


def test_an_instant_survives_a_library_that_replaces_the_drivers_adapters(url: str, tmp_path: Path) -> None:
    """Feast registers an adapter that turns every datetime of the process into whole seconds."""
    at = datetime(2025, 12, 31, 4, 0, 0, 123457, tzinfo=UTC)
    before = sqlite3.adapters[(datetime, sqlite3.PrepareProtocol)]  # type: ignore[attr-defined]  # not in the stubs
    sqlite3.register_adapter(datetime, lambda value: int(value.timestamp()))
    try:
        with opened(url, tmp_path) as ledger:
            ledger.record([decided("D1", at=at)]).result()
            assert ledger.decision("D1").row.decided_at == at
    finally:
        sqlite3.register_adapter(datetime, before)


def test_decisions_that_wait_together_share_one_sync_to_disk(url: str, tmp_path: Path) -> None:
    commits: list[object] = []

    def count(connection: object) -> None:
        commits.append(connection)

    event.listen(Engine, "commit", count)
    with opened(url, tmp_path) as ledger:
        commits.clear()
        with write_lock_held(url):
            futures = [ledger.record([decided(f"D{i}")]) for i in range(100)]
            time.sleep(0.05)
            assert not any(future.done() for future in futures)
        for future in futures:
            future.result(10)
        n_commits = len(commits)
        event.remove(Engine, "commit", count)
        assert ledger.head().seq == 100
    assert n_commits <= 2  # the one that waited for the lock, and the ninety-nine behind it


def test_a_decision_of_a_known_id_fails_alone_and_the_chain_has_no_gap(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger:
        ledger.record([decided("D1")]).result()
        with write_lock_held(url):
            futures = [
                ledger.record([decided("D2")]),
                ledger.record([decided("D3"), decided("D1", n_placements=0)]),  # D3 falls with its batch
                ledger.record([decided("D4", placements=(placed("D1.1"),))]),  # a placement that D1 has
                ledger.record([decided("D5", answer="\ud800")]),  # text that no encoding carries
                ledger.record([decided("D6")]),
            ]
        errors = [future.exception(10) for future in futures]
        assert "C1" not in "".join(traceback.format_exception(errors[1]))  # no customer's data on its way to a log
        assert [type(error) for error in errors] == [
            type(None), AlreadyRecorded, AlreadyRecorded, UnicodeEncodeError, type(None)
        ]  # fmt: skip
        page = ledger.decisions(NOON, NOON + timedelta(days=1))
        assert [(item.row.decision_id, item.seq) for item in page.rows] == [("D1", 1), ("D2", 2), ("D6", 3)]
        assert ledger.verify().is_whole


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([decided("D1"), decided("D1", n_placements=0)], "decision_id"),
        ([decided("D1"), decided("D2", placements=(placed("D1.1"),))], "placement_id"),
        ([decided("")], "decision_id"),
        ([decided("D1", customer_id="")], "customer"),
        ([decided("D1", at=datetime(2025, 12, 31))], "zone"),
        ([decided("D1", placements=(placed("A", propensity=0.0),))], "propensity"),
        ([decided("D1", placements=(placed("A", propensity=float("nan")),))], "propensity"),
    ],
)
def test_rows_that_can_never_be_right_are_refused_at_once(
    url: str, tmp_path: Path, rows: list[DecisionRow], says: str
) -> None:
    with opened(url, tmp_path) as ledger:
        with pytest.raises(BadRequest, match=says):
            ledger.record(rows)
        assert ledger.head().seq == 0


def test_a_full_queue_refuses_and_what_it_had_accepted_is_written(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path, queue_max=5) as ledger:
        accepted: list[Future[None]] = []
        with write_lock_held(url), pytest.raises(Overloaded, match="up to 5"):
            record_one_by_one(ledger, 20, accepted)
        assert 5 <= len(accepted) <= 10  # five that wait, beside at most one group in the writer's hands
        assert not wait(accepted, 10).not_done
        assert ledger.head().seq == len(accepted)
        ledger.record([decided("after")]).result(10)


def full_disk(url: str, home: Path) -> Callable[[], object]:
    """Leave room for a few decisions; what ends it."""
    if url.startswith("sqlite"):

        def limit(connection: sqlite3.Connection, _: object) -> None:
            connection.execute("PRAGMA max_page_count = 120")

        event.listen(Pool, "connect", limit)
        return lambda: event.remove(Pool, "connect", limit)
    opened(url, home).close()
    change(
        url,
        """CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END$$""",
        "CREATE TRIGGER disk BEFORE INSERT ON decision FOR EACH ROW WHEN (new.seq > 20) EXECUTE FUNCTION no_room()",
    )
    return lambda: change(url, "DROP TRIGGER disk ON decision")


def test_a_full_disk_fails_what_it_cannot_hold_and_loses_nothing_it_answered(url: str, tmp_path: Path) -> None:
    """SQLite's own limit on pages raises the same error as a disk without room; so does a trigger in PostgreSQL."""
    make_room = full_disk(url, tmp_path)
    try:
        with opened(url, tmp_path) as ledger:
            acknowledged, refused = [], []
            for i in range(60):
                future = ledger.record([decided(f"D{i}", inputs="x" * 20_000)])
                (acknowledged if future.exception(10) is None else refused).append((f"D{i}", future))
            assert acknowledged
            assert refused
            assert {type(future.exception()) for _, future in refused} == {Unwritable}
    finally:
        make_room()
    with opened(url, tmp_path) as ledger:
        page = ledger.decisions(NOON, NOON + timedelta(days=1))
        assert [item.row.decision_id for item in page.rows] == [key for key, _ in acknowledged]
        ledger.record([decided("room-again")]).result(10)
        assert ledger.verify().is_whole


def test_closing_writes_what_is_queued_and_refuses_what_comes_later(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger:
        with write_lock_held(url):
            futures = [ledger.record([decided(f"D{i}")]) for i in range(10)]
            closing = threading.Thread(target=ledger.close)
            closing.start()
        closing.join(10)
        assert all(future.done() and future.exception() is None for future in futures)
        with pytest.raises(Closed):
            ledger.record([decided("late")])
    with opened(url, tmp_path) as ledger:
        assert ledger.head().seq == 10


def test_who_waits_five_seconds_for_another_process_is_told(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger:
        with write_lock_held(url):
            began = time.monotonic()
            error = ledger.record([decided("D1")]).exception(20)
            waited = time.monotonic() - began
        assert isinstance(error, Unwritable)
        assert 4.5 < waited < 8
        ledger.record([decided("D2")]).result(10)
        assert ledger.decision("D2").seq == 1


def test_reading_does_not_wait_for_a_writer(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger:
        ledger.record([decided("D1")]).result()
        with write_lock_held(url):
            began = time.monotonic()
            assert ledger.decision("D1").row.decision_id == "D1"
            assert ledger.recent(["C1"], NOON).at.size == 0
            assert time.monotonic() - began < 1  # the lock would have held it for five seconds


def test_pages_give_every_decision_of_a_span_once_in_order_of_time(url: str, tmp_path: Path) -> None:
    times = [NOON + timedelta(minutes=m) for m in (5, 1, 1, 3, 9, 1, 7, 0, 10)]
    with opened(url, tmp_path) as ledger:
        ledger.record([decided(f"D{i}", at=at) for i, at in enumerate(times)]).result()
        found, cursor = [], None
        while True:
            page = ledger.decisions(NOON + timedelta(minutes=1), NOON + timedelta(minutes=10), cursor, limit=2)
            found += [item.row.decision_id for item in page.rows]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == ["D1", "D2", "D5", "D3", "D0", "D6", "D4"]
        for forged in ("", "!!", "MTI=", "YS5i"):
            with pytest.raises(BadRequest, match="cursor"):
                ledger.decisions(NOON, NOON + timedelta(days=1), forged)


def test_the_first_decision_of_a_day_is_the_one_that_later_ones_repeat(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger:
        ledger.record(
            [
                decided("yesterday", at=NOON - timedelta(days=1)),
                decided("first", release_id="R2", at=NOON),
                decided("second", repeat_of="first", at=NOON + timedelta(hours=1)),
                decided("other", customer_id="C2", at=NOON + timedelta(hours=2)),
            ]
        ).result()
        found = ledger.first_decisions(["C1", "C2", "C3"], NOON, NOON + timedelta(hours=2))
        assert found == {"C1": FirstDecision("first", "R2", NOON)}


def test_placements_read_back_by_id_with_whose_they_are(url: str, tmp_path: Path) -> None:
    row = decided("D1", customer_id="C7")
    with opened(url, tmp_path) as ledger:
        ledger.record([row]).result()
        found = ledger.placements(["D1.2", "D1.1", "unknown"])
        assert {key: item.row for key, item in found.items()} == {slot.placement_id: slot for slot in row.placements}
        assert {(item.decision_id, item.customer_id) for item in found.values()} == {("D1", "C7")}


def test_the_latest_instant_is_the_last_thing_the_ledger_wrote(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger:
        assert ledger.latest_at() is None
        ledger.record([decided("D1", at=NOON + timedelta(seconds=3)), decided("D2")]).result()
        assert ledger.latest_at() == NOON + timedelta(seconds=3)
