"""An offer that the model never saw is scored, weighed and given on its first day, by what it is (cold start)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decisioning.policy import decisions
from features.facts import PROFILE
from features.policy import segments
from features.recent import RECENT
from features.standing import STANDING
from features.vocabulary import Column, Kind
from serving.desk.ground import catalogue_of
from serving.desk.moment import moment_facts
from serving.releases import cut, switch
from tests.serving.conftest import Bank, open_bank
from tests.serving.homes import AS_OF, CUSTOMERS, INSTANT, build, facts_of
from tests.serving.test_scoring import DAY, rows_of
from training.boosting import Parameters
from training.examples import Examples, instants, split_by_time
from training.fitted import FittedModel
from training.models import response

OFFER = (
    Column("offer_id", Kind.CODE, "the offer"), Column("offer_category", Kind.CODE, "category", "none"),
    Column("offer_role", Kind.CODE, "role"), Column("offer_reward_amount", Kind.AMOUNT, "reward"),
    Column("channel", Kind.CODE, "channel"),
)  # fmt: skip
LEARNT = tuple(one for one in (*PROFILE, *STANDING, *RECENT) if one.name in ("mda", "age"))


def learnt(home: Path, *, without: str) -> FittedModel:
    """The response model of every offer of the catalogue but one: the wealthy convert, and rewards help."""
    chance, policy, n = np.random.default_rng(7), decisions().view(AS_OF), 8_000
    cards = [one for one in catalogue_of(policy, segments().view(AS_OF)).cards if one.offer_id != without]
    offers = pd.DataFrame([cards[place].row() for place in chance.integers(len(cards), size=n)])
    frame = pd.DataFrame(
        {"customer_id": [f"c{place}" for place in range(n)], "mda": np.exp(chance.normal(10, 1.5, n)),
         "age": chance.integers(18, 80, n).astype(float), "offer_id": offers["offer_id"],
         "offer_category": offers["category"], "offer_role": offers["role"],
         "offer_reward_amount": offers["reward_amount"].astype(float),
         "channel": chance.choice(sorted(policy.channels), n)}
    )  # fmt: skip
    frame["sent_at"] = pd.Timestamp(INSTANT) - pd.to_timedelta(np.linspace(300, 20, n), "D")
    frame["closes_at"] = frame["sent_at"] + pd.Timedelta(days=10)
    frame["outcome"] = (chance.random(n) < truth(frame["mda"], frame["offer_reward_amount"])).astype(float)
    split = split_by_time(instants(frame["sent_at"]), instants(frame["closes_at"]))
    model = response.train(
        Examples(frame, {}), split, facts=LEARNT, profile=LEARNT[:1], offers=OFFER, parameters=Parameters(seed=1)
    ).ours
    model.write(home / "champions" / "response", frame)
    return model


def truth(mda: Any, reward: Any) -> Any:
    """What chance a customer of this balance has to take an offer with this reward."""
    return 1 / (1 + np.exp(2.5 - 1.2 * (np.asarray(mda) > 40_000) - 1.2 * (np.asarray(reward) > 0)))


@pytest.fixture
def first_day(home: Path) -> Iterator[tuple[Bank, str, FittedModel]]:
    """A bank that ranks some offer first, and the same bank whose new model has never seen this offer."""
    for bank in open_bank(home):
        (offer, *_) = bank.decide("C-USUAL", limit=5)["offers"]
    model = learnt(home, without=offer["offer_id"])
    champions = {"response": home / "champions" / "response"}
    switch(home, cut(home, segments=segments(), decisions=decisions(), champions=champions, now=INSTANT,
                     build=build(home)))  # fmt: skip
    for bank in open_bank(home):
        yield bank, offer["offer_id"], model


def test_an_offer_that_the_model_never_saw_is_scored_by_what_it_is_for_everybody(
    first_day: tuple[Bank, str, FittedModel],
) -> None:
    bank, new, model = first_day
    assert new not in next(one.codes for one in model.recipe.features if one.name == "offer_id")
    ground = bank.desk.ground()
    rules = ground.rulebook(DAY)
    ids = [customer for customer in CUSTOMERS if customer != "C-SILENT"]
    read = ground.reader.read(ids, at=INSTANT, day=DAY)
    scores = rules.scorer.score(read.facts | moment_facts(len(ids), INSTANT, rows_of([])), len(ids), "")
    assert scores is not None
    place = rules.catalogue.index[new]
    card = rules.catalogue.cards[place].row()
    asked = pd.DataFrame(
        [{"mda": facts_of(who)["mda"], "age": facts_of(who)["age"], "offer_id": new,
          "offer_category": card["category"], "offer_role": card["role"],
          "offer_reward_amount": float(card["reward_amount"]),
          "channel": rules.policy.arbitration.reference_channel} for who in ids]
    )  # fmt: skip
    np.testing.assert_allclose(scores.p[:, place], model.predict(asked), rtol=0, atol=1e-12)
    assert ((scores.p[:, place] > 0) & (scores.p[:, place] < 1)).all()
    planted = truth([facts_of(who)["mda"] for who in ids], float(card["reward_amount"]))
    np.testing.assert_allclose(scores.p[:, place], planted, rtol=0.35, err_msg="as good as for offers with a record")


def test_the_first_decision_weighs_the_new_offer_by_its_p_and_is_not_degraded(
    first_day: tuple[Bank, str, FittedModel],
) -> None:
    bank, new, _ = first_day
    answer = bank.decide("C-USUAL", limit=10)
    (slot,) = [one for one in answer["offers"] if one["offer_id"] == new]
    assert (answer["degraded"], answer["fallback"]) == (False, False)
    rules = bank.desk.ground().rulebook(DAY)
    read = bank.desk.ground().reader.read(["C-USUAL"], at=INSTANT, day=DAY)
    scores = rules.scorer.score(read.facts | moment_facts(1, INSTANT, rows_of([])), 1, "")
    assert slot["components"]["p"] == scores.p[0, rules.catalogue.index[new]]
    share = rules.scorer.uplift_share[rules.catalogue.index[new]]
    assert slot["components"]["uplift"] == pytest.approx(slot["components"]["p"] * share)
