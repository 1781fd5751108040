"""Every route asks who calls, and answers each role as an independent reading of its work expects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.key_file import ROLES
from tests.serving.conftest import Bank
from tests.serving.homes import INSTANT

DECIDERS = {"marketing", "rm", "leader", "service"}
REPLAYERS = {"compliance", "scientist", "auditor"}
OPERATORS = {"marketing", "compliance", "scientist", "auditor", "service"}
ALL = set(ROLES)
# Said from what each role does, not read from the table under test.
EXPECTED: dict[tuple[str, str], set[str]] = {
    ("POST", "/v1/decisions"): DECIDERS,
    ("GET", "/v1/decisions"): ALL,
    ("GET", "/v1/decisions/{decision_id}"): ALL,
    ("GET", "/v1/decisions/{decision_id}/explanation"): ALL,
    ("POST", "/v1/decisions/{decision_id}/replay"): REPLAYERS,
    ("POST", "/v1/responses"): DECIDERS,
    ("GET", "/v1/customers/{customer_id}"): ALL,
    ("DELETE", "/v1/customers/{customer_id}/tags/{tag}"): DECIDERS | {"compliance"},
    ("PUT", "/v1/customers/{customer_id}/consents"): {"compliance", "rm", "leader", "service"},
    ("GET", "/v1/cells"): ALL,
    ("GET", "/v1/cells/{customer_class}/{stage}"): ALL,
    ("GET", "/v1/cells/{customer_class}/{stage}/customers"): ALL,
    ("GET", "/v1/offers"): ALL,
    ("GET", "/v1/health/data"): OPERATORS,
}
DAY = {"from": "2026-01-02T00:00:00Z", "to": "2026-01-03T00:00:00Z"}  # what the list of decisions must be told
FILLED = {"customer_id": "C-USUAL", "customer_class": "MASS", "stage": "GROWTH", "tag": "effective"}


def routes(bank: Bank) -> Iterator[tuple[str, str]]:
    for path, operations in bank.client.get("/openapi.json").json()["paths"].items():
        for method in operations:
            yield method.upper(), path


def body_of(method: str, path: str, placement_id: str) -> Any:
    if method == "GET":
        return None
    if path == "/v1/decisions":
        return {"customer_id": "C-USUAL", "channel": "APP", "dry_run": True}
    at = INSTANT.isoformat()
    if path.endswith("/consents"):
        word = {"consent_id": "W-rights", "purpose": "RESEARCH", "is_granted": False, "occurred_at": at}
        return {"consents": [word]}
    if path != "/v1/responses":
        return None
    return [{"event_id": "E-rights", "placement_id": placement_id, "outcome": "presented", "occurred_at": at}]


def test_the_table_of_expectations_names_every_route_that_needs_an_actor(bank: Bank) -> None:
    open_to_all = {("GET", "/healthz"), ("GET", "/readyz")}
    assert set(routes(bank)) == set(EXPECTED) | open_to_all


@pytest.mark.parametrize(("method", "path"), EXPECTED)
def test_a_route_answers_the_roles_whose_work_it_is_and_no_other(bank: Bank, method: str, path: str) -> None:
    decision = bank.decide()
    filled = path.format(decision_id=decision["decision_id"], **FILLED)
    body, params = body_of(method, path, decision["offers"][0]["placement_id"]), DAY if method == "GET" else None
    statuses = {role: bank.ask(method, filled, role=role, json=body, params=params).status_code for role in ROLES}
    assert statuses == {role: 200 if role in EXPECTED[method, path] else 403 for role in ROLES}


@pytest.mark.parametrize(("method", "path"), EXPECTED)
@pytest.mark.parametrize("header", [None, "Bearer x", "Basic YTpi", "Bearer "])
def test_a_route_without_a_valid_key_is_401_before_anything_else(
    bank: Bank, method: str, path: str, header: str | None
) -> None:
    filled = path.format(decision_id="d-none", **FILLED | {"customer_id": "C-NOBODY"})
    response = bank.client.request(method, filled, headers={"Authorization": header} if header else {})
    assert (response.status_code, response.json()["type"]) == (401, "/problems/no-key")


def test_a_manager_reaches_the_customers_of_his_book_alone(own_bank: Bank) -> None:
    placement = own_bank.decide("C-WEALTHY")["offers"][0]["placement_id"]
    foreign = own_bank.decide("C-WEALTHY")["decision_id"]
    limit_book(own_bank.home, "rm", ["C-USUAL"])
    own_bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI

    def status(method: str, path: str, **given: Any) -> int:
        return own_bank.ask(method, path, role="rm", **given).status_code

    def asked(*ids: str) -> dict[str, Any]:
        return {"customer_ids": list(ids), "channel": "RM"}

    assert status("GET", "/v1/customers/C-USUAL") == 200
    assert status("GET", "/v1/customers/C-WEALTHY") == 403
    assert status("GET", "/v1/customers/C-NOBODY") == 403  # whether he exists is not told either
    assert status("GET", f"/v1/decisions/{foreign}") == 403
    assert status("POST", "/v1/decisions", json={"customer_id": "C-WEALTHY", "channel": "RM"}) == 403
    answers = own_bank.ask("POST", "/v1/decisions", role="rm", json=asked("C-WEALTHY", "C-USUAL")).json()
    assert [decision["customer_id"] for decision in answers["decisions"]] == ["C-USUAL"]
    assert [(e["customer_id"], e["problem"]["status"]) for e in answers["errors"]] == [("C-WEALTHY", 403)]
    row = {"event_id": "E", "placement_id": placement, "outcome": "refused", "occurred_at": "2026-01-01T03:00:00Z"}
    assert status("POST", "/v1/responses", json=[row]) == 403


def test_amounts_age_and_risk_are_masked_for_who_is_not_cleared_or_outside(own_bank: Bank) -> None:
    path = "/v1/customers/C-USUAL"
    decision = own_bank.decide()["decision_id"]
    cleared, uncleared = own_bank.ask("GET", path).json(), own_bank.ask("GET", path, role="scientist").json()
    assert cleared["masked"] == []
    assert cleared["tier"]["mda"] == 42_000.0
    assert {"mda", "age", "next_tier_gap", "risk_level", "aum_now"} <= set(uncleared["masked"])
    assert "mda" not in uncleared["tier"]
    assert "age" not in uncleared["standing"]
    assert uncleared["tier"]["tier"] == "V1"
    facts = own_bank.ask("GET", f"/v1/decisions/{decision}/explanation", role="scientist").json()["facts"]
    assert {"mda", "age"}.isdisjoint(facts)
    assert facts["tier"] == "V1"
    change_key(own_bank.home, "rm", network="external")
    own_bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI
    assert own_bank.ask("GET", path, role="rm").json()["masked"] == uncleared["masked"]


def limit_book(home: Path, role: str, customers: list[str]) -> None:
    change_key(home, role, book=customers)


def change_key(home: Path, role: str, **changes: Any) -> None:
    path = home / "keys" / "keys.json"
    records = json.loads(path.read_text())["keys"]
    path.write_text(json.dumps({"keys": [r | changes if r["role"] == role else r for r in records]}))
