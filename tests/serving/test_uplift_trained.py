"""From a bank's randomised arms to a decision: `train uplift`, its gates, the release, and who is left alone."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.bank.quarantine import receive
from features.errors import MissingModel
from features.own import write_missing
from features.policy import segments
from features.profiles import build, builds
from serving import jobs
from serving.api.documents import DecisionRequest
from serving.desk.making import Inquiry
from serving.month.month_drift import CALENDAR, drift_of
from serving.replay import replay
from serving.settings import clock_of, read_settings
from tests.training.habits import INVENTORY, table_of
from training import registry
from training.judging.effect_judgement import EffectJudgement
from training.promotion import reexamine
from training.retrain import main, retrain

pytestmark = pytest.mark.slow
N, N_TESTS = 1_800, 5
FIRST, AS_OF = pd.Timestamp("2025-01-06T01:00", tz="UTC"), date(2025, 6, 30)
TESTED, UNTESTED = "P06", "P05"
EFFECTS = {"F": 0.35, "M": -0.2}  # whoever is told
# everybody has one of two effects: where a level of all men lies a little lower a wave later, all of them have moved
GATES = "{least_slope: 0.9, most_slope: 1.1, most_score_psi: 20}"
OWN = """
from features.own import Column, Kind

COLUMNS = (Column("own_digit", Kind.NUMBER, "last digit of the customer's number", "never"),)


def rows(month):
    people = month.rows("customer")
    return people.select("customer_id", own_digit=people.customer_id.right(1).cast("float64"))
