"""The score to the digit, worked by hand. Yearly margin 365 is 180 over the horizon of 180 days."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from decisioning.catalogue.catalogue import Catalogue
from decisioning.decide import decide
from decisioning.decision import Slot
from tests.decisioning.builders import decided, hook, ids, inputs, offer, product, small_policy


def slot(offer_id: str, *customer: dict[str, Any], policy: Any = None, p: float = 0.1, **changes: Any) -> Slot:
    """The offer's slot in a list long enough for all; nobody responds to any other offer."""
    decision = decided(*customer, policy=policy, p={offer_id: p}, limit=11, **changes)
    return next(slot for slot in decision.offers if slot.offer_id == offer_id)


def test_a_listed_offer_is_worth_uplift_times_value() -> None:
    found = slot("DEP", p=0.1)
    assert found.components.value == pytest.approx(180)
    assert found.score == pytest.approx(0.1 * 0.3 * 180)  # 5.4


def test_follow_on_margin_counts_and_the_reward_is_paid_on_every_conversion() -> None:
    # product 180 and hook 50 of follow-on; 5 of reward on all conversions, caused by the offer or not
    assert slot("DEP-TASKS", p=0.1).score == pytest.approx(0.03 * 230 - 0.1 * 5)  # 6.4


def test_an_unlisted_offer_counts_half_and_levers_stay_within_their_bounds() -> None:
    # the policy's lever for loans is 3.0 but no lever counts more than 1.2
    found = slot("LOAN", p=0.1)
    assert (found.components.lever, found.components.context) == (1.2, 0.5)
    assert found.score == pytest.approx(1.2 * 0.5 * 0.03 * 720)  # 12.96


def test_an_offer_of_a_secondary_classs_cell_counts_four_fifths() -> None:
    found = slot("LOAN", {"other_classes": "|ELDER|"}, p=0.1)
    assert found.score == pytest.approx(1.2 * 0.8 * 0.03 * 720)


def test_an_overlay_lets_its_offers_in_at_full_weight_and_its_factor() -> None:
    found = slot("FUND", {"days_to_maturity": 7}, p=0.1)
    assert found.components.context == 1.9
    assert found.score == pytest.approx(1.1 * 1.9 * 0.03 * 360)  # lever of its category 1.1


def test_of_several_situations_the_largest_factor_counts() -> None:
    both = {"days_to_maturity": 7, "tier": "VVIP"}
    assert slot("FUND", both).components.context == 1.9
    assert slot("FUND", {"tier": "VVIP"}).components.context == 1.4
    assert slot("FUND", {"tier": "VVIP"}, moment=("FUND",)).components.context == 1.5
    assert slot("FUND", both, moment=("FUND",)).components.context == 1.9
    assert slot("FUND", moment=("FUND",)).components.context == 0.75  # unlisted, and the moment's 1.5


def test_a_loss_is_not_made_smaller_by_a_cell_that_does_not_list_it() -> None:
    # own margin -36.5 a year is -18 over the horizon; nothing follows on
    lossy = small_policy(
        products={"SCENE": product(subcategory="bills", yearly=-36.5)},
        arbitration={"relevance_floor_amount": -10.0, "levers": {"存款": 1.2}},
    )
    listed, unlisted = (slot("SCENE", {"customer_class": name}, policy=lossy, p=0.1) for name in ("SAVER", "EVERYBODY"))
    assert listed.score == pytest.approx(0.03 * -18)
    assert unlisted.score == listed.score


def test_a_hook_whose_own_margin_is_negative_can_win_by_what_follows() -> None:
    found = slot("SCENE", p=0.5)
    assert found.components.value == pytest.approx(-18 + 30)
    assert found.score == pytest.approx(0.15 * 12)


def test_a_service_action_is_worth_its_value_and_what_it_keeps() -> None:
    complaining = {"n_open_complaints": 1, "p_churn": 0.25}
    found = slot("REMEDY", complaining, p=0.1)
    assert found.score == pytest.approx(4 + 0.25 * 100)
    assert (found.components.p, found.components.uplift) == (1.0, 1.0)
    assert slot("REMEDY", complaining | {"p_churn": None}).score == pytest.approx(4)


def test_without_a_model_everyone_has_the_policys_prior_and_the_decision_says_so() -> None:
    decision = decided({}, p=None, limit=11)
    found = next(slot for slot in decision.offers if slot.offer_id == "SCENE")
    assert decision.fallback
    assert found.score == pytest.approx(0.02 * 0.3 * 12)
    assert "NO_MODEL" in [reason.code for reason in found.reasons]


def test_a_pair_that_the_model_did_not_score_has_the_prior() -> None:
    policy = small_policy()
    catalogue = Catalogue.of(policy)
    p = np.full((1, catalogue.m), 0.1)
    p[0, catalogue.index["LOAN"]] = np.nan
    decision = decide(inputs(catalogue=catalogue, p=p, limit=11), catalogue, policy)[0]
    by_id = {slot.offer_id: slot.components.p for slot in decision.offers}
    assert (by_id["LOAN"], by_id["SCENE"]) == (0.02, 0.1)
    assert not decision.fallback


def test_the_ranking_bears_the_cost_of_the_cheapest_permitted_treatment_in_every_channel() -> None:
    # the app costs nothing; an elder who is not digital cannot be reached there, and SMS costs .05
    for channel in ("", "SMS", "RM"):
        assert slot("DEP", {"customer_class": "ELDER"}, channel=channel).components.cost == 0.05
        assert slot("DEP", channel=channel).components.cost == 0.0


def test_shadow_prices_are_taken_off_and_shown() -> None:
    catalogue = Catalogue.of(small_policy())
    prices = np.zeros(catalogue.m)
    prices[catalogue.index["DEP"]] = 2.0
    found = slot("DEP", shadow_price=prices)
    assert found.components.shadow_price == 2.0
    assert found.score == pytest.approx(5.4 - 2.0)


def test_no_action_wins_where_nothing_is_worth_more_than_the_floor() -> None:
    exactly = small_policy(arbitration={"relevance_floor_amount": 0.03 * 180.0})
    decision = decided({}, policy=exactly, p={"DEP": 0.1})
    assert decision.offers == ()
    assert decision.no_action == "BELOW_FLOOR"
    assert decision.end_propensity == 1.0


def test_an_offers_own_reward_and_follow_on_replace_those_of_product_and_hook() -> None:
    policy = small_policy(
        hooks={"TASKS": hook(5.0, follow_on_amount=50.0)},
        offers={"OWN": offer(product="DEP", hook="TASKS", reward_amount=1.0, follow_on_amount=10.0)},
    )
    assert slot("OWN", policy=policy).score == pytest.approx(0.03 * 190 - 0.1)


def test_the_best_comes_first() -> None:
    decision = decided({}, p={"DEP": 0.1, "SCENE": 0.9, "LOAN": 0.2})
    # LOAN 1.2 x .5 x .06 x 720 = 25.92; DEP .03 x 180 = 5.4; SCENE .27 x 12 = 3.24
    assert ids(decision) == ["LOAN", "DEP", "SCENE"]
    assert [slot.rank for slot in decision.offers] == [1, 2, 3]
