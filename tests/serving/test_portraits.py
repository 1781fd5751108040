"""The portrait's newer facts: what the tier needs, marks of the life, points of the grade, value; in both languages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decisioning.policy import decisions
from features.facts import PROFILE
from features.policy import segments
from serving.releases import cut, switch
from serving.shipping import Beside
from tests.serving.conftest import Bank, open_bank
from tests.serving.homes import CUSTOMERS, INSTANT, build, trained, write_home

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
    model = trained("churn", frame, left, columns, ())
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
    for language, said in (("zh", ("近三个月有投诉", "流失风险:高")), ("en", ("complained", "top tenth"))):
        page = complaining_bank.ask("GET", f"/console/customers/C-KEPT?lang={language}", role="rm", headers=HTML).text
        assert [word for word in said if word not in page] == []


def test_without_a_churn_model_nothing_is_said_of_leaving(kept_bank: Bank) -> None:
    assert kept_bank.ask("GET", "/v1/customers/C-KEPT", role="rm").json()["leaving"] is None
