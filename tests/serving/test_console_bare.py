"""The console of a home that lacks something: months, models, a release. It says what is missing and does not fail."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.serving.conftest import Bank, open_bank

HTML = {"Accept": "text/html"}


def without_months(bank: Bank) -> Bank:
    """The same bank on a server that was given the release alone."""
    shutil.rmtree(bank.home / "profiles")
    return bank


def test_without_monthly_profiles_the_matrix_says_so_and_a_cell_still_tells_its_plan(own_bank: Bank) -> None:
    bank = without_months(own_bank)
    page = bank.ask("GET", "/console/matrix?lang=en", headers=HTML)
    assert (page.status_code, "No monthly profiles are kept here" in page.text) == (200, True)
    data = bank.ask("GET", "/console/matrix?format=json").json()
    assert (data["as_of"], data["moves"], data["all"]["n_customers"]) == (None, {}, 0)
    cell = bank.ask("GET", "/console/matrix/MASS/GROWTH?lang=en", headers=HTML)
    goal = bank.desk.rulebook().policy.matrix["MASS"]["GROWTH"].goal  # type: ignore[index]  # a stage is its text
    assert (cell.status_code, goal in cell.text) == (200, True)
    people = bank.ask("GET", "/console/matrix/MASS/GROWTH/people?format=json").json()
    assert people["people"] == []


def test_a_customer_without_a_past_has_a_page(own_bank: Bank) -> None:
    page = without_months(own_bank).ask("GET", "/console/customers/C-WEALTHY?lang=en", headers=HTML)
    assert (page.status_code, "No earlier months." in page.text) == (200, True)


def test_without_a_release_a_page_says_that_nothing_is_released(home: Path) -> None:
    shutil.rmtree(home / "releases")
    for bank in open_bank(home):
        page = bank.client.get("/console/login")
        key = {"key": bank.keys["marketing"]}
        bank.client.post("/console/login", data=key, headers={"Sec-Fetch-Site": "same-origin"}, follow_redirects=False)
        page = bank.client.get("/console/matrix?lang=en", headers=HTML)
        assert (page.status_code, "Nothing has been released" in page.text) == (503, True)
        assert "还没有任何发布" in bank.client.get("/console/matrix?lang=zh", headers=HTML).text
        assert page.headers["content-security-policy"].startswith("default-src 'self'")


def test_a_body_of_a_form_is_taken_by_the_console_alone(bank: Bank) -> None:
    sent = {"data": {"customer_id": "C-USUAL"}}
    assert bank.ask("POST", "/v1/decisions", **sent).status_code == 415
    assert bank.ask("POST", "/v1/responses", **sent).status_code == 415
