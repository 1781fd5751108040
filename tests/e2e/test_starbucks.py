"""Real input from file to answered decision: 17,000 members, 306,534 events, through the same way as any bank."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from features.bank.engines import open_bank
from features.bank.sources import starbucks
from features.errors import BadBank, MissingBuild
from serving import jobs, releases
from serving.app import create_app
from serving.desk.ground import Ground
from serving.desk.moment import moment_facts
from serving.key_file import make_keys
from serving.settings import Clock, clock_of, read_settings
from training import registry
from training.examples import response_examples
from training.judging.judgement import CONSTANT, OURS, PLAIN
from training.outcomes import response_labels
from training.retrain import Retrained, retrain

TEST_WAVE = datetime(2018, 8, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> Path:
    return shared_data / "starbucks_offers"


@pytest.fixture(scope="module")
def events(raw: Path) -> pd.DataFrame:
    with gzip.open(raw / "transcript.json.gz", "rt", encoding="utf-8") as file:
        return pd.DataFrame([json.loads(line) for line in file if line.strip()])


@pytest.fixture(scope="module")
def home(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("starbucks")
    starbucks.bring_in(raw, home)
    jobs.write_catalogue(home)
    clock = clock_of(read_settings(home=home))
    jobs.build(home, clock)
    jobs.publish(home, clock)
    return home


@pytest.fixture(scope="module")
def trained(home: Path) -> Retrained:
    return retrain(home, "response")


@pytest.fixture(scope="module")
def api(home: Path, trained: Retrained) -> Iterator[TestClient]:
    jobs.cut_release(home, clock_of(read_settings(home=home)))
    tokens = make_keys(home)
    with TestClient(create_app(read_settings(home=home))) as client:
        client.headers["Authorization"] = f"Bearer {tokens['service']}"
        yield client


def test_every_event_of_the_files_is_in_the_bank(home: Path, events: pd.DataFrame) -> None:
    rows = {
        name: pq.read_table(home / "bank" / name).num_rows
        for name in ("customer", "txn", "contact", "response", "offer")
    }
    said = events.event.value_counts()
    assert len(events) == 306_534
    assert rows == {
        "customer": 17_000, "txn": said["transaction"], "contact": said["offer received"],
        "response": said["offer completed"], "offer": 10,
    }  # fmt: skip
    opened = pq.read_table(home / "bank" / "contact", columns=["opened_at"]).to_pandas().opened_at.notna().sum()
    assert said["offer viewed"] * 0.95 < opened <= said["offer viewed"]
    assert not list((home / "quarantine").iterdir())


def test_hour_zero_lies_after_the_last_membership_date_and_age_118_is_missing(home: Path) -> None:
    customers = pq.read_table(home / "bank" / "customer").to_pandas()
    assert customers.registered_on.max() < starbucks.HOUR_ZERO.date()
    assert customers.birth_on.isna().sum() == 2_175
    born = customers.birth_on.dropna().map(lambda day: day.year)
    assert starbucks.HOUR_ZERO.year - born.min() < 118


def test_the_closed_month_holds_customers_only(home: Path) -> None:
    (build,) = jobs.standing_builds(home)
    profile = pd.read_parquet(build.path)
    assert build.as_of == date(2018, 7, 31)
    assert len(profile) == 17_000
    assert profile[["tier", "tier_state", "grade", "mda", "n_txn_3m", "n_contacts_3m"]].isna().all().all()
    is_new = profile.tenure_days <= 90
    assert (profile.stage[is_new] == "NEW").all()
    assert (profile.stage[~is_new] == "GROWTH").all()
    assert profile.stage_reason.str.startswith("seeded").all()


def test_tables_that_the_data_set_lacks_are_absent(home: Path) -> None:
    assert sorted(path.name for path in (home / "bank").iterdir()) == [
        "contact",
        "customer",
        "offer",
        "response",
        "txn",
    ]


@pytest.fixture(scope="module")
def portfolio(raw: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (raw / "portfolio.json").read_text().splitlines() if line.strip()]


@pytest.fixture(scope="module")
def by_hand(events: pd.DataFrame, portfolio: list[dict[str, Any]]) -> pd.DataFrame:
    """Viewed, then completed within the duration, told with plain loops over the files: one row a ranked contact."""
    days = {row["id"]: row["duration"] for row in portfolio if row["offer_type"] != "informational"}
    told: dict[tuple[str, str], dict[str, list[int]]] = {}
    for person, event, value, hour in events.itertuples(index=False):
        offer = value.get("offer id", value.get("offer_id"))
        if offer in days:
            told.setdefault((person, offer), {}).setdefault(event, []).append(hour)
    rows = []
    for (person, offer), hours in told.items():
        sent = sorted(hours.get("offer received", []))
        for start, following in zip(sent, [*sent[1:], 10**9], strict=True):
            end = start + 24 * days[offer]
            views = [h for h in hours.get("offer viewed", []) if start <= h < following]
            done = [h for h in hours.get("offer completed", []) if start <= h < following and h <= end]
            rows.append((person, offer, start, end, bool(views) and any(h >= min(views) for h in done)))
    return pd.DataFrame(rows, columns=["person", "offer", "hour", "ends", "converted"])


def test_the_labels_are_those_of_a_plain_loop_over_the_files(home: Path, by_hand: pd.DataFrame) -> None:
    horizon = starbucks.HOUR_ZERO + timedelta(hours=starbucks.LAST_HOUR)
    with open_bank(home) as bank:
        ours = response_labels(bank.known_by(horizon), horizon).to_pandas()
    ours = ours[ours.excluded.isna()]
    hours = (ours.sent_at - pd.Timestamp(starbucks.HOUR_ZERO)).dt.total_seconds() / 3600
    key = pd.MultiIndex.from_arrays([ours.customer_id, ours.offer_id, hours.astype(int)])
    hand = by_hand[by_hand.ends <= starbucks.LAST_HOUR].set_index(["person", "offer", "hour"]).converted
    assert len(hand) == len(ours) > 40_000
    assert pd.Series(ours.is_converted.to_numpy(), key).reindex(hand.index).tolist() == hand.tolist()


def test_ours_beats_profile_and_offer_alone_on_the_purged_test_wave(trained: Retrained) -> None:
    auc = {name: trained.judgement.figures[name]["auc"].value for name in (CONSTANT, PLAIN, OURS)}
    gain = trained.judgement.ours_less_plain
    assert auc[CONSTANT] == 0.5
    assert gain.low > 0
    assert auc[OURS] - auc[PLAIN] == pytest.approx(gain.value)
    assert trained.is_champion


def test_no_training_window_reaches_into_the_test_wave(trained: Retrained, by_hand: pd.DataFrame) -> None:
    closed = by_hand[by_hand.ends <= starbucks.LAST_HOUR]
    assert trained.sizes["train"] == (by_hand.ends <= starbucks.TEST_HOUR).sum()
    assert trained.sizes["test"] == (closed.hour == starbucks.TEST_HOUR).sum() == 7_696


def test_information_is_never_a_row_and_open_windows_are_told_apart(
    trained: Retrained, by_hand: pd.DataFrame, events: pd.DataFrame, portfolio: list[dict[str, Any]]
) -> None:
    informational = {row["id"] for row in portfolio if row["offer_type"] == "informational"}
    received = events[events.event == "offer received"]
    assert trained.excluded["NOT_RANKED"] == sum(value["offer id"] in informational for value in received.value)
    assert trained.excluded["IMMATURE"] == (by_hand.ends > starbucks.LAST_HOUR).sum()


def test_online_and_offline_give_a_member_of_the_wave_the_same_probability(api: TestClient, home: Path) -> None:
    """What Feast joins for the wave, scored in bulk, equals packed rows and ledger, scored at the request."""
    ground = Ground(releases.current(home))
    rules = ground.rulebook(TEST_WAVE.date())
    with open_bank(home) as bank:
        policy = ground.segments
        horizon = starbucks.HOUR_ZERO + timedelta(hours=starbucks.LAST_HOUR)
        frame = response_examples(bank, ground.release.lineage, horizon, policy).frame
    wave = frame[frame.sent_at == pd.Timestamp(TEST_WAVE)].head(400)
    offline = registry.champion(home, "response").read().predict(wave)
    customers = ground.reader.read(wave.customer_id.tolist(), at=TEST_WAVE, day=TEST_WAVE.date())
    with jobs.desk(home, Clock(TEST_WAVE)) as desk:
        facts = customers.facts | moment_facts(len(wave), TEST_WAVE, desk.ledger.recent(customers.ids, TEST_WAVE))
    scores = rules.scorer.score(facts, len(wave), "APP")
    assert scores is not None
    online = scores.p[np.arange(len(wave)), [rules.catalogue.index[offer] for offer in wave.offer_id]]
    assert np.abs(online - offline).max() < 1e-12
    assert np.unique(online).size > 100


def test_churn_is_refused_in_one_sentence(home: Path) -> None:
    with pytest.raises(MissingBuild, match="labels need two built months, 3 apart"):
        retrain(home, "churn")


def test_a_customer_of_the_test_wave_gets_ranked_offers_with_reasons(
    api: TestClient, events: pd.DataFrame, portfolio: list[dict[str, Any]]
) -> None:
    wave = events[(events.event == "offer received") & (events.time == starbucks.TEST_HOUR)].person
    asked = {"customer_ids": wave.iloc[:50].tolist(), "channel": "APP", "limit": 3}
    answer = api.post("/v1/decisions", json=asked)
    assert answer.status_code == 200, answer.text
    decisions = answer.json()["decisions"]
    assert len(decisions) == 50
    assert all(datetime.fromisoformat(d["decided_at"]) - TEST_WAVE < timedelta(seconds=1) for d in decisions)
    offers = [offer for decision in decisions for offer in decision["offers"]]
    assert len(offers) > 25
    assert all(0 < offer["components"]["p"] < 1 and 0 < offer["propensity"] <= 1 for offer in offers)
    assert all(offer["reasons"] and offer["reasons"][0]["text"]["zh"] for offer in offers)
    assert len({offer["components"]["p"] for offer in offers}) > 20
    ranked = {offer["offer_id"] for offer in offers}
    informational = {row["id"] for row in portfolio if row["offer_type"] == "informational"}
    assert not ranked & informational


def test_a_decision_of_the_wave_is_replayed_to_the_bit(api: TestClient, events: pd.DataFrame, home: Path) -> None:
    person = events[(events.event == "offer received") & (events.time == starbucks.TEST_HOUR)].person.iloc[7]
    decision = api.post("/v1/decisions", json={"customer_id": person, "channel": "APP"}).json()
    auditor = {"Authorization": f"Bearer {(home / 'keys' / 'auditor.key').read_text().strip()}"}
    answer = api.post(f"/v1/decisions/{decision['decision_id']}/replay", headers=auditor)
    assert answer.json()["identical"] is True


def test_a_folder_without_the_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadBank, match=r"file of the data set is missing.*portfolio\.json"):
        starbucks.bring_in(tmp_path, tmp_path / "home")
    assert not (tmp_path / "home").exists()
