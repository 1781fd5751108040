"""A challenger in a release: in shadow it decides nothing, with a share it decides for those a stable hash draws."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decisioning.arms import unit_hash
from decisioning.case import plain_of
from decisioning.inputs import CHALLENGER, CHAMPION
from decisioning.policy import decisions
from features.errors import BadRequest, NotFound
from features.policy import segments
from serving.desk.ground import Ground, Rulebook
from serving.desk.moment import moment_facts
from serving.models.shadow import compare
from serving.releases import Release, current, cut, release_of, rollback, switch, verify
from serving.shipping import MOST_SHARE, Beside
from tests.serving.conftest import Bank, open_bank
from tests.serving.homes import CUSTOMERS, INSTANT, build
from tests.serving.test_evaluating import EVERYBODY, with_bank_tables
from tests.serving.test_scoring import rows_of
from training.calibration import Calibration
from training.fitted import FittedModel

DAY = INSTANT.date()
DRAWN = "C-USUAL"  # whom the hash of this year draws first of the home's customers, see below


def challenger(home: Path) -> Path:
    """The response champion with every probability halved: what it says is known without asking it."""
    folder = home / "challengers" / "response"
    champion = FittedModel.read(home / "champions" / "response")
    halved = Calibration(champion.calibration.x, tuple(y / 2 for y in champion.calibration.y))
    rows = {feature.name: [None if feature.codes else np.nan] for feature in champion.recipe.features}
    FittedModel(champion.name, champion.text, champion.recipe, halved, champion.shares).write(
        folder, pd.DataFrame(rows)
    )
    return folder


def cut_with(home: Path, share: float) -> Release:
    champions = {name: home / "champions" / name for name in ("response", "churn")}
    beside = Beside(challengers={"response": challenger(home)}, challenging={"response": 7}, share=share)
    release = cut(home, segments=segments(), decisions=decisions(), champions=champions, now=INSTANT,
                  build=build(home), beside=beside)  # fmt: skip
    switch(home, release)
    return release


def everybody(rules: Rulebook) -> list[str]:
    """Ten thousand made-up customers whom the challenger scores under `rules`."""
    return [name for name in (f"C{n}" for n in range(10_000)) if rules.scorer_of(name, DAY)[1] == CHALLENGER]


@pytest.fixture(scope="module")
def shadowed(written_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("shadowed") / "home"
    shutil.copytree(written_home, home)
    cut_with(home, 0.0)
    return home


@pytest.fixture(scope="module")
def shadow_bank(shadowed: Path) -> Iterator[Bank]:
    yield from open_bank(shadowed)


def test_the_manifest_names_the_challenger_its_version_and_share_and_hashes_its_files(shadowed: Path) -> None:
    release = current(shadowed)
    assert release.manifest["challenger"] == {"models": ["response"], "versions": {"response": 7}, "share": 0.0}
    assert {f"challengers/response/{name}" for name in ("model.txt", "recipe.json")} <= set(release.manifest["files"])
    (release.folder / "challengers" / "response" / "extra").touch()
    verify(release)
    text = (release.folder / "challengers" / "response" / "shares.json").read_text()
    (release.folder / "challengers" / "response" / "shares.json").write_text("[1]")
    with pytest.raises(Exception, match="not the one released"):
        verify(release)
    (release.folder / "challengers" / "response" / "shares.json").write_text(text)


def test_in_shadow_every_decision_is_the_champions_to_the_bit(shadow_bank: Bank, bank: Bank) -> None:
    for customer_id in CUSTOMERS:
        with_it, without = (one.decide(customer_id, dry_run=True) for one in (shadow_bank, bank))
        assert [slot["components"] for slot in with_it["offers"]] == [slot["components"] for slot in without["offers"]]
        assert [slot["score"] for slot in with_it["offers"]] == [slot["score"] for slot in without["offers"]]
        assert with_it["marks"] == without["marks"]
    assert everybody(shadow_bank.desk.rulebook()) == []


@pytest.fixture(scope="module")
def tried(shadowed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("tried") / "home"
    shutil.copytree(shadowed, home)
    cut_with(home, MOST_SHARE)
    return home


def test_a_share_is_drawn_by_a_stable_hash_of_its_own(tried: Path) -> None:
    ground = Ground(current(tried))
    rules = ground.rulebook(DAY)
    drawn = everybody(rules)
    assert len(drawn) / 10_000 == pytest.approx(MOST_SHARE, abs=0.007)
    assert drawn == everybody(ground.rulebook(DAY))
    held_out = {f"C{n}" for n in range(10_000) if unit_hash("GLOBAL", DAY.year, f"C{n}") < MOST_SHARE}
    assert len(held_out & set(drawn)) < 60, "of 500, chance puts 25 into both"
    ground.close()


def test_whom_it_draws_it_scores_and_the_decision_names_it_and_replays(
    tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five customers a share of 5 % draws none, so the hash is told to draw one."""
    monkeypatch.setattr("serving.desk.ground.unit_hash", lambda _salt, _year, name: 0.0 if name == DRAWN else 1.0)
    for bank in open_bank(tried):
        answer, other = bank.decide(DRAWN), bank.decide("C-WEALTHY")
        assert "CHALLENGER" in {mark["code"] for mark in answer["marks"]}
        assert "CHALLENGER" not in {mark["code"] for mark in other["marks"]}
        champion = p_of(bank.desk.rulebook().scorer, bank, DRAWN)
        for slot in answer["offers"]:
            said = slot["components"]["p"]
            assert said == 1.0 or said == pytest.approx(champion[slot["offer_id"]] / 2, rel=1e-9)
        for one in (answer, other):
            again = bank.ask("POST", f"/v1/decisions/{one['decision_id']}/replay", role="auditor").json()
            assert again["identical"], again["differences"]


