"""A policy judged by the ledger: the logged chance found again, rules that leave out, and a refusal by command."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from decisioning.policy import decisions
from features.bank.engines import open_bank
from features.bank.quarantine import receive
from serving import jobs
from serving.cli import app
from serving.models.evaluating import logged_choices
from tests.serving.conftest import Bank
from tests.serving.homes import INSTANT
from tests.training.habits import table_of
from training.judging.decision_log import DecisionLog, decision_log
from training.outcomes import arm_outcomes

LATER = INSTANT + timedelta(days=60)
EVERYBODY = ("C-USUAL", "C-WEALTHY", "C-YOUNG", "C-SILENT")


def with_bank_tables(home: Path) -> None:
    """The tables that outcomes are told from: who is a customer, and the catalogue of offers."""
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    people = pd.DataFrame({"customer_id": list(EVERYBODY), "registered_on": date(2020, 1, 1), "is_staff": False,
                           "is_restricted": False, "has_marketing_optout": False, "known_at": long_ago})  # fmt: skip
    offers = jobs.offer_rows(jobs.decisions_book(home), date(2025, 1, 1))
    receive(home, {"customer": table_of("customer", people), "offer": offers})


def log_of(bank: Bank, folder: Path, horizon: datetime = LATER) -> DecisionLog:
    bank.desk.ledger.export(folder)
    with open_bank(bank.home) as opened:
        return decision_log(opened, folder, horizon)


@pytest.fixture
def decided(own_bank: Bank) -> tuple[Bank, dict[str, Any]]:
    """Each customer decided on once; one of them again the same day, and once without being told."""
    with_bank_tables(own_bank.home)
    made = {customer: own_bank.decide(customer) for customer in EVERYBODY}
    own_bank.decide("C-USUAL", channel="RM")
    own_bank.decide("C-USUAL", dry_run=True)
    return own_bank, made


def test_the_same_policy_gives_every_logged_choice_the_chance_that_waslogged_choices(
    decided: tuple[Bank, dict[str, Any]], tmp_path: Path
) -> None:
    bank, made = decided
    log = log_of(bank, tmp_path)
    found = logged_choices(bank.desk, jobs.decisions_book(bank.home), log)
    assert found.n == len(made)
    assert found.target == pytest.approx(found.propensity, rel=1e-12)
    assert any(0 < chance < 1 for chance in found.propensity), "chance had a hand in it"
    first = {row["customer_id"]: row["offer_id"] for row in log.frame.to_dict("records")}
    assert first == {
        who: (answer["offers"][0]["offer_id"] if answer["offers"] else None) for who, answer in made.items()
    }


def test_without_exploration_the_judged_policy_is_certain(decided: tuple[Bank, dict[str, Any]], tmp_path: Path) -> None:
    bank, _ = decided
    folder = tmp_path / "draft"
    folder.mkdir()
    shipped = yaml.safe_load(
        (Path(jobs.__file__).parents[1] / "decisioning/policy/arbitration.yaml").read_text("utf-8")
    )
    shipped["exploration_amount"]["since"] = {date(1990, 1, 1): 0.0}
    (folder / "arbitration.yaml").write_text(yaml.safe_dump(shipped, allow_unicode=True), "utf-8")
    found = logged_choices(bank.desk, decisions(folder), log_of(bank, tmp_path / "export"))
    assert set(found.target) <= {0.0, 1.0}


def test_repeats_and_open_windows_are_left_out_by_rule_and_counted(
    decided: tuple[Bank, dict[str, Any]], tmp_path: Path
) -> None:
    bank, made = decided
    log = log_of(bank, tmp_path / "late")
    assert (len(log.frame), dict(log.excluded)) == (len(made), {"REPEAT": 1})
    early = log_of(bank, tmp_path / "early", INSTANT + timedelta(days=3))
    assert (len(early.frame), dict(early.excluded)) == (0, {"IMMATURE": len(made), "REPEAT": 1})


def test_rows_that_the_night_repaired_or_that_were_degraded_or_held_out_are_counted(
    decided: tuple[Bank, dict[str, Any]], tmp_path: Path
) -> None:
    """The export of such a night, as the ledger would write it."""
    bank, made = decided
    bank.desk.ledger.export(tmp_path)
    path = tmp_path / "decision" / "ledger.parquet"
    rows = pq.read_table(path).to_pylist()
    own = [row for row in rows if row["repeat_of"] is None]
    own[0]["is_degraded"] = True
    for place, change in ((1, {"arm": {"name": "HOLDOUT", "holdout": True}}), (2, {"end_propensity": None})):
        answer = json.loads(own[place]["answer"]) | change
        for slot in answer["offers"]:
            slot["propensity"] = None if place == 2 else slot["propensity"]
        own[place]["answer"] = json.dumps(answer)
    pq.write_table(pa.Table.from_pylist(own, schema=pq.read_schema(path)), path)
    with open_bank(bank.home) as opened:
        log = decision_log(opened, tmp_path, LATER)
    assert dict(log.excluded) == {"DEGRADED": 1, "HOLDOUT": 1, "NOT_DRAWN": 1}
    assert len(log.frame) == len(made) - 3


def test_an_answer_that_cites_the_first_placement_is_its_outcome(
    decided: tuple[Bank, dict[str, Any]], tmp_path: Path
) -> None:
    bank, made = decided
    buyer = next(who for who, answer in made.items() if len(answer["offers"]) > 1)
    for slot, event in ((0, "E-1"), (1, "E-2")):
        placement = made[buyer]["offers"][slot]["placement_id"]
        body = [{"event_id": event, "placement_id": placement, "outcome": "converted",
                 "occurred_at": made[buyer]["decided_at"]}]  # fmt: skip
        assert bank.ask("POST", "/v1/responses", json=body).status_code == 200
    outcomes = log_of(bank, tmp_path).frame.set_index("customer_id")["outcome"]
    assert outcomes.to_dict() == {who: float(who == buyer) for who in made}


def test_the_command_refuses_few_decisions_and_says_how_many_more(decided: tuple[Bank, dict[str, Any]]) -> None:
    bank, made = decided
    asked = ["evaluate", "--as-of", LATER.isoformat(), "--home", str(bank.home)]
    run = CliRunner().invoke(app, [*asked, "--json"])
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert (told["verdict"], told["ramp_share"], told["estimates"]) == ("no support", 0.05, {})
    assert told["n_needed"] > 0
    assert (told["support"]["n"], told["excluded"]) == (len(made), {"REPEAT": 1})
    shown = " ".join(CliRunner().invoke(app, asked).output.split())
    assert "no support" in shown
    assert "with exploration on" in shown
    assert "1 REPEAT" in shown


def test_what_randomised_tests_showed_is_told_by_category_and_at_both_horizons(tmp_path: Path) -> None:
    home = tmp_path / "home"
    jobs.simulate(home, customers=1_500, months=10, seed=3, last_on=jobs.LAST_SIMULATED,
                  progress=lambda what, share: None)  # fmt: skip
    run = CliRunner().invoke(app, ["arms", "--json", "--home", str(home)])
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert {(one["treatment"], one["days"]) for one in told["late"]["effects"]} == {
        (name, days) for name in ("PRICE", "SERVICE") for days in (30, 180)
    }
    with open_bank(home) as opened:
        counted = arm_outcomes(opened.tables, LATER).to_pandas().groupby("arm")["n"].sum()
    assert sum(share["n_treat"] for share in told["shares"]) <= counted["TREAT"]
    assert all(0 <= share["share"] <= 1 for share in told["shares"])
    shown = CliRunner().invoke(app, ["arms", "--home", str(home)]).output
    for words in ("What telling brings", "after 30 days", "after 180 days", "SERVICE"):
        assert words in shown
