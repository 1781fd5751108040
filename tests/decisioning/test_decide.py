"""What one decision says: channels, requests, strangers, tools, marks, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from decisioning.catalogue.catalogue import Catalogue
from decisioning.decide import decide
from decisioning.inputs import Inputs, Recent
from features.errors import BadPolicy, BadRequest
from serving.desk.records import plain
from tests.decisioning.builders import NOON, codes, decided, ids, inputs, shipped_policy, small_policy


def test_a_decision_names_its_customer_moment_release_and_cell() -> None:
    decision = decided({"tier": "V4", "grade": "B"}, degraded=True, stale=True)
    assert (decision.customer_id, decision.decided_at, decision.release_id) == ("C0", NOON, "R1")
    assert (decision.customer_class, decision.stage, decision.tier, decision.grade) == ("SAVER", "GROWTH", "V4", "B")
    assert (decision.degraded, decision.stale, decision.fallback) == (True, True, False)
    assert decision.arm.name == "TREAT"


def test_benefits_are_those_of_the_tier() -> None:
    policy = small_policy()
    catalogue = Catalogue.of(policy, benefits={"V4": ("lounge",)})
    both = decide(inputs({"tier": "V4"}, {"tier": None}, catalogue=catalogue), catalogue, policy)
    assert [decision.benefits for decision in both] == [("lounge",), ()]


def test_a_decision_is_plain_data_under_the_names_of_the_interface() -> None:
    data = plain(decided({}, p_channel=np.full((1, 10), 0.25)))
    assert data["cell"] == {"customer_class": "SAVER", "stage": "GROWTH"}
    assert (data["no_action"], data["no_action_reason"]) == (False, None)
    first = data["offers"][0]
    assert first["p_channel"] == 0.25
    assert set(first["components"]) == {
        "p", "uplift", "uplift_is_assumed", "value", "reward", "cost", "context", "lever", "shadow_price",
    }  # fmt: skip
    assert set(first["playbook"]) == {"why", "talk_track", "objections", "next_step"}
    assert first["expires_at"] == (NOON + timedelta(days=14)).isoformat()
    assert data["suppressed"][0] == ["CAREHOOK", "eligibility", "GATE", None]
    empty = plain(decided({"is_staff": 1}))
    assert (empty["no_action"], empty["no_action_reason"]["code"]) == (True, "NO_CANDIDATE")


def test_the_list_is_the_same_in_every_channel_but_for_what_the_channel_does_not_carry() -> None:
    everywhere = ids(decided({}, limit=11))
    for channel in ("APP", "SMS", "RM"):
        there = decided({}, limit=11, channel=channel)
        missing = {name for name, code in codes(there).items() if code == "NOT_IN_CHANNEL"}
        assert ids(there) == [name for name in everywhere if name not in missing]
        assert {slot.channel for slot in there.offers} == {channel}


def test_exploration_keeps_the_order_over_channels_and_hours_of_a_day() -> None:
    noisy = small_policy(arbitration={"exploration_amount": 10.0})
    at_noon, later, tomorrow = (
        decided({}, policy=noisy, limit=11, channel=channel, now=now)
        for channel, now in (("APP", NOON), ("", NOON + timedelta(hours=5)), ("APP", NOON + timedelta(days=1)))
    )
    assert ids(at_noon) == ids(later)
    assert [slot.propensity for slot in at_noon.offers] == [slot.propensity for slot in later.offers]
    assert ids(at_noon) != ids(tomorrow)


def test_a_refusal_at_noon_counts_at_noon() -> None:
    assert ids(decided({}))[0] == "LOAN"
    refusal = {"customer": 0, "kind": "response", "outcome": "refused", "offer_id": "LOAN", "channel": "APP"}
    after = decided({}, recent=[refusal | {"at": datetime(2026, 3, 10, 3, 59, 59)}])
    assert "LOAN" not in ids(after)
    out = next(out for out in after.suppressed if out.offer_id == "LOAN")
    assert (out.filter, out.code) == ("applicability", "REFUSED")
    assert out.until == NOON + timedelta(days=30, seconds=-1)


def test_where_any_channel_will_do_the_cheapest_permitted_one_carries_the_treatment() -> None:
    assert {slot.channel for slot in decided({}, limit=11).offers} == {"APP"}
    elder = decided({"customer_class": "ELDER"}, limit=11)
    assert {slot.channel for slot in elder.offers} == {"SMS"}
    assert elder.offers[0].treatment_id == f"{elder.offers[0].offer_id}:SMS:1"


def test_a_channel_closed_to_the_customer_is_named_with_its_rule() -> None:
    elder = decided({"customer_class": "ELDER"}, channel="APP")
    assert elder.offers == ()
    out = {out.offer_id: (out.filter, out.code) for out in elder.suppressed}
    assert out["DEP"] == ("contact_policy", "CHANNEL_NOT_FOR_CUSTOMER")


@pytest.mark.parametrize(
    ("off", "told"),
    [
        ({"has_marketing_optout": 1}, "GENERIC_ORDER"),
        ({"has_profiling_optout": 1}, "PROFILING_WITHDRAWN"),
        ({"has_profiling_optout": 1, "has_marketing_optout": 1}, "PROFILING_WITHDRAWN"),
    ],
)
def test_customers_without_personal_recommendation_get_the_same_list_as_each_other(
    off: dict[str, int], told: str
) -> None:
    noisy = small_policy(arbitration={"exploration_amount": 5.0})
    catalogue = Catalogue.of(noisy)
    crowd = [off, off | {"customer_class": "ELDER", "tags": "|digital|", "p_churn": 0.9, "tier": "V2"}]
    p = np.random.default_rng(1).random((2, catalogue.m))
    first, second = decide(inputs(*crowd, catalogue=catalogue, p=p, limit=11), catalogue, noisy)
    assert ids(first) == ids(second) != []
    assert [slot.score for slot in first.offers] == [slot.score for slot in second.offers]
    assert {slot.components.p for slot in first.offers} == {0.02}
    assert {"GENERIC_ORDER", "PROFILING_WITHDRAWN"} & {*first.marks} == {told}
    for slot in first.offers:
        assert told in [reason.code for reason in slot.reasons]
        assert not {"CELL_LISTED", "TIER_LEADS", "HIGH_P"} & {reason.code for reason in slot.reasons}


def test_an_unknown_class_is_the_default_class_and_said_so() -> None:
    for name in (None, "NOT_OURS"):
        decision = decided({"customer_class": name})
        assert decision.customer_class == "EVERYBODY"
        assert "CLASS_ASSUMED" in decision.marks
    assert "CLASS_ASSUMED" not in decided({}).marks


def test_an_unknown_stage_is_told_by_the_first_product() -> None:
    for first, stage in (("2026-03-01", "NEW"), (None, "PROSPECT")):
        decision = decided({"stage": None, "first_product_on": first})
        assert (decision.stage, "STAGE_ASSUMED" in decision.marks) == (stage, True)


def test_a_bank_without_consents_marks_its_decisions_and_does_not_reach_out() -> None:
    decision = decided({}, consent_basis="none", limit=11)
    assert "CONSENT_NOT_KEPT" in decision.marks
    assert {slot.channel for slot in decision.offers} <= {"APP", "RM"}
    assert decided({}, consent_basis="none", channel="SMS").offers == ()


def test_a_tool_is_shown_after_an_offer_and_never_alone() -> None:
    assert ids(decided({}, p={"TOOL": 0.5, "DEP": 0.1})) == ["DEP", "TOOL"]
    nothing_else = {"TOOL": 0.5}
    assert decided({}, p=nothing_else).no_action == "BELOW_FLOOR"
    only_tool = small_policy(exclusions=[{"code": "QUIET", "when": "is_staff"}])
    held = {"held_products": "|LOAN|SCENE|FUND|", "aum_now": 10, "do_not_call": "|APP|SMS|CALL|"}
    alone = decided(held, policy=only_tool)
    assert codes(alone)["TOOL"] == "TOOL_ALONE"
    assert alone.offers == ()


def test_a_product_stands_once_in_a_list() -> None:
    shown = ids(decided({}, p={"DEP": 0.5, "DEP-TASKS": 0.4}, limit=11))
    assert shown == ["DEP"]


def test_what_is_not_ranked_is_no_candidate() -> None:
    policy = small_policy()
    catalogue = Catalogue.of(policy)
    assert "NEWS" not in catalogue.offer_ids
    decision = decided({}, limit=11)
    assert "NEWS" not in [*ids(decision), *codes(decision)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"channel": "FAX"}, "FAX"), ({"limit": 0}, "limit"), ({"now": datetime(2026, 3, 10)}, "time zone")],
)
def test_a_request_that_makes_no_sense_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        decided({}, **wrong)


def test_a_default_class_must_have_a_row() -> None:
    with pytest.raises(BadPolicy, match="GHOST"):
        Catalogue.of(small_policy(), default_class="GHOST")


def test_a_customer_of_whom_nothing_is_known_gets_a_decision() -> None:
    for policy in (small_policy(), shipped_policy()):
        catalogue = Catalogue.of(policy)
        m = catalogue.m
        bare = Inputs(
            customer_ids=("NEW",), facts={}, recent=Recent.of(), p=None, p_channel=None, uplift_share=np.full(m, 0.3),
            uplift_is_assumed=np.ones(m, dtype=bool), channel="", limit=3, now=NOON, zone="Asia/Shanghai",
            consent_basis="none", release_id="R1", epoch="E1", prices_version="0",
        )  # fmt: skip
        decision = decide(bare, catalogue, policy)[0]
        assert decision.fallback
        assert {"CLASS_ASSUMED", "STAGE_ASSUMED", "CONSENT_NOT_KEPT"} <= set(decision.marks)
        assert len(decision.offers) + len(decision.suppressed) <= m
        (stored,) = bare.each_json()
        assert Inputs.from_json(json.loads(json.dumps(stored))).each_json() == [stored | {"asked": (), "moment": ()}]


def test_nobody_is_decided_in_an_empty_batch() -> None:
    policy = small_policy()
    catalogue = Catalogue.of(policy)
    empty = inputs({}, catalogue=catalogue)
    no_facts = {name: values[:0] for name, values in empty.facts.items()}
    nobody = replace(empty, customer_ids=(), facts=no_facts, p=np.empty((0, catalogue.m)))
    assert decide(nobody, catalogue, policy) == []
