"""The portrait's newer facts: what the tier needs, marks of the life, points of the grade, value; in both languages."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decisioning.policy import decisions
from features.plans import PROFILE
from features.policy import PolicyBook, SegmentsPolicy, segments
from serving.releases import cut, switch
from serving.shipping import Beside
from tests.serving import homes
from tests.serving.conftest import Bank, open_bank
from tests.serving.homes import AS_OF, CUSTOMERS, INSTANT, build, facts_of, publish_rows, write_home
from training.fitted import FittedModel
from training.models.expected import AHEAD

POINTS = {"grade_aum": 16.0, "grade_services": 15.0, "grade_business": 10.5, "grade_channels": 20.0}
KEPT: dict[str, Any] = {
    "tier": "V3", "tier_state": "GRACE", "tier_floor": 200_000.0, "next_floor": 500_000.0, "near_floor": 400_000.0,
    "rated_to_date": 450_000.0, "rated_now": 450_000.0, "is_hot_money": True, "value_12m": 1_234.0,
    "is_won_back": True, "won_back_on": date(2025, 11, 30), "is_reactivated": False, "has_dormant_account": True,
    "n_active_services": 3, "grade_score": 61.5, **POINTS,
}  # fmt: skip
HTML = {"Accept": "text/html"}
DAYS, SO_FAR_DAYS = 31, 1  # the second of January, with one day closed


@pytest.fixture
def kept_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    """A bank with one customer more, who is in grace, near the next tier, and back from LOST."""
    monkeypatch.setitem(CUSTOMERS, "C-KEPT", KEPT)
    write_home(tmp_path / "home", with_models=False)
    yield from open_bank(tmp_path / "home")


def test_the_portrait_tells_what_each_day_left_needs_and_what_the_customer_is_worth(kept_bank: Bank) -> None:
    told = kept_bank.ask("GET", "/v1/customers/C-KEPT", role="rm").json()
    tier, left = told["tier"], DAYS - SO_FAR_DAYS
    assert tier["need_next_amount"] == pytest.approx((500_000 * DAYS - 450_000 * SO_FAR_DAYS) / left)
    assert tier["need_keep_amount"] == pytest.approx((200_000 * DAYS - 450_000 * SO_FAR_DAYS) / left)
    assert (tier["is_near_next"], tier["is_near_loss"], tier["is_hot_money"]) == (True, True, True)
    assert tier["owner"] == "RM_DESK", "V3, kept"
    value = told["value"]
    assert (value["value_12m"], value["value_exp"], value["value_exp_absent"]["code"]) == (1_234.0, None, "NO_MODEL")
    assert sum(value or 0 for value in told["grade"]["points"].values()) == told["grade"]["grade_score"] == 61.5
    assert set(told["grade"]["points"]) == set(told["grade"]["weights"])
    assert (told["stage"]["is_won_back"], told["stage"]["won_back_on"]) == (True, "2025-11-30")
    assert (told["stage"]["is_reactivated"], told["holdings"]["has_dormant_account"]) == (False, True)
    assert told["holdings"]["n_active_services"] == 3


def test_marks_of_the_life_are_open_and_money_and_points_are_not(kept_bank: Bank) -> None:
    told = kept_bank.ask("GET", "/v1/customers/C-KEPT", role="scientist").json()
    assert (told["stage"]["is_won_back"], told["holdings"]["n_active_services"]) == (True, 3)
    assert (told["value"], told["grade"]["points"]) == (None, {})
    withheld = {"need_next_amount", "need_keep_amount", "is_near_next", "is_near_loss", "is_hot_money"}
    assert withheld.isdisjoint(told["tier"])
    assert withheld | {"value_12m", "value_exp", "grade_score", "has_dormant_account", *POINTS} <= set(told["masked"])


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("zh", ("临界提升", "临界降级", "热钱", "挽回客户", "在用服务数", "睡眠账户", "近 12 个月价值",
                "61.5 分", "保住 V3")),
        ("en", ("near the next tier", "near the loss", "hot money", "won back", "services in use", "dormant account",
                "value of twelve months", "61.5 points", "to keep V3")),
    ],
)  # fmt: skip
def test_the_page_says_it_in_words_to_those_who_may_see_it(kept_bank: Bank, language: str, said: tuple[str]) -> None:
    page = kept_bank.ask("GET", f"/console/customers/C-KEPT?lang={language}", role="rm", headers=HTML).text
    assert [word for word in said if word not in page] == []
    uncleared = kept_bank.ask("GET", f"/console/customers/C-KEPT?lang={language}", role="scientist", headers=HTML).text
    assert [word for word in said if word in uncleared] == [said[3], said[4]], "what the bank made of him, no money"


def test_the_page_does_not_say_what_keeps_the_lowest_tier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CUSTOMERS, "C-KEPT", KEPT | {"tier": "V0", "tier_state": "NORMAL", "tier_floor": 0.0})
    write_home(tmp_path / "home", with_models=False)
    for bank in open_bank(tmp_path / "home"):
        assert bank.ask("GET", "/v1/customers/C-KEPT", role="rm").json()["tier"]["need_keep_amount"] == 0
        page = bank.ask("GET", "/console/customers/C-KEPT?lang=en", role="rm", headers=HTML).text
        assert "needed on each" in page, "for the next one"
        assert "to keep V0" not in page


@pytest.fixture
def foretold(tmp_path: Path) -> Iterator[tuple[Bank, FittedModel, FittedModel]]:
    """A bank whose release has models of the next step and of what stays of his money, and those models."""
    chance = np.random.default_rng(5)
    frame = pd.DataFrame({"age": chance.integers(18, 80, 4_000).astype(float), "mda": chance.lognormal(10, 1.5, 4_000),
                          "months_ahead": chance.choice([3.0, 6.0], 4_000)})  # fmt: skip
    stays = (chance.random(4_000) < 0.95 - 0.06 * frame.months_ahead - 0.003 * frame.age).astype(float)
    looks = (chance.random(4_000) < 0.1 + 0.4 * (frame.age < 40)).astype(float)
    known = tuple(column for column in PROFILE if column.name in ("age", "mda"))
    next_step = homes.fit("next_step", frame, looks, known, ())
    value = homes.fit("value", frame, stays, (*known, AHEAD), ())
    write_home(tmp_path, with_models=False)
    folders = {}
    for model in (next_step, value):
        model.write(tmp_path / "champions" / model.name, frame)
        folders[model.name] = tmp_path / "champions" / model.name
    publish_rows(tmp_path, at=INSTANT, changes={"C-YOUNG": {"stage": "DORMANT"}, "C-WEALTHY": {"value_12m": None}})
    release = cut(tmp_path, segments=segments(), decisions=decisions(), champions=folders, now=INSTANT,
                  build=build(tmp_path))  # fmt: skip
    switch(tmp_path, release)
    for bank in open_bank(tmp_path):
        yield bank, next_step, value


def test_A07_the_portrait_tells_what_the_scores_expect_and_why_not_where_they_do_not(
    foretold: tuple[Bank, FittedModel, FittedModel],
) -> None:
    """The oracle walks the year month by month from what the model says stays after three and six."""
    bank, next_step, value = foretold
    told = bank.ask("GET", "/v1/customers/C-USUAL").json()
    facts = facts_of("C-USUAL")
    row = pd.DataFrame([{"age": float(facts["age"]), "mda": facts["mda"]}])
    assert told["scores"]["p_next"] == pytest.approx(float(next_step.predict(row)[0]))
    early, late = (float(value.predict(row.assign(months_ahead=months))[0]) for months in (3.0, 6.0))
    late = min(early, late)
    year = [early ** (m / 3) if m <= 3 else early * (late / early) ** ((m - 3) / 3) for m in range(1, 13)]
    assert told["value"]["value_exp"] == pytest.approx(facts["value_12m"] * sum(year) / 12)
    assert told["value"]["is_estimate"] is True
    assert told["value"]["stays"] == pytest.approx({"90": early, "180": late})
    assert (told["scores"]["p_next_absent"], told["value"]["value_exp_absent"]) == (None, None)
    for customer, code in (("C-YOUNG", "AWAY"), ("C-WEALTHY", "NO_VALUE")):
        other = bank.ask("GET", f"/v1/customers/{customer}").json()["value"]
        assert (other["value_exp"], other["value_exp_absent"]["code"]) == (None, code)
        assert other["is_estimate"] is False
    masked = bank.ask("GET", "/v1/customers/C-USUAL", role="scientist").json()
    assert "value_exp" in masked["masked"]
    assert masked["value"] is None


@pytest.mark.parametrize(("language", "estimate", "away"), [
    ("zh", "估计", "模型不预期潜客、休眠和流失客户。"),
    ("en", "estimated", "The model says nothing of prospects, sleepers and those who left."),
])  # fmt: skip
def test_the_page_marks_an_estimate_and_says_plainly_why_there_is_none(
    foretold: tuple[Bank, FittedModel, FittedModel], language: str, estimate: str, away: str
) -> None:
    bank = foretold[0]
    there, gone = (
        bank.ask("GET", f"/console/customers/{name}?lang={language}", role="rm", headers=HTML).text
        for name in ("C-USUAL", "C-YOUNG")
    )
    assert estimate in there[there.index('id="s-value"') :]
    assert away not in there
    assert away in gone[gone.index('id="s-value"') :]
    assert estimate not in gone


@pytest.fixture
def strangers(tmp_path: Path) -> Iterator[Bank]:
    """A bank with a new customer, a stale prospect, and one whose tier a loan keeps."""
    write_home(tmp_path, with_models=False)
    publish_rows(tmp_path, at=INSTANT, changes={
        "C-USUAL": {"tier": "V0", "newcomer_tier": "V5", "mda": 20.0, "tier_since_on": None},
        "C-YOUNG": {"stage": "PROSPECT", "is_stale": True, "first_product_on": None, "previous_stage": None},
        "C-WEALTHY": {"tier": "VIP", "qualify_path": "LOAN", "tier_floor": 0.0, "decline_signs": "|TXN|SALARY|"},
    })  # fmt: skip
    sections = copy.deepcopy(dict(segments().sections))
    basis = {"unit": "under test", "source": "R39", "since": {date(1990, 1, 1): "bank_attests"}}
    sections["bank"]["consent_basis"] = basis
    book = PolicyBook(SegmentsPolicy, sections)
    standing = build(tmp_path, segments_digest=book.view(AS_OF).digest)
    switch(tmp_path, cut(tmp_path, segments=book, decisions=decisions(), champions={}, now=INSTANT, build=standing))
    yield from open_bank(tmp_path)


def test_a_new_customers_tier_is_that_of_his_decision_and_portrait_before_a_month_has_measured_him(
    strangers: Bank,
) -> None:
    portrait, decision = strangers.ask("GET", "/v1/customers/C-USUAL").json(), strangers.decide()
    benefits = list(segments().view(INSTANT.date()).tiers.benefits["V5"])
    assert (portrait["tier"]["tier"], portrait["tier"]["benefits"]) == ("V5", benefits)
    assert (portrait["tier"]["qualify_path"], portrait["tier"]["next_tier"]) == ("NEWCOMER", "VIP")
    assert portrait["tier"]["owner"] == "WEALTH_DESK"
    assert portrait["tier"]["next_gap"] is portrait["tier"]["need_keep_amount"] is None, "told of V0 by the month"
    page = strangers.ask("GET", "/console/customers/C-USUAL?lang=en", role="rm", headers=HTML).text
    assert "a new customer, by the days since he came" in page
    assert "the wealth centre" in page
    assert (decision["tier"], decision["benefits"], decision["variant"]["band"]) == ("V5", benefits, "V5+")
    replayed = strangers.ask("POST", f"/v1/decisions/{decision['decision_id']}/replay", role="auditor").json()
    assert replayed["identical"], replayed


def test_a_stale_prospect_is_told_nothing_that_he_does_not_open_himself(strangers: Bank) -> None:
    """In the app as any prospect; by text, WeChat or call nothing, for that reason."""
    outside = {name: strangers.decide("C-YOUNG", channel=name, explain="full", dry_run=True)
               for name in ("WECHAT", "SMS", "CALL")}  # fmt: skip
    for name, answer in outside.items():
        assert answer["offers"] == [], name
        assert "STALE" in {out["code"] for out in answer["suppressed"]}, name
    inside = strangers.decide("C-YOUNG", channel="APP", explain="full", dry_run=True, limit=50)
    assert "STALE" not in {out["code"] for out in inside["suppressed"]}
    assert inside["offers"]


@pytest.mark.parametrize(("language", "said"), [
    ("zh", ("以个人贷款达标，不看存款", "交易减少", "停发工资")),
    ("en", ("by a loan, whatever the balances", "fewer transactions", "no salary")),
])  # fmt: skip
def test_the_page_says_how_the_tier_was_come_by_and_which_signs_of_decline_there_are(
    strangers: Bank, language: str, said: tuple[str, ...]
) -> None:
    cleared, open_ = (
        strangers.ask("GET", f"/console/customers/C-WEALTHY?lang={language}", role=role, headers=HTML).text
        for role in ("rm", "scientist")
    )
    assert [word for word in said if word not in cleared] == []
    assert [word for word in said if word in open_] == [], "each tells what he has or does"


@pytest.fixture
def complaining_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    """A bank whose churn champion has learnt that those who complain leave, and a customer who did."""
    monkeypatch.setitem(CUSTOMERS, "C-KEPT", {"n_complaints_3m": 5})
    home = tmp_path / "home"
    write_home(home)
    chance = np.random.default_rng(3)
    frame = pd.DataFrame({"n_complaints_3m": chance.integers(0, 6, 3_000).astype(float), "mda": 1e4})
    left = (chance.random(3_000) < 0.05 + 0.5 * (frame["n_complaints_3m"] > 4)).astype(float)
    columns = tuple(column for column in PROFILE if column.name in frame.columns)
    model = homes.fit("churn", frame, left, columns, ())
    shutil.rmtree(home / "champions" / "churn")
    model.write(home / "champions" / "churn", frame)
    p = model.predict(frame)
    beside = Beside(bands={"churn": {"HIGH": float(np.quantile(p, 0.9)), "RAISED": float(np.quantile(p, 0.7))}})
    champions = {"churn": home / "champions" / "churn"}
    switch(home, cut(home, segments=segments(), decisions=decisions(), champions=champions, now=INSTANT,
                     build=build(home), beside=beside))  # fmt: skip
    yield from open_bank(home)


def test_the_portrait_says_how_likely_he_leaves_and_names_the_banks_own_doing(complaining_bank: Bank) -> None:
    for role in ("rm", "scientist"):  # a cause that tells nothing of his money is open
        told = complaining_bank.ask("GET", "/v1/customers/C-KEPT", role=role).json()["leaving"]
        assert (told["band"], told["reasons"][0]["code"]) == ("HIGH", "SERVICE_COMPLAINT")
    calm = complaining_bank.ask("GET", "/v1/customers/C-USUAL", role="rm").json()
    assert calm["leaving"]["p_churn"] < told["p_churn"] == pytest.approx(0.55, abs=0.1)
    assert calm["leaving"]["p_churn"] == calm["scores"]["p_churn"]
    assert calm["leaving"]["band"] != "HIGH"
    for language, said in (("zh", ("近三个月有投诉", "流失风险：高")), ("en", ("complained", "top tenth"))):
        page = complaining_bank.ask("GET", f"/console/customers/C-KEPT?lang={language}", role="rm", headers=HTML).text
        assert [word for word in said if word not in page] == []


def test_without_a_churn_model_nothing_is_said_of_leaving(kept_bank: Bank) -> None:
    assert kept_bank.ask("GET", "/v1/customers/C-KEPT", role="rm").json()["leaving"] is None
