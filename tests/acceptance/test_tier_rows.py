"""Promises about tier, grade and value: one tier to the fen, its benefits through grace, points, and the books."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from features import profiles
from features.bank.engines import month_end, open_bank
from features.lineages import Build
from features.policy import segments
from features.reconciliation import TOLERANCE_SHARE, reconcile, sentence, unallocated_share
from features.segments.grades import POINTS
from serving import jobs
from serving.cli import app
from serving.releases import cut, switch
from tests.features.conftest import bank_of
from tests.serving.conftest import open_bank as opened
from tests.serving.homes import INSTANT, build, decisions, publish_rows, write_home
from tests.simulation.banks import LAST_ON, Simulated, simulated

__all__ = ["bank_of"]
BOOK = segments()
POLICY = BOOK.view(LAST_ON)
FLOORS = POLICY.tiers.thresholds
AFTER = datetime(2026, 1, 20, tzinfo=UTC)  # rows come up to nine days late
MONTHS = [month_end(date(2025, month, 1)) for month in range(1, 13)]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Simulated, list[Build]]:
    """A simulated bank of a year, and its months."""
    bank = simulated(tmp_path_factory.mktemp("year"), customers=1_000, seed=5)
    return bank, profiles.build(bank.home, BOOK, instant=AFTER, as_of=LAST_ON)


def test_A01_every_customer_of_a_simulated_year_has_one_tier_told_by_the_sum_of_his_days(
    year: tuple[Simulated, list[Build]],
) -> None:
    """The oracle adds up every single day of December in whole fen; the tier follows it unless it is kept."""
    bank, months = year
    frame = pd.read_parquet(months[-1].path).set_index("customer_id")
    answer = bank.sql(
        "SELECT customer_id, sum(((amount - in_transit_amount - loan_proceeds_amount) * 100)::BIGINT) AS fen "
        "FROM {balance} JOIN (SELECT unnest(generate_series(DATE '2025-12-01', DATE '2025-12-31', INTERVAL 1 DAY))"
        "::DATE AS day) ON day >= from_on AND day < coalesce(to_on, DATE '2999-01-01') "
        f"WHERE asset_class <> 'CUSTODY_3P' AND known_at <= TIMESTAMPTZ '{months[-1].available_at}' GROUP BY 1"
    )
    fen = pd.Series(answer["fen"], answer["customer_id"]).reindex(frame.index).fillna(0).clip(lower=0).astype(int)
    names = list(FLOORS)
    earned = fen.map(lambda held: max(i for i, floor in enumerate(FLOORS.values()) if held >= floor * 100 * 31))
    tiers = frame.tier.map(names.index)
    kept = frame.tier_state.isin(["GRACE", "WATCH"])
    assert frame.index.is_unique
    assert set(frame.index) == set(bank.sql("SELECT customer_id FROM {customer}")["customer_id"])
    assert (tiers[~kept] == earned[~kept]).all()
    assert (tiers[kept] > earned[kept]).all()
    assert kept.any()
    assert set(frame.tier) == set(names)


def test_A01_a_rerun_gives_every_month_again_to_the_byte(year: tuple[Simulated, list[Build]], tmp_path: Path) -> None:
    bank, months = year
    (tmp_path / "bank").symlink_to(bank.home / "bank")
    again = profiles.build(tmp_path, BOOK, instant=AFTER, as_of=MONTHS[1])
    assert [build.digest for build in again] == [build.digest for build in months[:2]]


def test_A02_each_tier_has_benefits_and_none_has_less_than_a_lower_one() -> None:
    benefits = POLICY.tiers.benefits
    assert list(benefits) == list(FLOORS)
    assert all(benefits.values())
    better = {"POINTS_X1": "POINTS_X2", "POINTS_X2": "POINTS_X3", "RM_DESK": "OWN_RM", "OWN_RM": "PRIVATE_BANKER"}
    for lower, higher in pairwise(benefits.values()):
        assert {better.get(name, name) for name in set(lower) - set(higher)} <= set(higher)


def test_A02_in_grace_and_watch_the_benefits_of_the_tier_that_is_kept_still_apply(
    bank_of: Callable[..., Path], tmp_path: Path
) -> None:
    """V4 with 300,000 for seven months: kept for six, V3 in the seventh; decision and portrait say its benefits."""
    ends = [date(2024, 1, 31)]
    while len(ends) < 8:
        ends.append(month_end(ends[-1] + timedelta(days=1)))
    rows = [
        {"customer_id": "c", "from_on": end.replace(day=1), "to_on": end + timedelta(days=1), "amount": amount}
        for end, amount in zip(ends, [600_000, *[300_000] * 7], strict=True)
    ]
    home = bank_of(customer=[{"customer_id": "c"}], balance=rows)
    builds = profiles.build(home, BOOK, instant=datetime(2024, 9, 2, tzinfo=UTC))
    held = [pd.read_parquet(build.path).iloc[0] for build in builds]
    assert [row.tier_state for row in held] == ["SEEDED", *["GRACE"] * 3, *["WATCH"] * 3, "NORMAL"]
    told = []
    for row in (held[1], held[4], held[7]):
        told.append(benefits_told(tmp_path / row.tier_state, row))
    v4, v3 = list(POLICY.tiers.benefits["V4"]), list(POLICY.tiers.benefits["V3"])
    assert told == [(v4, v4), (v4, v4), (v3, v3)]
    assert v4 != v3


def benefits_told(home: Path, row: Any) -> tuple[list[str], list[str]]:
    """Benefits in the decision and in the portrait of a customer with this row's tier, over HTTP."""
    write_home(home, with_models=False)
    state = {name: row[name] for name in ("tier", "tier_state", "mda", "tier_floor", "next_floor")}
    publish_rows(home, at=INSTANT, changes={"C-USUAL": state | {"months_below": int(row.months_below)}})
    release = cut(home, segments=BOOK, decisions=decisions(), champions={}, now=INSTANT, build=build(home))
    switch(home, release)
    for bank in opened(home):
        portrait = bank.ask("GET", "/v1/customers/C-USUAL").json()
        return bank.decide()["benefits"], portrait["tier"]["benefits"]
    raise AssertionError("the API did not start")


