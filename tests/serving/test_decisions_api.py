"""Decisions over HTTP: kept before they are told, stated in full, repeated to the bit."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from decisioning.decide import decide
from decisioning.few import loops
from decisioning.inputs import Inputs, Recent
from decisioning.policy import decisions
from features import plain_rows
from features.policy import segments
from serving.api.documents import DecisionAnswer, DecisionAnswers, Explanation
from serving.desk.ground import catalogue_of
from serving.desk.records import plain
from serving.forests import leaves
from serving.ledger import DecisionRow, Unconfirmed
from serving.releases import current, cut, switch
from tests.serving.conftest import Bank, open_bank
from tests.serving.homes import CUSTOMERS, INSTANT, arrays_for, build, publish_rows, write_models
from training.fitted import FittedModel


def replayed(bank: Bank, decision_id: str) -> Any:
    return bank.ask("POST", f"/v1/decisions/{decision_id}/replay", role="auditor").json()


def n_decisions(bank: Bank) -> int:
    with bank.db() as db:
        return int(db.execute("SELECT count(*) FROM decision").fetchone()[0])


def test_a_decision_states_its_instant_release_cell_tier_and_what_each_offer_is_worth(bank: Bank) -> None:
    answer = bank.decide(limit=3)
    stated = DecisionAnswer.model_validate(answer)
    assert timedelta() <= stated.decided_at - INSTANT < timedelta(seconds=1)
    assert (stated.customer_id, stated.release_id) == ("C-USUAL", current(bank.home).id)
    assert (stated.cell.customer_class, stated.cell.stage, stated.tier, stated.grade) == ("MASS", "GROWTH", "V1", "B")
    assert stated.benefits == list(segments().view(INSTANT.date()).tiers.benefits["V1"])
    assert 1 <= len(stated.offers) <= 3
    assert [slot.rank for slot in stated.offers] == list(range(1, len(stated.offers) + 1))
    for slot in stated.offers:
        parts = slot.components
        gross = parts["uplift"] * parts["value"]
        worth = parts["lever"] * parts["context"] * max(gross, 0) + min(gross, 0) - parts["p"] * parts["reward"]
        assert slot.score == pytest.approx(worth - parts["cost"] - parts["shadow_price"], abs=1e-9)
        assert slot.reasons
        assert slot.propensity is not None


def test_the_answer_is_what_the_rules_and_the_champions_give_when_asked_directly(bank: Bank) -> None:
    """The oracle reads no row, ledger or cache: facts are written down here, models are read from their files."""
    answer = bank.decide("C-WEALTHY", limit=3)
    now = datetime.fromisoformat(answer["decided_at"])
    policy, known = decisions().view(now.date()), segments().view(build(bank.home).as_of)
    catalogue = catalogue_of(policy, known)
    facts = arrays_for("C-WEALTHY", on=now.date(), now=now)
    rows = [card.row() for card in catalogue.cards]
    offers = {
        name: np.array([row[name] for row in rows], dtype=object) for name in ("category", "role")
    } | {"reward_amount": np.array([float(row["reward_amount"]) for row in rows])}  # fmt: skip
    response = FittedModel.read(bank.home / "champions" / "response")
    churn = FittedModel.read(bank.home / "champions" / "churn")
    facts["p_churn"] = churn.score(churn.recipe.encode(facts))

    def p_at(channel: str) -> Any:
        return response.score_pairs(facts, offers | {"channel": np.full(catalogue.m, channel, dtype=object)})

    inputs = Inputs(
        customer_ids=("C-WEALTHY",), facts=facts, recent=Recent.of(), p=p_at(policy.arbitration.reference_channel),
        p_channel=p_at("APP"), uplift_share=np.full(catalogue.m, policy.arbitration.incremental_share),
        uplift_is_assumed=np.ones(catalogue.m, dtype=bool), channel="APP", limit=3, now=now, zone="Asia/Shanghai",
        consent_basis="none", release_id=answer["release_id"], epoch=current(bank.home).epoch, prices_version="none",
    )  # fmt: skip
    expected = plain(decide(inputs, catalogue, policy)[0])
    for name in ("cell", "tier", "arm", "no_action", "marks", "benefits"):
        assert answer[name] == expected[name]
    told = [{name: slot[name] for name in slot if name != "placement_id"} for slot in answer["offers"]]
    assert told == expected["offers"]


def test_a_decision_read_back_is_what_was_told(bank: Bank) -> None:
    answer = bank.decide()
    kept = bank.ask("GET", f"/v1/decisions/{answer['decision_id']}").json()
    assert kept == {name: value for name, value in answer.items() if name != "took_ms"}


def test_explain_says_more_with_each_level(bank: Bank) -> None:
    none, reasons, full = (bank.decide(explain=level) for level in ("none", "reasons", "full"))
    assert all(slot["reasons"] == [] and slot["playbook"] is None for slot in none["offers"])
    assert all(slot["reasons"] and slot["playbook"] for slot in reasons["offers"])
    assert "suppressed" not in reasons
    m = bank.desk.rulebook().catalogue.m
    assert 0 < len(full["suppressed"]) < m
    assert all(out["what_would_allow_it"]["zh"] and out["code"] and out["filter"] for out in full["suppressed"])
    offered = {slot["offer_id"] for slot in full["offers"]}
    assert offered.isdisjoint(out["offer_id"] for out in full["suppressed"])


def test_an_explanation_has_every_reason_against_and_the_facts_it_stands_on(bank: Bank) -> None:
    answer = bank.decide("C-RESTRICTED", explain="none")
    told = bank.ask("GET", f"/v1/decisions/{answer['decision_id']}/explanation", role="compliance").json()
    assert told["asked_by"] == "service"
    Explanation.model_validate(told)
    assert (answer["offers"], answer["no_action"]) == ([], True)
    assert told["facts"]["is_restricted"] == 1.0
    assert {out["filter"] for out in told["suppressed"]} == {"exclusion"}
    assert len(told["suppressed"]) == bank.desk.rulebook().catalogue.m


@pytest.mark.parametrize("customer_id", CUSTOMERS)
@pytest.mark.parametrize("channel", ["APP", "RM", "SMS"])
def test_a_decision_is_replayed_to_the_bit(bank: Bank, customer_id: str, channel: str) -> None:
    answer = bank.decide(customer_id, channel=channel, limit=5)
    again = replayed(bank, answer["decision_id"])
    assert (again["identical"], again["differences"]) == (True, [])
    assert again["release_id"] == answer["release_id"]


def test_a_stored_answer_that_was_changed_is_found_by_the_replay(own_bank: Bank) -> None:
    answer = own_bank.decide()
    with own_bank.db() as db:
        text = db.execute("SELECT answer FROM decision").fetchone()[0]
        score = answer["offers"][0]["score"]
        db.execute(
            "UPDATE decision SET answer = ?", (text.replace(repr(score), repr(np.nextafter(score, 1e9).item())),)
        )
    again = replayed(own_bank, answer["decision_id"])
    assert again["identical"] is False
    assert [difference["path"] for difference in again["differences"]] == ["offers[0].score"]


def test_a_replay_uses_the_release_that_decided_not_the_one_that_stands_now(own_bank: Bank, home: Path) -> None:
    first = own_bank.decide()
    release_again(own_bank, {"C-USUAL": {"mda": 1.0, "tier": "V0"}})
    second = own_bank.decide()
    assert (second["tier"], first["tier"]) == ("V0", "V1")
    assert replayed(own_bank, first["decision_id"])["identical"]
    assert replayed(own_bank, second["decision_id"])["identical"]


def test_a_switched_release_is_taken_up_without_restart_and_the_days_noise_stays(own_bank: Bank) -> None:
    first = own_bank.decide()
    new = release_again(own_bank, {"C-WEALTHY": {"mda": 5.0}})
    second = own_bank.decide()
    assert (first["release_id"] == new, second["release_id"]) == (False, new)
    assert second["repeat_of"] == first["decision_id"]
    assert [slot["score"] for slot in second["offers"]] == [slot["score"] for slot in first["offers"]]
    assert own_bank.client.get("/readyz").json() == {"status": "ready", "release_id": new}


def test_a_release_that_does_not_open_leaves_the_one_that_answers(own_bank: Bank) -> None:
    before = current(own_bank.home).id
    new = release_again(own_bank, {"C-WEALTHY": {"mda": 5.0}}, refresh=False)
    (own_bank.home / "releases" / new / "online.sqlite").write_bytes(b"torn")
    with pytest.raises(Exception, match="not the one released"):
        own_bank.desk.refresh()
    assert own_bank.decide()["release_id"] == before


def release_again(bank: Bank, changes: dict[str, Any], *, refresh: bool = True) -> str:
    """Publish changed rows, cut and switch, as the jobs do; the new release's id."""
    publish_rows(bank.home, at=INSTANT, changes=changes)
    champions = {name: bank.home / "champions" / name for name in ("response", "churn")}
    release = cut(
        bank.home, segments=segments(), decisions=decisions(), champions=champions, now=INSTANT, build=build(bank.home)
    )
    switch(bank.home, release)
    if refresh:
        bank.desk.refresh()
    return release.id


