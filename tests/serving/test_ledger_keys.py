"""The same request sent twice is done once, whatever happens between the two."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.errors import NotFound
from serving.ledger import (
    AlreadyRecorded,
    Claim,
    DecisionRow,
    Finish,
    Ledger,
    OtherBody,
    StillRunning,
    StoredAnswer,
    idempotency,
)
from tests.serving.ledgers import NOON, LedgerUrl, opened

ROUTE = "POST /v1/decisions"


@pytest.fixture
def ledger(ledger_url: LedgerUrl, tmp_path: Path) -> Iterator[Ledger]:
    with opened(ledger_url(tmp_path), tmp_path) as ledger:
        yield ledger


def decided(decision_id: str) -> DecisionRow:
    return DecisionRow(decision_id, "C1", NOON, "APP", "R1", "none", "s", "d", "treated", "{}", "{}")


def claimed(ledger: Ledger, *, key: str = "k1", body: str = "b1", actor: str = "app") -> Claim:
    claim = ledger.begin(actor, ROUTE, key, body)
    assert isinstance(claim, Claim)
    return claim


def test_a_key_is_running_until_it_is_done_and_then_answers_the_same(ledger: Ledger) -> None:
    claim = claimed(ledger)
    with pytest.raises(StillRunning, match="k1"):
        ledger.begin("app", ROUTE, "k1", "b1")
    ledger.finish(claim, 200, '{"decision_id":"D1"}')
    for _ in range(3):
        assert ledger.begin("app", ROUTE, "k1", "b1") == StoredAnswer(200, '{"decision_id":"D1"}')


def test_a_key_with_another_body_is_refused_while_it_runs_and_after(ledger: Ledger) -> None:
    claim = claimed(ledger)
    with pytest.raises(OtherBody, match="k1"):
        ledger.begin("app", ROUTE, "k1", "b2")
    ledger.finish(claim, 200, "{}")
    with pytest.raises(OtherBody, match="k1"):
        ledger.begin("app", ROUTE, "k1", "b2")


def test_keys_of_two_actors_or_two_routes_are_two_keys(ledger: Ledger) -> None:
    claimed(ledger)
    claimed(ledger, actor="console")
    assert isinstance(ledger.begin("app", "POST /v1/plans", "k1", "b2"), Claim)


def test_the_answer_is_kept_with_the_decisions_or_not_at_all(ledger: Ledger) -> None:
    ledger.record([decided("D1")]).result()
    claim = claimed(ledger)
    with pytest.raises(AlreadyRecorded):
        ledger.record([decided("D2"), decided("D1")], finish=Finish(claim, 200, "never")).result()
    with pytest.raises(StillRunning):
        ledger.begin("app", ROUTE, "k1", "b1")
    with pytest.raises(NotFound):
        ledger.decision("D2")
    ledger.record([decided("D3")], finish=Finish(claim, 200, "answer")).result()
    assert ledger.begin("app", ROUTE, "k1", "b1") == StoredAnswer(200, "answer")
    assert ledger.decision("D3").seq == 2


def test_a_claim_given_back_can_be_taken_at_once(ledger: Ledger) -> None:
    ledger.abandon(claimed(ledger))
    assert claimed(ledger, body="b2").attempt == 1


def test_a_claim_of_a_dead_process_is_taken_over_and_cannot_answer_later(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = claimed(ledger)
    monkeypatch.setattr(idempotency, "CLAIM_SECONDS", 0)
    second = claimed(ledger)
    assert (first.attempt, second.attempt) == (1, 2)
    with pytest.raises(StillRunning, match="taken over"):
        ledger.record([decided("late")], finish=Finish(first, 200, "late")).result()
    ledger.abandon(first)
    ledger.record([decided("D1")], finish=Finish(second, 200, "answer")).result()
    ledger.abandon(second)
    assert ledger.begin("app", ROUTE, "k1", "b1") == StoredAnswer(200, "answer")
    with pytest.raises(NotFound):
        ledger.decision("late")
    assert ledger.verify().is_whole


def test_of_eight_threads_with_one_key_one_works(ledger: Ledger) -> None:
    found: list[object] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        try:
            claim = ledger.begin("app", ROUTE, "k1", "b1")
            found.append(type(claim))
        except StillRunning:
            found.append(StillRunning)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kind.__name__ for kind in found if isinstance(kind, type)) == ["Claim"] + ["StillRunning"] * 7