def test_A04_the_two_worked_customers_have_their_points_in_a_real_build(bank_of: Callable[..., Path]) -> None:
    """2,000,000 and a service: 30.68; 30,000, nine services, 30 transactions of 40,000, 12 app days, 4 ways: 62.55."""
    days = [date(2024, 1, day) for day in range(1, 31)]
    event = {"customer_id": "busy", "event": "LOGIN"}
    events = [
        event | {"business_on": day, "channel": "APP", "service_id": f"s{i % 9}"} for i, day in enumerate(days[:12])
    ]
    events += [event | {"business_on": days[0], "channel": channel} for channel in ("WEB", "WECHAT", "BRANCH")]
    home = bank_of(
        customer=[{"customer_id": "idle"}, {"customer_id": "busy"}],
        balance=[{"customer_id": "idle", "amount": 2_000_000}, {"customer_id": "busy", "amount": 30_000}],
        txn=[{"customer_id": "busy", "business_on": day, "amount": "1333.33", "channel": "APP"} for day in days[1:]]
        + [{"customer_id": "busy", "business_on": days[0], "amount": "1333.43", "channel": "APP"}],
        channel_event=[*events, {"customer_id": "idle", "business_on": days[0], "event": "VIEW", "channel": "APP",
                                 "service_id": "s1"}],
    )  # fmt: skip
    (month,) = profiles.build(home, BOOK, instant=datetime(2024, 2, 2, tzinfo=UTC))
    rows = pd.read_parquet(month.path).set_index("customer_id")
    assert rows.txn_amount_3m["busy"] == 40_000
    assert rows.grade_score["busy"] == pytest.approx(62.55, abs=0.01)
    assert rows.grade_score["idle"] - rows.grade_channels["idle"] == pytest.approx(30.68, abs=0.01)
    assert rows.grade.to_dict() == {"idle": "D", "busy": "B"}
    assert rows.value_12m.notna().all()