def test_the_first_decision_of_a_day_is_no_repeat_and_all_later_ones_name_it(own_bank: Bank) -> None:
    answers = [own_bank.decide(channel=channel) for channel in ("APP", "RM", "APP")]
    assert [answer["repeat_of"] for answer in answers] == [None, answers[0]["decision_id"], answers[0]["decision_id"]]
    assert own_bank.decide("C-YOUNG")["repeat_of"] is None


def test_a_dry_run_writes_nothing_and_has_no_ids(own_bank: Bank) -> None:
    real = own_bank.decide("C-WEALTHY")
    dry = own_bank.decide(dry_run=True)
    assert (dry["decision_id"], {slot["placement_id"] for slot in dry["offers"]}) == (None, {None})
    assert n_decisions(own_bank) == 1
    assert own_bank.decide()["repeat_of"] is None
    assert real["decision_id"] is not None


def test_neither_a_dry_run_nor_a_replay_leaves_a_row_that_could_be_learnt_from(own_bank: Bank, tmp_path: Path) -> None:
    real = own_bank.decide("C-WEALTHY")
    before = own_bank.desk.ledger.export(tmp_path)
    own_bank.decide(dry_run=True)
    assert replayed(own_bank, real["decision_id"])["identical"]
    assert own_bank.desk.ledger.export(tmp_path) == before
    assert before["decision"] == 1


