"""docs/own.md, run word by word on a small simulated bank: a feature and two models of the bank's own arrive."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features import feast_views, profiles
from features.bank.engines import open_bank
from features.own import BadFeature, Month, own_views, write_missing
from features.profiles import Build
from serving import jobs
from serving.api.documents import DecisionRequest
from serving.cli import app
from serving.desk.deciding import Desk
from serving.desk.making import Inquiry
from serving.month.base_growth import growth_of
from serving.month.month_drift import CALENDAR, drift_of
from serving.portrait.portraying import known_of
from serving.settings import Settings, clock_of
from training import registry
from training.gathering import gather
from training.ground import ground_of
from training.retrain import learn

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).parents[2] / "docs" / "own.md").read_text("utf-8")
FEATURE, ONLINE, NIGHT = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
WHERE = re.findall(r"`HOME/(features/\w+\.py)`", PAGE)[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A simulated bank with the page's feature, built; the process stands where `.tiercel` is its home."""
    place = tmp_path_factory.mktemp("own")
    home = place / ".tiercel"
    jobs.simulate(home, customers=1_500, months=12, seed=5, last_on=jobs.LAST_SIMULATED, progress=lambda *_: None)
    (home / "features").mkdir()
    (home / WHERE).write_text(FEATURE, "utf-8")
    said(home, "build")
    before = Path.cwd()
    os.chdir(place)
    yield home
    os.chdir(before)


