"""Cells over HTTP: their figures, what a caller may see of them, and the people in them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from serving.api import listings
from tests.serving.conftest import Bank
from tests.serving.homes import AS_OF, CUSTOMERS, facts_of, write_profile

USUAL = "/v1/cells/MASS/GROWTH"
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
