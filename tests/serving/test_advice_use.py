"""Use of advice as the ledger tells it: what was decided, opened, acted on; the alert a month later."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from features.vocabulary import Outcome
from serving.cli import app
from serving.doctor import examine
from serving.month.month_end import STEPS, MonthEnd
from serving.settings import Clock
from tests.serving.conftest import Bank, open_bank
from tests.serving.homes import AS_OF, INSTANT

HTML = {"Accept": "text/html"}
A_MONTH_ON = INSTANT + timedelta(days=29, hours=12)
PEOPLE = ("C-USUAL", "C-WEALTHY", "C-YOUNG")


def advised(home: Path, answers: dict[str, Outcome]) -> None:
    """Decisions about PEOPLE at the home's instant, asked twice that day, and what came of them at once."""
    for bank in open_bank(home):
        for customer_id in PEOPLE:
            made = bank.decide(customer_id)
            assert made["offers"], customer_id
            assert bank.decide(customer_id)["repeat_of"] == made["decision_id"]  # repeats are no further advice
            if customer_id in answers:
                answer = {
                    "event_id": f"e-{customer_id}", "placement_id": made["offers"][-1]["placement_id"],
                    "outcome": str(answers[customer_id]), "occurred_at": made["decided_at"],
                    "actor": "rm-1",
                }  # fmt: skip
                assert bank.ask("POST", "/v1/responses", json=[answer]).status_code == 200


def use(home: Path, **settings: Any) -> tuple[dict[str, Any], str]:
    """The row of the response model a month later, and the page in English."""
    for bank in open_bank(home, as_of=A_MONTH_ON, **settings):
        page = bank.ask("GET", "/console/models/idle?lang=en", role="scientist", headers=HTML)
        assert page.status_code == 200
        (row,) = bank.ask("GET", "/console/models/idle?format=json", role="scientist").json()["models"]
        return row, page.text
    raise AssertionError("no bank was opened")


@pytest.mark.parametrize("left", [Outcome.PRESENTED, Outcome.SNOOZED, Outcome.ADVICE_WRONG])
def test_X11_advice_that_is_seen_and_left_makes_a_model_idle_and_the_page_says_so(home: Path, left: Outcome) -> None:
    advised(home, {"C-USUAL": left})
    told = STEPS["use"](MonthEnd(home, Clock(A_MONTH_ON), AS_OF))
    assert told["says"] == "response IDLE, 0 of 3 acted on"
    row, page = use(home)
    assert (row["model"], row["use"]) == ("response", "IDLE")
    assert [row[step] for step in ("n_advised", "n_opened", "n_acted", "n_converted")] == [3, 1, 0, 0]
    assert "Idle: nobody follows the advice of the model Response." in page
    assert 'role="alert"' in page


def test_X11_one_deed_in_three_is_use_and_a_conversion_counts_to_the_end(home: Path) -> None:
    advised(home, {"C-USUAL": Outcome.CONVERTED, "C-YOUNG": Outcome.REFUSED})
    row, page = use(home)
    assert (row["use"], row["share"]) == ("IN_USE", 2 / 3)
    assert [row[step] for step in ("n_advised", "n_opened", "n_acted", "n_converted")] == [3, 2, 2, 1]
    assert 'role="alert"' not in page


def test_advice_younger_than_a_month_is_not_judged_and_none_says_how_to_begin(own_bank: Bank) -> None:
    ask = {"role": "scientist", "headers": HTML}
    page = own_bank.ask("GET", "/console/models/idle?lang=en", **ask).text
    assert "It has given no advice yet." in page
    own_bank.decide("C-USUAL")
    (row,) = own_bank.ask("GET", "/console/models/idle?format=json", role="scientist").json()["models"]
    assert (row["use"], row["n_advised"]) == ("TOO_YOUNG", 1)


def test_decisions_on_rules_alone_stand_apart_from_those_of_models(tmp_path: Path) -> None:
    from tests.serving.homes import write_home

    home = tmp_path / "home"
    write_home(home, with_models=False)
    advised(home, {})
    row, page = use(home)
    assert (row["model"], row["use"]) == ("rules", "IDLE")
    assert examine(home)["advice"] == "rules TOO_YOUNG, 0 of 3 acted on"
    assert 'role="alert"' not in page  # no model is idle where there is none
    assert "The current release has no model" in page


def test_X11_the_doctor_raises_the_alert_and_changes_nothing(home: Path) -> None:
    assert examine(home)["advice"] == "nobody was advised yet"
    advised(home, {"C-USUAL": Outcome.PRESENTED})
    assert examine(home)["advice"] == "response TOO_YOUNG, 0 of 3 acted on"
    facts = home / "home.json"
    facts.write_text(json.dumps(json.loads(facts.read_text("utf-8")) | {"instant": A_MONTH_ON.isoformat()}), "utf-8")
    before = ledger_bytes(home)
    text = CliRunner().invoke(app, ["doctor", "--home", str(home)]).stdout
    assert "ALERT: less than 5% of the advice of response is followed in 30 days; response IDLE, 0 of 3" in text
    assert ledger_bytes(home) == before


def ledger_bytes(home: Path) -> bytes:
    return (home / "ledger.db").read_bytes()