def said(home: Path, *words: str) -> str:
    answer = CliRunner().invoke(app, [*words, "--home", str(home)])
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def run(page: str) -> dict[str, Any]:
    """A program of the page, as if it were a file."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(page, "docs/own.md", "exec"), names)  # the page is ours
    return names


def by_hand(home: Path, build: Build) -> pd.Series:
    """The share of own payments to other banks in a month, as known when its profile appeared, by another program."""
    paid = pd.concat([pq.read_table(path).to_pandas() for path in sorted((home / "bank" / "txn").glob("*.parquet"))])
    in_month = pd.to_datetime(paid["business_on"]).dt.strftime("%Y-%m") == f"{build.as_of:%Y-%m}"
    paid = paid[paid["by_customer"] & in_month & (paid["known_at"] <= build.available_at)]
    amount, who = paid["amount"].astype(float), paid["customer_id"]
    return (amount * (paid["counterparty"] == "OTHER_BANK")).groupby(who).sum() / amount.groupby(who).sum()


def decided(home: Path, customer_ids: list[str]) -> dict[str, dict[str, Any]]:
    """What decisions about these customers stood on, as the ledger keeps it."""
    desk = Desk.open(Settings(home=home), clock_of(Settings(home=home)))
    try:
        rows = desk.decide(Inquiry(DecisionRequest(customer_ids=tuple(customer_ids), channel="APP"), customer_ids)).rows
    finally:
        desk.close()
    return {row.customer_id: json.loads(row.inputs) for row in rows}


def test_the_pages_feature_stands_offline_and_online_and_in_training(home: Path) -> None:
    (view,) = own_views(home)
    builds = list(profiles.builds(home))
    assert all(view.path(home, build).exists() for build in builds)
    last = builds[-1]
    kept = pq.read_table(view.path(home, last)).to_pandas().set_index("customer_id")["outside_share_1m"]
    assert len(kept) == last.n_customers
    shares = by_hand(home, last)
    assert 0 < shares.mean() < 1
    pd.testing.assert_series_equal(kept.dropna(), shares.reindex(kept.dropna().index), check_names=False, rtol=1e-9)
    assert set(kept[kept.isna()].index) & set(shares.index) == set()

    examples = gather(ground_of(home), "churn").examples
    assert [column.name for column in examples.own] == ["outside_share_1m"]
    seen = examples.frame[["customer_id", "sent_at", "outside_share_1m"]].dropna()
    first = pd.to_datetime(seen["sent_at"]).min()
    rows = seen[pd.to_datetime(seen["sent_at"]) == first].set_index("customer_id")
    build = next(build for build in builds if f"{first - timedelta(hours=1):%Y-%m}" == f"{build.as_of:%Y-%m}")
    np.testing.assert_allclose(rows["outside_share_1m"], by_hand(home, build).reindex(rows.index), rtol=1e-9)

    said(home, "day")
    ids = list(shares.index[:5])
    clock = clock_of(Settings(home=home))
    found = feast_views.online(home, last.lineage, "decision_v1", ids, at=clock.now())
    np.testing.assert_allclose(found["outside_share_1m"], shares.loc[ids], rtol=1e-9)


def test_the_pages_text_is_judged_promoted_by_a_second_person_and_served(home: Path) -> None:
    done = run(ONLINE)["done"]
    assert len(done.verdict.gates) == 9
    version = registry.version_of(home, "churn", done.version)
    assert (version.facts["author"], version.aliases) == ("Zhou Min", ())
    mine = version.read()
    assert "outside_share_1m" in mine.recipe.names
    registry.crown(home, "churn", done.version)  # its gates are another test's; here the bank takes it as it is
    said(home, "day")
    said(home, "release", "cut")
    desk = Desk.open(Settings(home=home), clock_of(Settings(home=home)))
    try:
        ids = desk.ground().reader.customer_ids()[:50]
        found = [known_of(desk, customer_id, desk.clock.now()) for customer_id in ids]
    finally:
        desk.close()
    served = np.array([one.facts["p_churn"][0] for one in found if one is not None])
    last = list(profiles.builds(home))[-1]
    (view,) = own_views(home)
    profile = pq.read_table(last.path).to_pandas().merge(pq.read_table(view.path(home, last), columns=[
        "customer_id", "outside_share_1m"]).to_pandas(), on="customer_id").set_index("customer_id")  # fmt: skip
    asked = [one.customer_id for one in found if one is not None and one.customer_id in profile.index]
    known = np.isin([one.customer_id for one in found if one is not None], asked)
    np.testing.assert_allclose(served[known], mine.predict(profile.loc[asked]), rtol=0, atol=1e-12)


def test_drift_tells_score_and_own_feature_of_a_champion_beside_the_last_month_it_saw(home: Path) -> None:
    """The champion of the page, as if it had seen until the end of October."""
    champion = registry.champion(home, "churn")
    registry.note(home, "churn", champion.version, "horizon", "2025-10-31T16:00:00+00:00")
    try:
        told = drift_of(home, list(profiles.builds(home))[-1].as_of)
    finally:
        registry.note(home, "churn", champion.version, "horizon", champion.facts["horizon"])
    found = told["champions"]["churn"]
    assert set(found) == {"score", *champion.read().recipe.names}
    assert {"outside_share_1m"} < set(found) & set(told["month_before"])
    score = found["score"]
    assert 0 < score["noise"] < 0.5
    assert min(score["n_before"], score["n_now"]) > 1_000


def test_a_champion_that_asks_for_a_column_the_month_was_built_without_has_no_score_of_drift(home: Path) -> None:
    """And the rest of its features has; money is not foretold by it either, and no other champion is disturbed."""
    champion, month = registry.champion(home, "churn"), list(profiles.builds(home))
    october, november = (next(one for one in month if one.as_of.month == number) for number in (10, 11))
    kept = {one: one.path.read_bytes() for one in (october, november)}
    for one in kept:
        pq.write_table(pq.read_table(one.path).drop_columns(["age"]), one.path)
    registry.note(home, "churn", champion.version, "horizon", "2025-10-31T16:00:00+00:00")
    try:
        told, grown = drift_of(home, month[-1].as_of), growth_of(home, month[-1].as_of)
    finally:
        registry.note(home, "churn", champion.version, "horizon", champion.facts["horizon"])
        for one, content in kept.items():
            one.path.write_bytes(content)
    assert set(told["champions"]["churn"]) == set(champion.read().recipe.names) - {"age"}
    assert "age (there since 2025-12)" not in told["says"], "earlier months hold it"
    assert "age (there since" in told["says"]
    assert "churn" not in grown["foretold"]


def test_the_pages_night_model_arrives_among_the_facts_of_decisions(home: Path) -> None:
    run(NIGHT)
    assert "customers scored by need" in said(home, "score-own", "need")
    said(home, "day")
    said(home, "release", "cut")
    last = list(profiles.builds(home))[-1]
    profile = pq.read_table(last.path).to_pandas().set_index("customer_id")
    expected = (profile["aum_end"] * by_hand(home, last).reindex(profile.index)).fillna(0.0)
    ids = list(expected.sort_values(ascending=False).index[:5])
    facts = decided(home, ids)
    assert [facts[one]["facts"]["need_score"] for one in ids] == pytest.approx(list(expected[ids]), rel=1e-9)
    assert expected[ids].min() > 0


@pytest.mark.parametrize("model", ["next_step", "response"])
def test_the_feature_is_learnt_from_by_every_model_of_customers_and_offers(home: Path, model: str) -> None:
    """And what their champions say is followed month by month: here the newest beside that of October."""
    done = learn(home, model)
    registry.note(home, model, done.version, "horizon", "2025-10-31T16:00:00+00:00")
    registry.crown(home, model, done.version)  # its gates are another test's
    asked = [feature.name for feature in registry.champion(home, model).read().recipe.features if not feature.of_offer]
    assert "outside_share_1m" in asked
    months = list(profiles.builds(home))
    told = drift_of(home, months[-1].as_of)["champions"][model]
    assert set(told) == {"score", *asked} - CALENDAR
    for one in told.values():
        assert (one["n_before"], one["n_now"]) == (months[-3].n_customers, months[-1].n_customers)
    if model == "response":
        assert min(told[fact]["psi"] for fact in ("aum_now", "n_contacts_30d", "outside_share_1m")) > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("COLUMNS = ()", "lacks COLUMNS or rows"),
        ("x = 1 / 0", "division by zero"),
        (FEATURE.replace("outside_share_1m", "mda"), "a fact of this name is there already"),
        (FEATURE.replace(', "paid nothing"', ""), "what a missing value means"),
    ],
)
def test_a_file_that_does_not_say_what_it_must_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / WHERE).write_text(text, "utf-8")
    with pytest.raises(BadFeature, match=said):
        own_views(tmp_path)


def test_what_became_known_later_reaches_no_earlier_month(home: Path) -> None:
    """A month's rows end with the month and with what its profile could know, whatever the tables hold by now."""
    (view, build) = own_views(home)[0], list(profiles.builds(home))[2]
    with open_bank(home) as bank:
        month = Month(build.as_of.replace(day=1), build.as_of, bank.known_by(build.available_at))
        rows = month.rows("txn").aggregate(last=lambda t: t.business_on.max(), known=lambda t: t.known_at.max())
        (told,) = rows.to_pandas().to_dict("records")
    assert pd.Timestamp(told["last"]).date() <= build.as_of
    assert told["known"] <= build.available_at
    assert write_missing(home) == 0  # every month stands
    path = home / WHERE
    path.write_text(FEATURE + "\n# changed\n", "utf-8")
    try:
        assert own_views(home)[0].folder != view.folder
        assert write_missing(home) == len(list(profiles.builds(home)))
    finally:
        path.write_text(FEATURE, "utf-8")
