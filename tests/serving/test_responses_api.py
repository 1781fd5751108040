"""Responses over HTTP: each event counts once, a batch is all or nothing, and what was said at noon counts at noon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from serving.api.documents import Receipts
from tests.serving.conftest import Bank, open_bank
from tests.serving.homes import INSTANT

AT = INSTANT.isoformat()


def response(placement_id: str, outcome: str, *, event_id: str = "E1", **given: Any) -> dict[str, Any]:
    return {"event_id": event_id, "placement_id": placement_id, "outcome": outcome, "occurred_at": AT} | given


def send(bank: Bank, *rows: dict[str, Any]) -> Any:
    return bank.ask("POST", "/v1/responses", role="rm", json=list(rows))


def rows_of(bank: Bank, table: str) -> list[tuple[Any, ...]]:
    with bank.db() as db:
        return db.execute(f'SELECT * FROM "{table}"').fetchall()


@pytest.fixture
def fresh(home: Any) -> Iterator[Bank]:
    yield from open_bank(home)


def test_a_refusal_takes_its_offer_out_of_the_very_next_decision(fresh: Bank) -> None:
    first = fresh.decide(channel="RM")
    refused = first["offers"][0]
    assert send(fresh, response(refused["placement_id"], "refused")).status_code == 200
    second = fresh.decide(channel="RM", explain="full")
    assert refused["offer_id"] not in {slot["offer_id"] for slot in second["offers"]}
    codes = {out["offer_id"]: out["code"] for out in second["suppressed"]}
    assert codes[refused["offer_id"]] == "REFUSED"
    contacts = fresh.ask("GET", "/v1/customers/C-USUAL").json()["contacts"]
    assert contacts["n_refusals_90d"] == 1


def test_an_event_sent_again_is_answered_the_same_and_counts_once(fresh: Bank) -> None:
    row = response(fresh.decide()["offers"][0]["placement_id"], "refused", reason_code="RATE", note="太低")
    first, again = send(fresh, row), send(fresh, row)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
    assert len(rows_of(fresh, "response")) == 1
    receipt = Receipts.model_validate(first.json()).responses[0]
    assert (receipt.customer_id, receipt.case_id, receipt.do_not_call) == ("C-USUAL", None, None)


def test_an_event_sent_again_with_another_content_is_refused(fresh: Bank) -> None:
    placement = fresh.decide()["offers"][0]["placement_id"]
    send(fresh, response(placement, "refused"))
    told = send(fresh, response(placement, "accepted"))
    assert (told.status_code, told.json()["errors"][0]["code"]) == (422, "OTHER_BODY")
    assert [row[5] for row in rows_of(fresh, "response")] == ["refused"]


def test_one_bad_row_refuses_the_whole_batch(fresh: Bank) -> None:
    placement = fresh.decide()["offers"][0]["placement_id"]
    told = send(fresh, response(placement, "clicked"), response("p-none", "clicked", event_id="E2"))
    assert told.status_code == 422
    assert rows_of(fresh, "response") == []


def test_who_asks_at_the_counter_not_to_be_called_is_not_called_and_still_served(fresh: Bank) -> None:
    answer = fresh.decide(channel="RM")
    told = send(fresh, response(answer["offers"][0]["placement_id"], "dnc_requested")).json()
    assert told["responses"][0]["do_not_call"] == "CALL"
    after = fresh.decide(channel="CALL", explain="full")
    assert after["offers"] == []
    assert "DO_NOT_CALL" in {out["code"] for out in after["suppressed"]}
    assert fresh.ask("GET", "/v1/customers/C-USUAL").json()["contacts"]["do_not_call"] == ["CALL"]
    assert fresh.decide(channel="RM")["offers"]


def test_a_complaint_opens_a_case_and_silences_sales(fresh: Bank) -> None:
    answer = fresh.decide(channel="RM")
    told = send(fresh, response(answer["offers"][0]["placement_id"], "complained")).json()
    assert told["responses"][0]["case_id"]
    assert len(rows_of(fresh, "case")) == 1
    after = fresh.decide(channel="RM")
    catalogue = fresh.desk.rulebook().catalogue
    assert all(catalogue.is_care[catalogue.index[slot["offer_id"]]] for slot in after["offers"])
    assert fresh.ask("GET", "/v1/customers/C-USUAL").json()["contacts"]["n_open_complaints"] == 1


def test_an_event_of_the_future_is_refused_with_the_servers_instant(fresh: Bank) -> None:
    placement = fresh.decide()["offers"][0]["placement_id"]
    told = send(fresh, response(placement, "clicked", occurred_at="2026-07-01T00:00:00Z"))
    assert (told.status_code, told.json()["errors"][0]["code"]) == (422, "IN_FUTURE")
    assert INSTANT.isoformat()[:16] in told.json()["errors"][0]["message"]


@pytest.mark.parametrize("occurred_at", ["2025-12-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_an_event_before_its_placement_was_decided_is_refused(fresh: Bank, occurred_at: str) -> None:
    placement = fresh.decide()["offers"][0]["placement_id"]
    told = send(fresh, response(placement, "clicked", occurred_at=occurred_at))
    assert (told.status_code, told.json()["errors"][0]["code"]) == (422, "BEFORE_DECISION")
    assert INSTANT.isoformat()[:16] in told.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"outcome": "bought"}, "0.outcome"), ({"occurred_at": "2026-01-02T03:00:00"}, "0.occurred_at"),
     ({"colour": "red"}, "0.colour"), ({"event_id": ""}, "0.event_id"), ({"note": "x" * 2001}, "0.note")],
)  # fmt: skip
def test_a_row_that_breaks_its_shape_names_its_place_and_field(bank: Bank, change: dict[str, Any], field: str) -> None:
    told = send(bank, response("p-any", "clicked") | change)
    assert (told.status_code, told.json()["type"]) == (422, "/problems/invalid-fields")
    assert [error["field"] for error in told.json()["errors"]] == [field]


def test_an_empty_batch_and_one_beyond_a_thousand_are_refused(bank: Bank) -> None:
    assert send(bank).status_code == 422
    assert send(bank, *[response("p", "clicked", event_id=str(i)) for i in range(1001)]).status_code == 422
