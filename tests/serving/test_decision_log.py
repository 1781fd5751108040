"""The list of decisions: all of a span once, in order, with propensities; of a book its own customers alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from serving.api.listings import LoggedDecisions
from tests.serving.conftest import Bank
from tests.serving.test_rights_api import change_key

PATH = "/v1/decisions"
MINE, OTHER = "C-USUAL", "C-WEALTHY"


def listed(bank: Bank, *, limit: int = 500, **given: str) -> list[dict[str, Any]]:
    """Every row of a span, page after page."""
    found, cursor = [], None
    while True:
        params = given | {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        answer = bank.ask("GET", PATH, role="scientist", params=params)
        assert answer.status_code == 200, answer.text
        LoggedDecisions.model_validate(answer.json())
        assert len(answer.json()["decisions"]) <= limit
        found += answer.json()["decisions"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_pages_end_to_end_are_every_decision_of_the_span_once_and_as_it_was_told(own_bank: Bank, limit: int) -> None:
    made = [
        own_bank.decide(customer, channel=channel) for customer in (MINE, OTHER, "C-YOUNG") for channel in ("APP", "RM")
    ]
    first, last = datetime.fromisoformat(made[1]["decided_at"]), datetime.fromisoformat(made[-1]["decided_at"])
    rows = listed(own_bank, limit=limit, **{"from": first.isoformat(), "to": last.isoformat()})
    assert [row["decision_id"] for row in rows] == [answer["decision_id"] for answer in made[1:-1]]
    for row, answer in zip(rows, made[1:-1], strict=True):
        assert (row["customer_id"], row["repeat_of"]) == (answer["customer_id"], answer.get("repeat_of"))
        slots = [(s["placement_id"], s["rank"], s["offer_id"], s["propensity"]) for s in row["placements"]]
        assert slots == [(o["placement_id"], o["rank"], o["offer_id"], o["propensity"]) for o in answer["offers"]]
        assert {"inputs", "answer"}.isdisjoint(row)


def test_a_dry_run_is_in_no_list(own_bank: Bank) -> None:
    kept = own_bank.decide()
    own_bank.decide(dry_run=True)
    at = datetime.fromisoformat(kept["decided_at"])
    span = {"from": (at - timedelta(days=1)).isoformat(), "to": (at + timedelta(days=1)).isoformat()}
    assert [row["decision_id"] for row in listed(own_bank, **span)] == [kept["decision_id"]]


def test_a_manager_is_told_the_decisions_about_his_own_customers(own_bank: Bank) -> None:
    made = {customer: own_bank.decide(customer) for customer in (MINE, OTHER)}
    change_key(own_bank.home, "rm", book=[MINE])
    own_bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI
    span = {"from": "2020-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"}
    rows = own_bank.ask("GET", PATH, role="rm", params=span).json()["decisions"]
    assert [row["decision_id"] for row in rows] == [made[MINE]["decision_id"]]


@pytest.mark.parametrize(
    ("params", "status", "slug"),
    [
        ({}, 422, "invalid-fields"),
        ({"from": "2026-01-01", "to": "yesterday"}, 422, "invalid-fields"),
        ({"from": "2026-01-01T00:00:00", "to": "2026-01-02T00:00:00Z"}, 422, "invalid-fields"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "limit": "0"}, 422, "invalid-fields"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "cursor": "abc"}, 422, "bad-request"),
    ],
)
def test_a_span_that_says_nothing_is_refused_and_told_why(
    bank: Bank, params: dict[str, str], status: int, slug: str
) -> None:
    answer = bank.ask("GET", PATH, params=params)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")
