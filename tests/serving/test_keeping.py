"""Decisions of requests that come at once: one transaction, a customer's turns, and a queue where the disk is slow."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from features.errors import BadRequest
from serving.desk.turns import Turns
from serving.ledger import AlreadyRecorded, Ledger, at_once
from tests.serving.clusters import Cluster
from tests.serving.ledgers import NOON, LedgerUrl, opened, write_lock_held
from tests.serving.test_ledger_decisions import decided

LATER = NOON + timedelta(hours=1)


@pytest.fixture
def url(ledger_url: LedgerUrl, tmp_path: Path) -> str:
    return ledger_url(tmp_path)


async def decide(ledger: Ledger, turns: Turns, decision_id: str, customer_id: str = "C1", **given: Any) -> None:
    """A request: look for the decision that it repeats, and keep its own."""
    await turns.begin([customer_id])
    try:
        first = ledger.moments_of([customer_id], before=LATER, on=NOON.date(), start=NOON)[customer_id].first
        repeat_of = None if first is None else first.decision_id
        rows = [decided(decision_id, customer_id=customer_id, repeat_of=repeat_of, **given)]
        if not ledger.record_at_once(rows):
            await asyncio.wrap_future(ledger.record(rows))
    finally:
        turns.end([customer_id])


def test_of_requests_about_one_customer_that_come_at_once_one_is_the_first_of_the_day(url: str, tmp_path: Path) -> None:
    async def main(ledger: Ledger) -> None:
        turns = Turns()
        others = [decide(ledger, turns, f"E{i}", f"C{i + 2}") for i in range(4)]
        await asyncio.gather(*[decide(ledger, turns, f"D{i}") for i in range(8)], *others)

    with opened(url, tmp_path) as ledger:
        asyncio.run(main(ledger))
        rows = {page.row.decision_id: page.row for page in ledger.decisions(NOON, LATER).rows}
        mine = [rows[f"D{i}"].repeat_of for i in range(8)]
        (first,) = [f"D{i}" for i in range(8) if mine[i] is None]
        assert set(mine) == {None, first}
        assert all(rows[f"E{i}"].repeat_of is None for i in range(4))
        assert ledger.verify().is_whole


def test_a_request_that_fails_is_told_so_and_the_others_are_kept(url: str, tmp_path: Path) -> None:
    async def main(ledger: Ledger) -> list[BaseException | None]:
        turns = Turns()
        given = {"D1": {}, "D2": {"answer": None}, "D3": {}}
        asked = [decide(ledger, turns, name, f"C{name}", **values) for name, values in given.items()]
        return await asyncio.gather(*asked, return_exceptions=True)

    with opened(url, tmp_path) as ledger:
        errors = asyncio.run(main(ledger))
        assert [error is None for error in errors] == [True, False, True]
        assert [row.row.decision_id for row in ledger.decisions(NOON, LATER).rows] == ["D1", "D3"]


def test_what_is_written_at_once_is_on_the_disk_and_in_the_chain(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with opened(url, tmp_path) as ledger:
        assert ledger.record_at_once([decided("D1"), decided("D2", n_placements=0)])
        with opened(url, tmp_path) as other:
            assert [row.row.decision_id for row in other.decisions(NOON, LATER).rows] == ["D1", "D2"]
        with pytest.raises(BadRequest):
            ledger.record_at_once([decided("D3"), decided("D3")])
        assert not ledger.record_at_once([decided("D3"), decided("D4", answer=None)])
        with pytest.raises(AlreadyRecorded):
            ledger.record([decided("D1", n_placements=0)]).result()
        assert (ledger.head().seq, ledger.verify().is_whole) == (2, True)


def test_a_transaction_that_could_not_be_undone_holds_nobody_up(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with opened(url, tmp_path) as ledger:
        assert ledger._daybook is not None
        ledger._daybook.connection.execute("BEGIN IMMEDIATE")
        ledger._daybook.insert([decided("D1")])
        asked = {"before": LATER, "on": NOON.date(), "start": NOON}
        assert ledger.moments_of(["C1"], **asked)["C1"].first is None  # nothing of it is entered
        ledger._daybook.connection.execute("BEGIN IMMEDIATE")
        assert [ledger.record_at_once([decided("D2")]) for _ in range(2)] == [False, True]
        with opened(url, tmp_path) as other:
            assert [row.row.decision_id for row in other.decisions(NOON, LATER).rows] == ["D2"]


def test_who_meets_another_writer_or_a_slow_disk_is_sent_to_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with opened(url, tmp_path) as ledger:
        with write_lock_held(url):
            assert ledger.record_at_once([decided("D0")])  # the ledger's own lock is none of the daybook's
        with write_lock_held(f"sqlite:///{tmp_path / 'ledger.daybook.db'}"):
            assert not ledger.record_at_once([decided("D1")])
        monkeypatch.setattr(at_once, "SLOW_SECONDS", 60.0)
        assert ledger.record_at_once([decided("D1")])
        monkeypatch.setattr(at_once, "SLOW_SECONDS", 0.0)
        assert ledger.record_at_once([decided("D2")])
        assert not ledger.record_at_once([decided("D3")])
        assert ledger.head().seq == 3


def test_the_moments_of_a_few_customers_are_those_of_many(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger:
        ledger.record([decided("D1"), decided("D2", at=NOON + timedelta(minutes=1))]).result()
        ledger.record([decided("D3", customer_id="C3", at=NOON + timedelta(minutes=2))]).result()
        asked = {"before": LATER, "on": NOON.date(), "start": NOON}
        few, many = ledger.moments_of(["C1", "C2", "C3", "C1"], **asked), ledger.moment(["C1", "C2", "C3"], **asked)
        assert (few["C1"].happened, few["C1"].closed) == ([], frozenset())
        assert [few[name].first for name in ("C1", "C3")] == [many.firsts["C1"], many.firsts["C3"]]
        assert few.keys() == {"C1", "C2", "C3"}
        assert few["C2"].first is None
        assert ledger.moments_of([], **asked) == {}


def test_a_server_is_asked_outside_a_transaction_so_that_it_plans_once(postgres: Cluster, tmp_path: Path) -> None:
    """A ROLLBACK after each question would throw away what the driver has prepared."""
    with opened(postgres.database(), tmp_path) as ledger:
        ledger.record([decided("D1")]).result()
        asked = {"before": LATER, "on": NOON.date(), "start": NOON}
        for _ in range(10):
            assert ledger.moments_of(["C1"], **asked)["C1"].first is not None
        with ledger._engines.asking() as cursor:
            assert cursor.connection.autocommit
            cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%tag_deletion%'")
            assert cursor.fetchone() == (1,)
        with ledger._engines.reading() as connection:
            assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "repeatable read"
