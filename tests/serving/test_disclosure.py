"""What is shown of a customer is on a list; what is on none is shown to nobody, whatever the engine learns next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from decisioning.reasons import SENTENCES, sentence_of
from features.facts import FACTS
from features.vocabulary import Sensitivity
from serving.disclosure import CLEARED, OPEN, OPEN_REASONS, shown_to
from serving.key_file import ROLES
from serving.portrait.portraits import View
from serving.security import Actor
from tests.serving.conftest import Bank
from tests.serving.homes import CUSTOMERS, facts_of
from tests.serving.test_rights_api import change_key

# Said from the law's words (identity, property, account, loan, trade), not read from the list under test.
MONEY = {"mda", "aum_now", "mtd_mda", "next_tier_gap", "next_maturity_amount", "declared_income", "txn_amount_3m",
         "need_next_amount", "need_keep_amount", "is_near_next", "is_near_loss", "is_hot_money", "grade_score",
         "grade_aum", "value_12m", "value_exp", "has_dormant_account"}  # fmt: skip
IDENTITY = {"age", "gender", "id_doc_type"}
PROPERTY = {"held_products", "has_loan", "has_deposit", "has_wealth", "has_card", "risk_level", "n_holdings",
            "next_maturity_on", "next_loan_end_on", "days_since_salary", "overdue_days"}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("clearance", list(Sensitivity))
@pytest.mark.parametrize("network", ["internal", "external"])
def test_sensitive_facts_are_for_cleared_eyes_inside_alone(role: Any, clearance: Sensitivity, network: Any) -> None:
    shown = shown_to(Actor(role, clearance=clearance, network=network))
    is_cleared_inside = clearance >= Sensitivity.C2 and network == "internal"
    assert set(FACTS) >= MONEY | IDENTITY | PROPERTY
    assert (MONEY | IDENTITY | PROPERTY) & shown == (MONEY | IDENTITY | PROPERTY if is_cleared_inside else set())


def test_a_fact_that_no_list_names_is_shown_to_nobody() -> None:
    view = View({}, shown_to(Actor("compliance", clearance=Sensitivity.C2)))
    assert view.group({"pin": "pin_hash"}) == {}
    assert view.masked == {"pin_hash"}


def test_nothing_that_a_contract_calls_sensitive_is_open() -> None:
    declared = {name for name, fact in FACTS.items() if fact.sensitivity > Sensitivity.C1}
    assert OPEN.isdisjoint(declared)
    assert CLEARED.isdisjoint(name for name, fact in FACTS.items() if fact.sensitivity == Sensitivity.C3)


def test_from_outside_no_value_of_a_masked_fact_is_anywhere_in_the_answer(own_bank: Bank) -> None:
    change_key(own_bank.home, "rm", network="external")
    own_bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI
    portrait = own_bank.ask("GET", "/v1/customers/C-WEALTHY", role="rm").json()
    facts = facts_of("C-WEALTHY")
    hidden = {facts[name] for name in MONEY & set(facts) if facts[name] not in (None, 0, 0.0)} | {facts["age"]}
    told = {value for value in leaves(portrait) if isinstance(value, int | float) and not isinstance(value, bool)}
    assert hidden & told == set()
    assert MONEY & set(portrait["masked"])
    inside = own_bank.ask("GET", "/v1/customers/C-WEALTHY").json()
    assert hidden & set(leaves(inside))  # the test can fail: inside they are there


def leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        for child in node.values():
            yield from leaves(child)
    elif isinstance(node, list):
        for child in node:
            yield from leaves(child)
    else:
        yield node


# Said from the sentences: each tells what somebody owns, owes, is assessed at, or how old he is.
TELLING = {"HELD", "BELOW_MINIMUM", "RISK_TOO_HIGH", "RISK_FITS", "ASSESSMENT_EXPIRED", "NOT_QUALIFIED", "AGE_CAP",
           "UNDER_AGE", "OVERDUE", "RESTRICTED", "GATE", "OVERLAY_MATURITY", "OVERLAY_LOAN_END", "OVERLAY_NEAR_TIER",
           "OVERLAY_PAYDAY", "OVERLAY_PRIVATE"}  # fmt: skip


def test_reasons_that_tell_what_a_customer_owns_are_withheld_on_every_way_out(own_bank: Bank) -> None:
    asked = {"customer_id": "C-WEALTHY", "channel": "RM", "explain": "full"}
    inside = own_bank.ask("POST", "/v1/decisions", json=asked | {"dry_run": True}).json()
    assert codes_of(inside) & TELLING, "the test can fail: inside they are there"
    change_key(own_bank.home, "rm", network="external")
    own_bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI
    outside = own_bank.ask("POST", "/v1/decisions", role="rm", json=asked)
    path = f"/v1/decisions/{outside.json()['decision_id']}"
    answers = [outside, *(own_bank.ask("GET", place, role=role) for place in (path, f"{path}/explanation")
                          for role in ("rm", "scientist"))]  # fmt: skip
    told = {sentence_of(code).en for code in codes_of(inside) & TELLING}
    for answer in answers:
        assert answer.status_code == 200
        assert codes_of(answer.json()) & TELLING == set()
        assert not any(sentence in answer.text for sentence in told)
    withheld = [out for out in answers[-1].json()["suppressed"] if out["code"] == "WITHHELD"]
    assert len(withheld) == sum(out["code"] in TELLING for out in inside["suppressed"])
    assert {(out["filter"], out["until"]) for out in withheld} == {(None, None)}


def test_every_reason_is_either_open_or_tells_something_that_is_not() -> None:
    of_offers = {code for code in SENTENCES if code not in OPEN_REASONS} - {"WITHHELD"}
    about_the_list = {
        "CHALLENGER",
        "NO_CANDIDATE",
        "BELOW_FLOOR",
        "CLASS_ASSUMED",
        "STAGE_ASSUMED",
        "CONSENT_NOT_KEPT",
        "CONSENT_ATTESTED",
    }
    of_the_playbook = {code for code in of_offers if code.startswith(("OBJECTION_", "NEXT_"))}
    assert of_offers - about_the_list - of_the_playbook == TELLING


def codes_of(answer: Any) -> set[str]:
    return {reason["code"] for slot in answer["offers"] for reason in slot["reasons"]} | {
        out["code"] for out in answer.get("suppressed", ())
    }


@pytest.mark.parametrize("explain", ["reasons", "full"])
def test_one_customer_or_many_nobody_outside_is_told_what_somebody_owns(own_bank: Bank, explain: str) -> None:
    asked = {"channel": "RM", "limit": 5, "explain": explain}
    inside = [own_bank.ask("POST", "/v1/decisions", json=asked | {"customer_id": customer, "dry_run": True}).json()
              for customer in CUSTOMERS]  # fmt: skip
    assert {reason["code"] for one in inside for slot in one["offers"] for reason in slot["reasons"]} & TELLING
    change_key(own_bank.home, "rm", network="external")
    own_bank.client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI
    several = own_bank.ask("POST", "/v1/decisions", role="rm", json=asked | {"customer_ids": list(CUSTOMERS)}).json()
    alone = [own_bank.ask("POST", "/v1/decisions", role="rm", json=asked | {"customer_id": customer}).json()
             for customer in CUSTOMERS]  # fmt: skip
    for answer in (*several["decisions"], *alone):
        assert codes_of(answer) & TELLING == set()
        why = [text["en"] for slot in answer["offers"] for text in slot["playbook"]["why"]]
        assert not {sentence_of(code).en for code in TELLING} & set(why)


def test_a_tag_that_may_not_be_seen_is_in_no_explanation_and_no_timeline(own_bank: Bank) -> None:
    hidden = {name for name, tag in own_bank.desk.ground().segments.tags.items() if tag.sensitivity == Sensitivity.C2}
    decision = own_bank.decide("C-WEALTHY")["decision_id"]
    kept = own_bank.ask("GET", f"/v1/decisions/{decision}/explanation", role="rm").json()["facts"]["tags"]
    (tag, *_) = sorted(hidden & set(kept.split("|")))
    seen = own_bank.ask("GET", f"/v1/decisions/{decision}/explanation", role="scientist").json()["facts"]["tags"]
    assert hidden.isdisjoint(seen.split("|"))
    deleted = own_bank.ask("DELETE", f"/v1/customers/C-WEALTHY/tags/{tag}", role="rm")
    assert deleted.status_code == 200
    events = {role: own_bank.ask("GET", "/v1/customers/C-WEALTHY", role=role).json()["timeline"]
              for role in ("rm", "scientist")}  # fmt: skip
    assert [event["tag"] for event in events["rm"] if event["kind"] == "tag_deleted"] == [tag]
    assert [event for event in events["scientist"] if event["kind"] == "tag_deleted"] == []
