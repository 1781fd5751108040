"""The uplift champion in a release: whose arms spoke is scored by them, who is harmed is left alone, replays agree."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decisioning.case import plain_of
from decisioning.policy import decisions
from features.policy import segments
from features.vocabulary import Column, Kind
from serving.desk.ground import Ground, catalogue_of
from serving.desk.moment import moment_facts
from serving.releases import current, cut, switch
from tests.serving.conftest import Bank, open_bank
from tests.serving.homes import AS_OF, CUSTOMERS, INSTANT, build
from tests.serving.test_scoring import rows_of
from training.boosting import Parameters
from training.examples import Examples, Split
from training.fitted import FittedModel
from training.models import uplift
from training.panel import TOGETHER

pytestmark = pytest.mark.slow
DAY = INSTANT.date()
N = 12_000
FACTS = (Column("age", Kind.INTEGER, "age", "not known"),)
OFFER = (Column("offer_id", Kind.CODE, "offer"),)


def arms(offer_ids: list[str]) -> pd.DataFrame:
    """Told by lot: below thirty it keeps two in ten from buying, from thirty on it brings three in ten."""
    chance = np.random.default_rng(11)
    age, told = chance.integers(18, 80, N), chance.random(N) < 0.5
    effect = np.where(age < 30, -0.2, 0.3)
    return pd.DataFrame(
        {
            "customer_id": [f"c{place}" for place in range(N)], "age": age.astype(float),
            "offer_id": chance.choice(offer_ids, N), "is_treated": told.astype(float), "propensity": 0.5,
            "outcome": (chance.random(N) < 0.3 + told * effect).astype(float),
        }
    )  # fmt: skip


def write_uplift(folder: Path, offer_ids: list[str]) -> Path:
    """An uplift champion of those offers, trained as `tiercel train uplift` trains one; one more offer was drawn for
    too few to say anything of it."""
    frame = arms(offer_ids)
    frame.loc[: uplift.LEAST_ARM // 2, "offer_id"] = "TOO-FEW"
    every = np.ones(N, dtype=bool)
    split = Split(every, every, np.datetime64("2025-01-01"))
    quick = Parameters(n_rounds=30, n_leaves=7, min_leaf_rows=40)
    found = uplift.train(Examples(frame, {}), split, facts=FACTS, offers=OFFER, parameters=quick, n_repeats=1)
    assert found.chosen == TOGETHER
    assert found.ours.text.count("\nTree=") > 2 * found.plain.text.count("\nTree="), "trees of more than one learner"
    shares = [one.to_json() for one in uplift.measured_offers(frame)]
    assert [row["offer_id"] for row in shares if not row["is_measured"]] == ["TOO-FEW"]
    found.ours.with_shares(shares).write(folder, frame)
    return folder


def sold() -> list[str]:
    """Offers that are sold, some of which every customer is offered."""
    cards = catalogue_of(decisions().view(AS_OF), segments().view(AS_OF)).cards
    return [card.offer_id for card in cards if not (card.is_service or card.is_care or card.is_tool)]


@pytest.fixture(scope="module")
def tested_home(written_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("tested") / "home"
    shutil.copytree(written_home, home)
    champions = {name: home / "champions" / name for name in ("response", "churn")}
    champions["uplift"] = write_uplift(home / "champions" / "uplift", sold()[::2])
    switch(home, cut(home, segments=segments(), decisions=decisions(), champions=champions, now=INSTANT,
                     build=build(home)))  # fmt: skip
    return home


@pytest.fixture(scope="module")
def tested(tested_home: Path) -> Iterator[Bank]:
    yield from open_bank(tested_home)


def suppressed(answer: Any) -> dict[str, str]:
    return {out["offer_id"]: out["code"] for out in answer["suppressed"]}


def test_the_release_ships_the_uplift_champion_and_its_arms(tested_home: Path) -> None:
    release = current(tested_home)
    assert release.manifest["champions"] == ["churn", "response", "uplift"]
    assert "models/uplift/shares.json" in release.manifest["files"]


def test_an_offer_with_arms_is_scored_by_them_and_every_other_by_its_assumed_share(tested: Bank) -> None:
    model = FittedModel.read(tested.home / "champions" / "uplift")
    answer = tested.decide("C-USUAL", limit=20)
    said = {slot["offer_id"]: slot["components"] for slot in answer["offers"]}
    measured = {name: parts for name, parts in said.items() if not parts["uplift_is_assumed"]}
    assert measured
    assert set(measured) == {name for name in said if name in sold()[::2]}
    frame = pd.DataFrame({"age": 38.0, "offer_id": list(measured)})
    assert [parts["uplift"] for parts in measured.values()] == model.predict(frame).tolist()
    share = decisions().view(DAY).arbitration.incremental_share
    others = {name: parts for name, parts in said.items() if name in sold()[1::2]}
    assert all(parts["uplift"] == parts["p"] * share for parts in others.values())


def test_a_sleeping_dog_is_left_alone_with_the_reason_and_may_still_ask(tested: Bank) -> None:
    answer = tested.decide("C-YOUNG", limit=20, explain="full")
    asleep = {name for name, code in suppressed(answer).items() if code == "SLEEPING_DOG"}
    assert asleep
    assert asleep <= set(sold()[::2])
    assert asleep.isdisjoint(slot["offer_id"] for slot in answer["offers"])
    (told,) = {out["filter"] for out in answer["suppressed"] if out["code"] == "SLEEPING_DOG"}
    assert told == "arbitration"
    assert "SLEEPING_DOG" not in suppressed(tested.decide("C-USUAL", limit=20, explain="full")).values()
    one = sorted(asleep)[0]
    asked = tested.decide("C-YOUNG", limit=20, explain="full", context={"asked": [one]})
    assert suppressed(asked).get(one) != "SLEEPING_DOG"


def test_whoever_has_personal_recommendation_off_is_not_weighed_by_his_own_effect(tested: Bank) -> None:
    answer = tested.decide("C-SILENT", limit=20, explain="full")
    assert all(slot["components"]["uplift_is_assumed"] for slot in answer["offers"])


@pytest.mark.parametrize("customer_id", list(CUSTOMERS))
def test_replay_is_identical_to_the_bit(tested: Bank, customer_id: str) -> None:
    answer = tested.decide(customer_id)
    again = tested.ask("POST", f"/v1/decisions/{answer['decision_id']}/replay", role="auditor").json()
    assert again["identical"], again["differences"]


def test_a_decision_from_before_the_first_uplift_champion_replays_still(own_bank: Bank) -> None:
    """Such inputs were stored without a word of effects."""
    answer = own_bank.decide()
    with own_bank.db() as db:
        (text,) = db.execute("SELECT inputs FROM decision").fetchone()
        told = json.loads(text)
        assert told.pop("uplift") is None
        db.execute("UPDATE decision SET inputs = ?", [json.dumps(told)])
    again = own_bank.ask("POST", f"/v1/decisions/{answer['decision_id']}/replay", role="auditor").json()
    assert again["identical"], again["differences"]


def test_one_customer_and_many_have_the_same_effects_to_the_bit_from_the_compiled_trees(tested_home: Path) -> None:
    ground = Ground(current(tested_home))
    scorer = ground.rulebook(DAY).scorer
    ids = list(CUSTOMERS)
    facts = ground.reader.read(ids, at=INSTANT, day=DAY).facts | moment_facts(len(ids), INSTANT, rows_of([]))
    many = scorer.effects(facts, len(ids))
    assert many is not None
    each = [plain_of({name: values[[place]] for name, values in facts.items()}) for place in range(len(ids))]
    few = [scores.uplift for scores in scorer.score_each(each, ["APP"] * len(ids))]
    np.testing.assert_array_equal(few, many)
    assert scorer._tested is not None
    places, layout = scorer._tested
    assert layout.forest is not None, "the library was asked"
    assert [scorer.catalogue.offer_ids[place] for place in places] == sorted(sold()[::2])
    assert np.isnan(many).all(axis=0).sum() == scorer.catalogue.m - len(places)
    untested = replace(scorer.champions.uplift, shares=())  # type: ignore[type-var]  # there is one
    without = type(scorer).of(replace(scorer.champions, uplift=untested), scorer.catalogue, ground.rulebook(DAY).policy)
    assert without.effects(facts, len(ids)) is None
    ground.close()