def test_many_customers_are_answered_in_order_and_each_unknown_one_has_its_problem(bank: Bank) -> None:
    ids = ["C-YOUNG", "C-NOBODY", "C-USUAL", "C-WEALTHY", "C-SILENT"]
    response = bank.ask("POST", "/v1/decisions", json={"customer_ids": ids, "channel": "APP", "limit": 2})
    answers = DecisionAnswers.model_validate(response.json())
    assert [one.customer_id for one in answers.decisions] == ["C-YOUNG", "C-USUAL", "C-WEALTHY", "C-SILENT"]
    assert [(e.customer_id, e.problem.type) for e in answers.errors] == [("C-NOBODY", "/problems/unknown-customer")]
    for one in response.json()["decisions"]:
        assert replayed(bank, one["decision_id"])["identical"]


def test_a_batch_decides_as_one_by_one(bank: Bank) -> None:
    """Batch and single call score the same matrix rows; the ranking may not depend on who stands beside."""
    together = bank.ask(
        "POST", "/v1/decisions", json={"customer_ids": list(CUSTOMERS), "channel": "APP", "dry_run": True}
    ).json()["decisions"]
    for one in together:
        alone = bank.decide(one["customer_id"], dry_run=True)
        assert alone["offers"] == [slot | {"expires_at": alone["offers"][0]["expires_at"]} for slot in one["offers"]]


def test_every_decision_told_is_in_the_ledger_when_many_ask_at_once(own_bank: Bank) -> None:
    told: list[str] = []

    def ask() -> None:
        told.extend(own_bank.decide("C-USUAL")["decision_id"] for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(told)) == 40
    with own_bank.db() as db:
        kept = {row[0] for row in db.execute("SELECT decision_id FROM decision")}
    assert kept == set(told)