def test_in_arrays_each_customer_is_scored_by_whoever_scores_him_alone(
    tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.desk.ground.unit_hash", lambda _salt, _year, name: 0.0 if name == DRAWN else 1.0)
    monkeypatch.setattr("serving.desk.deciding.MOST_ALONE", 0)
    for bank in open_bank(tried):
        together = bank.ask(
            "POST", "/v1/decisions", json={"customer_ids": list(CUSTOMERS), "channel": "APP", "dry_run": True}
        ).json()["decisions"]
        monkeypatch.setattr("serving.desk.deciding.MOST_ALONE", 16)
        for one in together:
            alone = bank.decide(one["customer_id"], dry_run=True)
            assert [slot["components"] for slot in alone["offers"]] == [s["components"] for s in one["offers"]]
            assert (alone["marks"], one["customer_id"] == DRAWN) == (
                one["marks"], "CHALLENGER" in {mark["code"] for mark in one["marks"]},
            )  # fmt: skip


def p_of(scorer: Any, bank: Bank, customer_id: str, channel: str = "APP") -> dict[str, float]:
    facts = bank.desk.ground().reader.read([customer_id], at=INSTANT, day=DAY).facts | moment_facts(
        1, INSTANT, rows_of([])
    )
    p = scorer.score_each([plain_of(facts)], [channel])[0].p
    return dict(zip(scorer.catalogue.offer_ids, p, strict=True))


@pytest.mark.parametrize("share", [-0.01, 0.051, 1.0])
def test_a_share_outside_its_bounds_is_refused(share: float) -> None:
    with pytest.raises(BadRequest, match="share of a challenger"):
        Beside(challengers={"response": Path()}, share=share)
    with pytest.raises(BadRequest, match="without a challenger"):
        Beside(share=0.01)


def test_a_roll_back_takes_the_challenger_away_and_a_release_from_before_has_none(tried: Path) -> None:
    with_share = current(tried)
    assert rollback(tried).challenger_share == 0.0
    first = rollback(tried)
    assert (first.challengers, first.challenger_share, first.shift("response")) == ((), 0.0, 0.0)
    old = {name: value for name, value in first.manifest.items() if name not in ("challenger", "recalibration")}
    assert Release(first.folder, old).challengers == ()
    assert Ground(first).rulebook(DAY).scorer_of("C1", DAY)[1] == CHAMPION
    switch(tried, release_of(tried, with_share.id))


def test_the_shadow_is_asked_of_the_decisions_that_were_made_and_every_row_is_kept(shadow_bank: Bank) -> None:
    """p of the challenger is half the champion's, so that its mean move and its first choices are known beforehand."""
    made = {customer: shadow_bank.decide(customer)["decision_id"] for customer in CUSTOMERS}
    shadow_bank.decide("C-USUAL", channel="RM")
    found = compare(shadow_bank.desk)
    assert (found.n_decisions, found.models, found.share) == (len(CUSTOMERS), ("response",), 0.0)
    rows = pd.read_parquet(shadow_bank.home / "reports" / "challenger" / f"{found.release_id}.parquet")
    assert set(rows["decision_id"]) == set(made.values())
    sold = rows.dropna(subset=["p_champion"])
    assert len(sold) > 1
    silent = sold["customer_id"] == "C-SILENT"  # no personal recommendation: both say the policy's prior
    np.testing.assert_allclose(sold[~silent]["p_challenger"], sold[~silent]["p_champion"] / 2, rtol=1e-9)
    np.testing.assert_array_equal(sold[silent]["p_challenger"], sold[silent]["p_champion"])
    moved = (rows["p_challenger"] - rows["p_champion"]).abs().mean()
    assert found.mean_moved == pytest.approx(moved)
    assert found.other_first == (rows["first_champion"] != rows["first_challenger"]).mean()
    assert (found.n_outcomes, found.less_auc) == (0, None)
    assert "no judgement yet: 0 of 0 first choices taken" in found.sentence()


def test_closed_windows_judge_both_and_few_conversions_judge_neither(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of every p ranks alike and tells less: no AUC is gained, and the log loss differs by what is known of it."""
    cut_with(home, 0.0)
    for bank in open_bank(home):
        with_bank_tables(home)
        answers = {who: bank.decide(who) for who in EVERYBODY}
        made = {who: answer["offers"][0] for who, answer in answers.items() if answer["offers"]}
        buyers = sorted(made)[: len(made) // 2]
        told = [{"event_id": f"E-{who}", "placement_id": made[who]["placement_id"], "outcome": "converted",
                 "occurred_at": answers[who]["decided_at"]} for who in buyers]  # fmt: skip
        assert bank.ask("POST", "/v1/responses", json=told).status_code == 200
        p = {who: p_of(bank.desk.rulebook().scorer, bank, who, "")[made[who]["offer_id"]] for who in made}
    for later in open_bank(home, as_of=INSTANT + timedelta(days=60)):
        few = compare(later.desk)
        assert (few.n_outcomes, few.n_converted, few.less_auc, few.less_loss) == (len(made), len(buyers), None, None)
        monkeypatch.setattr("serving.models.shadow.LEAST_CONVERSIONS", len(buyers))
        found = compare(later.desk)
    assert found.less_auc is not None
    assert found.less_loss is not None
    assert (found.less_auc.value, found.less_auc.low, found.less_auc.high) == (0.0, 0.0, 0.0)
    loss = {who: (np.log(2) if who in buyers else np.log((1 - p[who]) / (1 - p[who] / 2))) for who in made}
    assert found.less_loss.value == pytest.approx(np.mean(list(loss.values())), rel=1e-6)
    assert "not distinguishable from the champion" in found.sentence()


def test_nothing_is_compared_where_there_is_no_challenger(bank: Bank) -> None:
    with pytest.raises(NotFound, match="carries no challenger"):
        compare(bank.desk)