"""
IDS = np.array([f"c{place:04d}" for place in range(N)])
GENDERS = np.where(np.arange(N) % 2 == 0, "F", "M")


def bank(home: Path) -> Path:
    """Customers drawn five times, with odds of one half, to be told of one offer; told, men buy it less often."""
    chance = np.random.default_rng(9)
    who, test = np.tile(np.arange(N), N_TESTS), np.repeat(np.arange(N_TESTS), N)
    at = FIRST + pd.to_timedelta(test * 32, "D")
    told = chance.random(len(who)) < 0.5
    effect = np.array([EFFECTS[gender] for gender in GENDERS[who]])
    buys = chance.random(len(who)) < 0.3 + told * effect
    arms = {
        "experiment_id": [f"X{place}" for place in test], "customer_id": IDS[who], "offer_id": TESTED,
        "arm": np.where(told, "TREAT", "CONTROL"), "propensity": 0.5, "assigned_at": at, "business_on": at.date,
        "known_at": at,
    }  # fmt: skip
    answered = at + pd.Timedelta(days=2)
    answers = {
        "event_id": [f"e{place:05d}" for place in range(len(who))], "customer_id": IDS[who], "offer_id": TESTED,
        "outcome": "converted", "occurred_at": answered, "business_on": answered.date, "known_at": answered,
    }  # fmt: skip
    since = FIRST - pd.Timedelta(days=400)
    people = {
        "customer_id": IDS, "registered_on": since.date(), "first_product_on": since.date(), "gender": GENDERS,
        "is_staff": False, "is_restricted": False, "has_marketing_optout": False, "known_at": since,
    }  # fmt: skip
    rows = {"customer": pd.DataFrame(people), "assignment": pd.DataFrame(arms), "response": pd.DataFrame(answers)[buys]}
    folder = home / "policy" / "models"
    folder.mkdir(parents=True)
    (folder / "inventory.yaml").write_text(INVENTORY)
    (folder / "gates.yaml").write_text(GATES)
    offers = jobs.offer_rows(jobs.decisions_book(home), date(2024, 1, 1))
    receive(home, {**{name: table_of(name, frame) for name, frame in rows.items()}, "offer": offers})
    (home / "home.json").write_text(json.dumps({"instant": "2025-07-02T10:00:00+08:00"}))
    (home / "features").mkdir()
    (home / "features" / "digit.py").write_text(OWN)
    build(home, segments(), instant=datetime(2025, 7, 1, tzinfo=UTC))
    write_missing(home)
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bank(tmp_path_factory.mktemp("drawn") / "home")


def test_arms_make_a_champion_of_effects_through_its_gates(home: Path) -> None:
    done = retrain(home, "uplift", AS_OF, 1)
    assert done.is_champion, done.verdict.says
    assert isinstance(done.judgement, EffectJudgement)
    assert done.judgement.less["random"].low > 0
    assert done.judgement.less_everybody.low > 0, "leaving men alone gains against telling everybody"
    champion = registry.champion(home, "uplift")
    (share,) = champion.read().shares
    assert (share["offer_id"], share["is_measured"]) == (TESTED, True)
    assert share["low"] < np.mean(list(EFFECTS.values())) < share["high"]
    assert champion.facts["label"].startswith("converted within the offer's window after chance drew the arm")
    assert "own_digit" in champion.read().recipe.names, "the bank's own feature is learnt from as well"
    figures = {"ours_qini", "ours_qini_low", "ours_qini_high", "plain_qini", "inner_gain_dr", "average_effect"}
    from training.tracking import figures_of

    assert figures <= set(figures_of(home, champion.run_id))


def test_the_version_holds_its_gates_when_it_is_asked_again(home: Path) -> None:
    version = registry.champion(home, "uplift").version
    verdict = reexamine(home, "uplift", version)
    assert verdict.passes, verdict.says
    assert verdict.says.startswith("not distinguishable from the champion: difference 0.0000")


def test_the_program_that_mlflow_runs_knows_the_model_and_the_next_champion_stands_beside_the_first(home: Path) -> None:
    assert main(["--home", str(home), "--model", "uplift", "--as-of", str(AS_OF), "--seed", "2"]) == 0
    assert registry.champion(home, "uplift").facts["follows"] == "1"
    registry.dethrone(home, "uplift")


def test_the_release_serves_it_leaves_men_alone_and_replays(home: Path) -> None:
    clock = clock_of(read_settings(home=home))
    jobs.publish(home, clock)
    release, _ = jobs.cut_release(home, clock)
    assert (release.manifest["champions"], release.manifest["versions"]) == (["uplift"], {"uplift": 1})
    with jobs.desk(home, clock) as desk:
        asked = DecisionRequest.model_construct(channel="APP", limit=40, explain="full")
        decided = desk.decide(Inquiry(asked, [IDS[0], IDS[1]]))
        desk.ledger.record(decided.rows).result()
        her, him = (decided.kept[name].decision for name in (IDS[0], IDS[1]))
        reasons = {out.offer_id: out.code for out in him.suppressed}
        assert reasons[TESTED] == "SLEEPING_DOG"
        assert {out.offer_id: out.code for out in her.suppressed}.get(TESTED) != "SLEEPING_DOG"
        (slot,) = [slot for slot in her.offers if slot.offer_id == TESTED]
        assert slot.components.uplift == pytest.approx(EFFECTS["F"], abs=0.1)
        assert not slot.components.uplift_is_assumed
        assert all(slot.components.uplift_is_assumed for slot in her.offers if slot.offer_id != TESTED)
        for row in decided.rows:
            assert replay(desk.home, desk.ledger.decision(row.decision_id).row).is_identical


def test_drift_of_the_effects_counts_each_customer_once_and_sees_a_bank_whose_men_have_gone(home: Path) -> None:
    """The champion knows two effects, one for women and one for men; it has seen until April."""
    champion = registry.champion(home, "uplift")
    registry.note(home, "uplift", champion.version, "horizon", "2025-04-30T16:00:00+00:00")
    try:
        told = drift_of(home, AS_OF)["champions"]["uplift"]
        assert set(told) == {"score", *(f.name for f in champion.read().recipe.features if not f.of_offer)} - CALENDAR
        assert (told["score"]["n_before"], told["score"]["n_now"]) == (N, N)
        newest = list(builds(home))[-1]
        kept = pq.read_table(newest.path)
        pq.write_table(kept.filter(pc.equal(kept["gender"], "F")), newest.path)
        try:
            moved = drift_of(home, AS_OF)
        finally:
            pq.write_table(kept, newest.path)
    finally:
        registry.note(home, "uplift", champion.version, "horizon", champion.facts["horizon"])
    score = moved["champions"]["uplift"]["score"]
    assert (score["band"], score["n_before"], score["n_now"]) == ("ACT", N, N // 2)
    assert score["psi"] > told["score"]["psi"] + 1, "half of the customers have left their bins"
    assert "score of uplift" in moved["says"]


def test_a_bank_without_arms_is_told_to_go_on_with_assumed_shares(home: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingModel, match="no arm has a closed outcome window"):
        retrain(home, "uplift", date(2025, 1, 10))