def test_decisions_that_the_disk_did_not_confirm_are_not_told_and_not_made_again(
    own_bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def unconfirmed(rows: Sequence[DecisionRow]) -> bool:
        asked.append(len(rows))
        raise Unconfirmed("the ledger's database did not confirm that it wrote")

    monkeypatch.setattr(own_bank.desk.ledger, "record_at_once", unconfirmed)
    answer = own_bank.ask("POST", "/v1/decisions", json={"customer_id": "C-USUAL", "channel": "APP"})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/ledger-unconfirmed")
    assert asked == [1]
    assert n_decisions(own_bank) == 0


def test_what_cannot_be_kept_at_once_is_kept_by_the_queue_before_it_is_told(
    own_bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_bank.desk.ledger, "record_at_once", lambda rows: False)
    own_bank.decide("C-USUAL")
    assert n_decisions(own_bank) == 1


def test_the_same_idempotency_key_gives_the_same_bytes_and_another_body_is_refused(own_bank: Bank) -> None:
    asked = {"customer_id": "C-USUAL", "channel": "APP"}
    key = {"Idempotency-Key": "order-7"}
    first = own_bank.ask("POST", "/v1/decisions", json=asked, headers=key)
    again = own_bank.ask("POST", "/v1/decisions", json=asked, headers=key)
    assert (again.status_code, again.content) == (200, first.content)
    assert n_decisions(own_bank) == 1
    other = own_bank.ask("POST", "/v1/decisions", json=asked | {"limit": 1}, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/other-body")
    leader = own_bank.ask("POST", "/v1/decisions", role="leader", json=asked, headers=key)
    assert leader.json()["decision_id"] != first.json()["decision_id"]


def test_a_key_whose_request_failed_may_be_used_again(own_bank: Bank) -> None:
    key = {"Idempotency-Key": "order-8"}
    refused = own_bank.ask("POST", "/v1/decisions", json={"customer_id": "C-NOBODY", "channel": "APP"}, headers=key)
    assert refused.status_code == 404
    again = own_bank.ask("POST", "/v1/decisions", json={"customer_id": "C-NOBODY", "channel": "APP"}, headers=key)
    assert again.status_code == 404


def test_a_key_that_is_still_being_worked_on_is_409(own_bank: Bank) -> None:
    import hashlib

    body = json.dumps({"customer_id": "C-USUAL", "channel": "APP"}).encode()
    own_bank.desk.ledger.begin("service", "POST /v1/decisions", "order-9", hashlib.sha256(body).hexdigest())
    head = {"Idempotency-Key": "order-9", "Content-Type": "application/json"}
    response = own_bank.ask("POST", "/v1/decisions", content=body, headers=head)
    assert (response.status_code, response.json()["type"]) == (409, "/problems/still-running")


def test_without_champions_decisions_are_answered_by_rules_and_say_so(tmp_path: Path, home: Path) -> None:
    release = cut(home, segments=segments(), decisions=decisions(), champions={}, now=INSTANT, build=build(home))
    switch(home, release)
    for bank in open_bank(home):
        answer = bank.decide()
        assert (answer["degraded"], answer["fallback"]) == (True, True)
        assert answer["offers"]
        assert replayed(bank, answer["decision_id"])["identical"]


def test_rows_that_outlived_their_view_are_said_to_be_stale(home: Path) -> None:
    for bank in open_bank(home, as_of=INSTANT + timedelta(days=10)):  # the day view lives three days
        answer = bank.decide()
        assert answer["stale"] is True
        assert replayed(bank, answer["decision_id"])["identical"]
        assert bank.ask("GET", "/v1/customers/C-USUAL").json()["stale"] is True


def test_a_server_started_again_decides_after_what_it_wrote(written_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(written_home, home)
    instants = []
    for _ in range(2):
        for bank in open_bank(home):
            instants += [bank.decide()["decided_at"] for _ in range(3)]
    assert instants == sorted(set(instants))


def test_models_written_twice_are_the_same_files(written_home: Path, tmp_path: Path) -> None:
    """The home's champions are deterministic, so that the oracle above reads what the release was cut from."""
    again = write_models(tmp_path)
    for name, folder in again.items():
        assert (folder / "model.txt").read_bytes() == (written_home / "champions" / name / "model.txt").read_bytes()


def test_no_request_waits_for_a_compiler(own_bank: Bank) -> None:
    """Opening the release called each kernel with the kinds of arrays that requests have, so that none compiles one."""
    kernels: Any = (leaves.scores, leaves.all_scores, loops.weighed, plain_rows._decoded)
    compiled = [len(kernel.signatures) for kernel in kernels]
    assert min(compiled) > 0
    for channel in ("RM", "APP", "SMS"):
        own_bank.decide(channel=channel)
        several = {"customer_ids": [*CUSTOMERS, *(f"C-NOBODY-{place}" for place in range(20))], "channel": channel}
        assert own_bank.ask("POST", "/v1/decisions", json=several).status_code == 200
    assert [len(kernel.signatures) for kernel in kernels] == compiled
    assert compiled[2:] == [1, 1]  # nor did a night of another test, in this process, ask with others
