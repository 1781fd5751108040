"""What is read over HTTP: the portrait, the matrix, the catalogue, health, and the document that describes it all."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from serving.api import documents, listings
from serving.errors import PROBLEM_JSON
from tests.serving.conftest import Bank
from tests.serving.homes import AS_OF, CUSTOMERS


def test_a_portrait_says_tier_grade_class_stage_holdings_contacts_standing_and_scores(bank: Bank) -> None:
    body = bank.ask("GET", "/v1/customers/C-WEALTHY").json()
    listings.Portrait.model_validate(body)
    thresholds = bank.desk.ground().segments.tiers.thresholds
    assert body["as_of"] == AS_OF.isoformat()
    assert body["cell"] == {"customer_class": "WEALTH", "stage": "GROWTH"}
    assert (body["tier"]["tier"], body["tier"]["state"], body["tier"]["since"]) == ("V4", "NORMAL", "2025-03-31")
    assert body["tier"]["next_tier"] == list(thresholds)[list(thresholds).index("V4") + 1]
    assert (body["stage"]["since"], body["stage"]["why"], body["stage"]["previous"]) == ("2025-06-30", "settled", "NEW")
    assert body["holdings"]["next_maturity_on"] == "2026-01-20"
    assert body["standing"]["days_to_maturity"] == 18
    assert 0 < body["scores"]["p_churn"] < 1
    assert 0 < body["scores"]["p_best"] < 1


@pytest.mark.parametrize("customer_id", CUSTOMERS)
def test_every_portrait_fits_its_document(bank: Bank, customer_id: str) -> None:
    listings.Portrait.model_validate(bank.ask("GET", f"/v1/customers/{customer_id}").json())


def test_the_matrix_lists_every_cell_of_the_policy_and_each_can_be_read_in_full(bank: Bank) -> None:
    rules = bank.desk.rulebook()
    cells = bank.ask("GET", "/v1/cells").json()["cells"]
    keys = [(cell["customer_class"], cell["stage"]) for cell in cells]
    assert sorted(keys) == sorted((name, str(stage)) for name, row in rules.policy.matrix.items() for stage in row)
    for class_id, stage in keys[::7]:
        card = bank.ask("GET", f"/v1/cells/{class_id}/{stage}").json()
        listings.CellCard.model_validate(card)
        listed = rules.policy.matrix[class_id][stage].products
        assert [product["product_id"] for product in card["products"]] == list(listed)
        assert card["hook"]["steps"] == [] or card["hook"]["steps"][0]["no"] == 1


@pytest.mark.parametrize("limit", [1, 7, 200])
def test_pages_of_offers_end_to_end_are_the_whole_catalogue_once(bank: Bank, limit: int) -> None:
    found, cursor = [], None
    while True:
        page = bank.ask("GET", "/v1/offers", params={"limit": limit} | ({"cursor": cursor} if cursor else {})).json()
        listings.OfferPage.model_validate(page)
        assert len(page["offers"]) <= limit
        found += [offer["offer_id"] for offer in page["offers"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == sorted(bank.desk.rulebook().policy.offers)


def test_health_of_data_names_what_answers_stand_on(bank: Bank) -> None:
    body = bank.ask("GET", "/v1/health/data").json()
    listings.DataHealth.model_validate(body)
    release = bank.desk.ground().release
    assert (body["release_id"], body["lineage"], body["age_days"]) == (release.id, "ltest", 2)
    assert (body["stale"], body["degraded"], body["champions"]) == (False, False, ["churn", "response"])
    assert body["decisions_digest"] == release.manifest["decisions_digest"]


def test_health_needs_no_key(bank: Bank) -> None:
    assert bank.client.get("/healthz").json() == {"status": "ok"}
    assert bank.client.get("/readyz").json()["release_id"] == bank.desk.ground().id


def operations(bank: Bank) -> list[tuple[str, str, dict[str, Any]]]:
    paths = bank.client.get("/openapi.json").json()["paths"]
    return [(method, path, said) for path, methods in paths.items() for method, said in methods.items()]


def test_the_document_names_every_problem_a_route_may_answer_with(bank: Bank) -> None:
    for method, path, said in operations(bank):
        statuses = set(said["responses"])
        if path.startswith("/v1/"):
            assert {"200", "401", "403", "422", "500", "503"} <= statuses, (method, path)
            assert said["security"] == [{"key": []}]
        if "{" in path:
            assert "404" in statuses
        if "requestBody" in said:
            assert {"400", "413", "415"} <= statuses
        for status, answer in said["responses"].items():
            if status != "200":
                assert answer["content"].keys() == {PROBLEM_JSON}


def test_the_document_has_a_shape_for_everything_it_refers_to(bank: Bank) -> None:
    document = bank.client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    wanted = {text.rsplit("/", 1)[1] for text in references(document)}
    assert wanted <= set(schemas)
    assert {"DecisionRequest", "Response", "Problem", "DecisionAnswer"} <= wanted


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [text for child in node.values() for text in references(child)]
    return [text for child in node for text in references(child)] if isinstance(node, list) else []


def test_answers_have_no_field_that_their_document_does_not_name(bank: Bank) -> None:
    """Shapes are for readers and are not run on the way out, so nothing else would notice a field left out of them."""
    decision = bank.decide(explain="full")
    pairs: list[tuple[type[BaseModel], Any]] = [
        (documents.DecisionAnswer, decision),
        (documents.Placement, decision["offers"][0]),
        (documents.Suppressed, decision["suppressed"][0]),
        (listings.Portrait, bank.ask("GET", "/v1/customers/C-USUAL").json()),
        (listings.DataHealth, bank.ask("GET", "/v1/health/data").json()),
        (listings.OfferEntry, bank.ask("GET", "/v1/offers").json()["offers"][0]),
        (listings.CellEntry, bank.ask("GET", "/v1/cells").json()["cells"][0]),
        (listings.CellCard, bank.ask("GET", "/v1/cells/MASS/GROWTH").json()),
        (documents.Explanation, bank.ask("GET", f"/v1/decisions/{decision['decision_id']}/explanation").json()),
    ]
    for shape, body in pairs:
        named = {field.alias or name for name, field in shape.model_fields.items()}
        assert set(body) <= named, shape.__name__
        assert {name for name, field in shape.model_fields.items() if field.is_required() and not field.alias} <= set(
            body
        )
        TypeAdapter(shape).validate_python(body)