def test_A04_points_add_up_and_rise_with_each_factor_over_a_whole_year(year: tuple[Simulated, list[Build]]) -> None:
    """Whoever has no less of anything has no fewer points: tried on all pairs of customers of each month."""
    _, months = year
    figures = ["mda", "n_services_3m", "n_txn_3m", "txn_amount_3m", "app_days_1m", "n_channels_3m"]
    compared = 0
    for month in months[2::3]:
        frame = pd.read_parquet(month.path)
        assert np.allclose(frame[list(POINTS.values())].sum(axis=1), frame.grade_score, rtol=0, atol=1e-6)
        rows, scores = frame[figures].to_numpy(float), frame.grade_score.to_numpy()
        for row, score in zip(rows, scores, strict=True):
            above = (rows >= row).all(axis=1)
            assert (scores[above] >= score - 1e-6).all()
            compared += int(above.sum()) - 1
    assert compared > 10_000


def test_A07_value_adds_up_to_the_product_ledger_by_product_and_month(year: tuple[Simulated, list[Build]]) -> None:
    bank, months = year
    with open_bank(bank.home) as connected:
        table = reconcile(connected, BOOK, MONTHS, known_at=AFTER)
    products = table[table.product_id.notna()]
    assert products.is_within.all(), products[~products.is_within.astype(bool)]
    assert len(products) > 200
    for _, month in products.groupby("on"):
        assert abs(month.gap.sum()) <= TOLERANCE_SHARE * month.booked.sum()
    value = pd.read_parquet(months[-1].path).value_12m.sum()
    demand = table.earned[table.product_id.isna()].sum()
    assert value == pytest.approx(products.booked.sum() + demand, rel=TOLERANCE_SHARE)
    no_product = table.booked[table.product_id.isna()].sum() / table.booked.sum()
    assert 0 < no_product < 0.1
    assert abs(unallocated_share(table)) < no_product
    told = f"booked under no product {no_product:.2%}, allocated to nobody {unallocated_share(table):.2%}."
    assert told in sentence(table)
    assert sentence(table).endswith("Every product agrees in every month.")


def test_A07_a_product_that_the_policy_forgets_is_seen(year: tuple[Simulated, list[Build]]) -> None:
    """The same books against a policy that lets deposits earn a basis point less."""
    bank, _ = year
    sections = dict(BOOK.sections)
    products = sections["value"]["products"]
    lower = {"unit": "bp", "source": "A07", "since": {date(1990, 1, 1): {"bp_balance": 89}}}
    sections["value"] = sections["value"] | {"products": products | {"P06": lower}}
    with open_bank(bank.home) as connected:
        table = reconcile(connected, type(BOOK)(type(POLICY), sections), MONTHS[:2], known_at=AFTER)
    outside = table[table.is_within.eq(False)]
    assert set(outside.product_id) == {"P06"}
    assert (outside.gap / outside.booked).tolist() == pytest.approx([1 / 90] * 2, rel=0.05)
    assert "P06 in 2025-01" in sentence(table)


def test_A07_a_build_ends_with_the_books_and_the_share_that_is_allocated_to_nobody(tmp_path: Path) -> None:
    home = tmp_path / "home"
    jobs.simulate(home, customers=800, months=3, seed=5, last_on=jobs.LAST_SIMULATED, progress=lambda what, share: None)
    answer = CliRunner().invoke(app, ["build", "--home", str(home), "--json"])
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)["reconciliation"]
    with open_bank(home) as bank:
        now = datetime.fromisoformat(json.loads((home / "home.json").read_text())["instant"])
        table = reconcile(bank, jobs.segments_book(home), [date(2025, 11, 30)], known_at=now)
    assert (told["on"], told["disagreeing"]) == ("2025-11-30", [])
    assert told["unallocated_share"] == pytest.approx(unallocated_share(table))
    assert told["says"] == sentence(table)
    printed = CliRunner().invoke(app, ["build", "--home", str(home)]).stdout
    assert f"allocated to nobody {told['unallocated_share']:.2%}" in printed
    shutil.rmtree(home / "bank" / "product_ledger")
    without = CliRunner().invoke(app, ["build", "--home", str(home), "--json"])
    assert json.loads(without.stdout)["reconciliation"] is None
