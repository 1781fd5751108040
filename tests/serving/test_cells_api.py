"""Cells over HTTP: their figures, what a caller may see of them, and the people in them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from features.policy import segments
from serving.api import listings
from tests.serving.conftest import Bank
from tests.serving.homes import AS_OF, CUSTOMERS, facts_of, write_profile

USUAL = "/v1/cells/MASS/GROWTH"
VARIANTS = Path(__file__).parents[2] / "decisioning" / "policy" / "variants.yaml"
IN_USUAL = sorted(who for who in CUSTOMERS if facts_of(who)["cell"] == "MASS/GROWTH")


def with_key(bank: Bank, role: str, **changes: Any) -> dict[str, str]:
    """Headers of a caller whose key says `changes` beside the role."""
    path = bank.home / "keys" / "keys.json"
    token = f"{role}-{sorted(changes)}"
    record = {"role": role, "sha256": hashlib.sha256(token.encode()).hexdigest(), "book": None, "clearance": "C2",
              "network": "internal"} | changes  # fmt: skip
    path.write_text(json.dumps({"keys": [*json.loads(path.read_text())["keys"], record]}))
    bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI
    return {"Authorization": f"Bearer {token}"}


def test_a_cell_has_the_size_and_money_of_the_people_in_it(bank: Bank) -> None:
    figures = bank.ask("GET", USUAL).json()["figures"]
    listings.CellFigures.model_validate(figures)
    assert figures["n_customers"] == len(IN_USUAL)
    assert figures["aum"] == pytest.approx(sum(facts_of(who)["mda"] for who in IN_USUAL))
    values = [value for who in IN_USUAL if (value := facts_of(who).get("value_12m")) is not None]
    assert figures["value"] == (pytest.approx(sum(values)) if values else None)
    assert (figures["response"]["n"], figures["response"]["share"]) == (0, None)
    assert [point["as_of"] for point in figures["trend"]] == [AS_OF.isoformat()]
    assert figures["masked"] == []


def test_the_cells_of_the_matrix_hold_every_customer_once(bank: Bank) -> None:
    cells = bank.ask("GET", "/v1/cells").json()["cells"]
    assert sum(cell["figures"]["n_customers"] for cell in cells) == len(CUSTOMERS)
    empty = next(cell for cell in cells if (cell["customer_class"], cell["stage"]) == ("SILVER", "LOST"))
    assert (empty["figures"]["n_customers"], empty["figures"]["aum"]) == (0, None)


@pytest.mark.parametrize("cell", ["WEALTH/GROWTH", "MASS/DORMANT", "SILVER/NEW"])
def test_a_cell_tells_what_differs_for_each_tier_once(bank: Bank, cell: str) -> None:
    told = bank.ask("GET", f"/v1/cells/{cell}").json()
    listings.CellCard.model_validate(told)
    policy = yaml.safe_load(VARIANTS.read_text("utf-8"))
    rows = next(iter(policy["classes"]["since"].values()))[told["customer_class"]]
    assert [tier for row in told["variants"] for tier in row["tiers"]] == list(segments().view(AS_OF).tiers.thresholds)
    products = [product["product_id"] for product in told["products"]]
    for row in told["variants"]:
        said = rows[row["band"]]
        assert (row["channels"], row["benefit"], row["hook"]) == (
            said["channels"], said["benefit"], told["hook"]["hook_id"],
        )  # fmt: skip
        leading = [product for product in said.get("leads", ()) if product in products]
        assert row["products"] == leading + [product for product in products if product not in leading]


@pytest.mark.parametrize(("language", "benefit"), [("zh", "机场贵宾厅"), ("en", "airport lounge")])
def test_the_page_of_a_cell_words_its_variants(bank: Bank, language: str, benefit: str) -> None:
    page = bank.ask("GET", f"/console/matrix/WEALTH/GROWTH?lang={language}", headers={"Accept": "text/html"}).text
    variants = page[page.index('id="variants"') : page.index('id="steps"')]
    assert all(word in variants for word in ("V0-V2", "V3-V4", "V5+", benefit))


def test_page_and_interface_tell_the_same_figures_of_every_cell(bank: Bank) -> None:
    """The scientist is cleared for C1: where a part is withheld a total would tell it, and is withheld too."""
    for role in ("rm", "scientist"):
        page = bank.ask("GET", "/console/matrix?measure=aum&format=json", role=role).json()
        told = {(cell["customer_class"], cell["stage"]): cell["figures"]
                for cell in bank.ask("GET", "/v1/cells", role=role).json()["cells"]}  # fmt: skip
        for cell in page["cells"]:
            figures = told[cell["customer_class"], cell["stage"]]
            names = ("n_customers", "aum", "response", "masked")
            assert [cell[name] for name in names] == [figures[name] for name in names]
        whole = sum(facts_of(who)["mda"] for who in CUSTOMERS)
        assert page["all"]["aum"] == (pytest.approx(whole) if role == "rm" else None)


def test_money_of_a_handful_is_not_for_those_without_clearance(bank: Bank) -> None:
    """The AUM of one person's cell is that person's AUM; a scientist is cleared for C1."""
    of_scientist = bank.ask("GET", "/v1/cells/WEALTH/GROWTH", role="scientist").json()["figures"]
    assert (of_scientist["n_customers"], of_scientist["aum"]) == (1, None)
    assert (of_scientist["trend"][0]["aum"], of_scientist["masked"]) == (None, ["aum", "value"])
    assert bank.ask("GET", "/v1/cells/WEALTH/GROWTH", role="rm").json()["figures"]["aum"] == 650_000.0


def test_from_outside_the_banks_network_the_same_money_is_withheld(own_bank: Bank) -> None:
    outside = with_key(own_bank, "rm", network="external")
    assert own_bank.client.get("/v1/cells/WEALTH/GROWTH", headers=outside).json()["figures"]["aum"] is None


def test_people_of_a_cell_come_page_by_page(bank: Bank) -> None:
    found, cursor = [], None
    while True:
        page = bank.ask(
            "GET", f"{USUAL}/customers", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        ).json()
        listings.CellPeople.model_validate(page)
        assert (len(page["customers"]) <= 2, page["as_of"]) == (True, AS_OF.isoformat())
        found += page["customers"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == IN_USUAL


def test_a_manager_sees_the_people_of_his_book_alone(own_bank: Bank) -> None:
    own = with_key(own_bank, "rm", book=["C-SILENT", "C-WEALTHY", "C-NOBODY"])
    assert own_bank.client.get(f"{USUAL}/customers", headers=own).json()["customers"] == ["C-SILENT"]
    figures = own_bank.client.get(USUAL, headers=own).json()["figures"]
    assert (figures["n_customers"], figures["aum"]) == (1, facts_of("C-SILENT")["mda"])
    nobody = with_key(own_bank, "leader", book=[])
    assert own_bank.client.get(f"{USUAL}/customers", headers=nobody).json()["customers"] == []
    assert own_bank.client.get(USUAL, headers=nobody).json()["figures"]["n_customers"] == 0
    assert own_bank.ask("GET", USUAL).json()["figures"]["n_customers"] == len(IN_USUAL), "books are kept apart"


@pytest.mark.parametrize("path", ["/v1/cells/NOBODY/GROWTH/customers", "/v1/cells/MASS/OLD/customers"])
def test_an_unknown_cell_has_no_people(bank: Bank, path: str) -> None:
    answer = bank.ask("GET", path)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-cell")


def test_a_cursor_that_was_not_given_out_is_refused(bank: Bank) -> None:
    assert bank.ask("GET", f"{USUAL}/customers", params={"cursor": "?"}).json()["type"] == "/problems/bad-cursor"


def test_a_home_without_the_profiles_has_no_figures_and_says_so(own_bank: Bank) -> None:
    path = write_profile(own_bank.home)
    path.with_suffix(".json").unlink()
    assert own_bank.ask("GET", USUAL).json()["figures"] is None
    answer = own_bank.ask("GET", f"{USUAL}/customers")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/missing-build")
