"""Promises about what the bank's word brings about, on the randomised arms of a simulated bank and beside its truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from features.bank.engines import Bank, open_bank
from features.errors import UserMistake
from features.policy import segments
from features.profiles import build
from insight.conversion_costs import Spent, change, cost_of
from insight.horizons import LongRun, long_run
from serving import jobs
from simulation import HookTest, simulate
from training.arms import arm_examples
from training.boosting import Parameters
from training.examples import instants, split_by_time
from training.ground import FACTS
from training.judging.effects import HeldArms, Targeted, in_the_same_channels, targeted, top
from training.models import uplift

pytestmark = pytest.mark.slow
CUSTOMERS, MONTHS, SEED = 20_000, 24, 17
HORIZON = datetime(2026, 1, 1, tzinfo=UTC)
NEW_OFFERS = ("H01-P04", "H01-P05", "H01-P24", "H01-P25", "H01-P27", "H01-P30")  # each pays 10 in cash
TESTS = (
    *(HookTest(f"NEW{place}", offer, "FIRST_PRODUCT", mean_p1=0.3) for place, offer in enumerate(NEW_OFFERS)),
    *(HookTest(f"OLD{place}", offer, "DECLINE", mean_p1=0.3) for place, offer in enumerate(("H01-P05", "H01-P24"))),
)
SHARE = 0.5


class Trial:
    """Cash campaigns drawn by lot; the later half of the arms judges a model that learnt from the earlier half."""

    def __init__(self, home: Path) -> None:
        self.home = home
        offers = jobs.offer_rows(jobs.decisions_book(home), date(2023, 12, 31))
        simulate(home, customers=CUSTOMERS, months=MONTHS, seed=SEED, offers=offers, hooks=TESTS)
        lineage = build(home, segments(), instant=datetime(2024, 3, 6, tzinfo=UTC))[-1].lineage
        with self.bank() as bank:
            examples = arm_examples(bank, lineage, HORIZON, segments().view(date(2025, 12, 31)))
        rows = examples.frame
        split = split_by_time(instants(rows["sent_at"]), instants(rows["closes_at"]), test_share=0.5)
        few = Parameters(n_rounds=60, n_leaves=7, min_leaf_rows=50)
        self.model = uplift.train(examples, split, facts=FACTS, parameters=few)
        held = rows[split.test]
        held = held.assign(effect=self.model.ours.predict(held), experiment=held["experiment_id"].str[:3])
        told = self.sql("SELECT customer_id, campaign_id, offer_id, business_on, channel, cost_amount::DOUBLE AS cost "
                        "FROM contact")  # fmt: skip
        truth = self.sql("SELECT experiment_id, customer_id, p0, p1, cash FROM arms "
                         "JOIN latents USING (customer_id)")  # fmt: skip
        self.held = (
            held.assign(campaign_id=held["experiment_id"].str.split("-").str[0])
            .merge(told.drop_duplicates(["customer_id", "campaign_id"]).drop(columns=["offer_id", "business_on"]),
                   on=["customer_id", "campaign_id"], how="left")
            .merge(truth, on=["experiment_id", "customer_id"])
        )  # fmt: skip

    @contextmanager
    def bank(self) -> Iterator[Bank]:
        with open_bank(self.home) as bank:
            yield bank

    def sql(self, query: str) -> pd.DataFrame:
        """The answer of a query over the bank's tables and, for judges, the files of its truth."""
        files = {name: f"bank/{name}/*" for name in ("assignment", "balance", "contact")}
        files |= {name: f"truth/{name}" for name in ("arms", "latents", "treatments")}
        with duckdb.connect() as con:
            for name, path in files.items():
                con.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{self.home}/{path}.parquet')")
            found: pd.DataFrame = con.sql(query).df()
        return found


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("arms") / "home")


def compared(rows: pd.DataFrame) -> Targeted:
    """The half ranked first against as many at random, by the same channels; checked against the bank's truth."""
    held, scores = HeldArms.of(rows), rows["effect"].to_numpy()
    found = targeted(held, scores, SHARE, rows["channel"].to_numpy(dtype=object))
    true_effect = (rows["p1"] - rows["p0"]).to_numpy()
    truth = np.average(true_effect, weights=top(scores, SHARE)) - true_effect.mean()
    assert truth > 0
    assert found.points.low <= truth <= found.points.high
    return found


def test_E09_at_equal_budget_and_channel_targeting_beats_no_targeting_in_points_and_relative(tested: Trial) -> None:
    found = compared(tested.held)
    assert found.is_better, found.sentence()
    assert found.relative.low > 0
    assert found.n_contacts == pytest.approx(len(tested.held) / 2), "as many contacts on both sides"
    said = found.sentence()
    for one in (found.points, found.relative):
        assert f"{one.value:+.0%}" in said or f"{100 * one.value:+.2f} [{100 * one.low:+.2f}" in said
    held, member = HeldArms.of(tested.held), top(tested.held["effect"].to_numpy(), SHARE)
    channels = tested.held["channel"].to_numpy(dtype=object)
    weights = in_the_same_channels(held, member, channels)
    for channel in set(channels[held.told]):
        by = held.told & (channels == channel)
        assert weights[by].sum() / weights[held.told].sum() == pytest.approx(by.sum() / held.told.sum())


def test_E09_targeting_beats_no_targeting_on_new_customers_too(tested: Trial) -> None:
    new = tested.held[tested.held["experiment"] == "NEW"]
    days = pd.to_datetime(new["business_on"]) - pd.to_datetime(new["first_product_on"])
    assert days.max() <= pd.Timedelta(days=31), "each opened his first product in the month before"
    found = compared(new)
    assert found.is_better, found.sentence()
    assert found.relative.low > 0


def test_E09_those_ranked_first_are_the_ones_who_care_for_cash(tested: Trial) -> None:
    """Sensitivity to cash is nobody's knowledge but the truth's; it shows in money and age."""
    member = top(tested.held["effect"].to_numpy(), SHARE)
    assert np.average(tested.held["cash"], weights=member) > tested.held["cash"].mean() + 0.03


def spent(rows: pd.DataFrame) -> Spent:
    hits = rows["outcome"].to_numpy(dtype=float)
    reward = rows["offer_reward_amount"].astype(float).to_numpy() * hits
    return Spent(hits, {"contact": rows["cost"].to_numpy(dtype=float), "reward": reward})


def test_E10_cost_per_conversion_falls_and_both_sides_count_the_same_costs(tested: Trial) -> None:
    """Before: half of those who were told, by lot. After: the half ranked first, told by the same channels."""
    told = tested.held[tested.held["is_treated"] == 1].reset_index(drop=True)
    first = top(told["effect"].to_numpy(), SHARE) > 0.5
    by_lot = np.random.default_rng(0).permutation(len(told)) < first.sum()
    found = change(spent(told[by_lot]), spent(told[first]))
    assert found.scope == ("contact", "reward")
    for side, rows in ((found.before, told[by_lot]), (found.after, told[first])):
        by_hand = rows["cost"].sum() + 10 * rows["outcome"].sum()
        assert side.amount == pytest.approx(by_hand / rows["outcome"].sum())
        assert side.spent == pytest.approx(by_hand)
    assert found.is_cheaper, found.sentence()
    assert found.relative is not None
    assert found.relative[2] < 0
    with pytest.raises(UserMistake, match="do not count the same costs"):
        change(spent(told[by_lot]), Spent(np.ones(3), {"contact": np.ones(3)}))


def test_E10_ten_a_head_at_one_percent_is_a_thousand_and_no_conversion_is_no_zero() -> None:
    one_percent = Spent((np.arange(5_000) % 100 == 0).astype(float), {"contact": np.full(5_000, 10.0)})
    none = Spent(np.zeros(100), {"contact": np.full(100, 10.0)})
    assert cost_of(one_percent).amount == pytest.approx(1_000)
    assert (cost_of(none).amount, cost_of(none).reason) == (None, "no_conversion")
    found = change(one_percent, none)
    assert (found.difference, found.relative, found.is_cheaper) == (None, None, False)
    assert "∞ (100 contacts, none converted)" in found.sentence()


def test_E10_the_interval_of_a_change_holds_the_truth_as_often_as_it_promises() -> None:
    chance, hits = np.random.default_rng(3), 0
    for _ in range(600):
        sides = []
        for p in (0.10, 0.14):
            converted = (chance.random(3_000) < p).astype(float)
            sides.append(Spent(converted, {"contact": np.full(3_000, 2.0), "reward": 10 * converted}))
        found = change(*sides).difference
        assert found is not None
        hits += found[1] <= (2 / 0.14 - 2 / 0.10) <= found[2]
    assert 0.93 <= hits / 600 <= 0.97


@pytest.fixture(scope="module")
def late(tested: Trial) -> LongRun:
    with tested.bank() as bank:
        found = long_run(bank.known_by(HORIZON), HORIZON, "Asia/Shanghai")
    assert found is not None
    return found


def test_I03_price_is_ahead_after_30_days_and_service_after_180_and_both_are_printed(late: LongRun) -> None:
    at: dict[tuple[str, int], Any] = {(e.treatment, e.days): e for e in late.effects}
    assert set(at) == {(name, days) for name in ("PRICE", "SERVICE") for days in (30, 180)}
    assert at["PRICE", 30].low > at["SERVICE", 30].high
    assert at["SERVICE", 180].low > at["PRICE", 180].high
    console = Console(width=120, record=True, file=StringIO())
    console.print(late.table())
    printed = console.export_text()
    for one in at.values():
        assert f"{one.effect:+.1%} [{one.low:+.1%}, {one.high:+.1%}]" in printed


def test_I03_every_customer_is_told_at_both_horizons_and_the_sums_are_those_of_a_plain_query(
    tested: Trial, late: LongRun
) -> None:
    rows = tested.sql(
        "WITH a AS (SELECT experiment_id, customer_id, arm, business_on AS d FROM assignment "
        "WHERE experiment_id LIKE 'PRICE-%' AND business_on + 180 < DATE '2026-01-01'), "
        "b AS (SELECT customer_id, from_on, coalesce(to_on, DATE '2999-01-01') AS to_on, "
        "amount - coalesce(in_transit_amount, 0) - coalesce(loan_proceeds_amount, 0) AS money FROM balance "
        "WHERE asset_class <> 'CUSTODY_3P' AND known_at <= TIMESTAMPTZ '2026-01-01 00:00:00+00'), "
        "m AS (SELECT a.experiment_id, a.customer_id, arm, "
        "sum(money) FILTER (from_on < d AND to_on >= d)::DOUBLE AS before, "
        "sum(money) FILTER (from_on <= d + 180 AND to_on > d + 180)::DOUBLE AS late "
        "FROM a JOIN b USING (customer_id) GROUP BY ALL) "
        "SELECT arm, count(*) AS n, avg(least(greatest(coalesce(late, 0) / before, 0), 3)) AS ratio FROM m "
        "WHERE before > 0 GROUP BY arm ORDER BY arm"
    )
    found = late.at("PRICE", 180)
    assert (found.n_control, found.n_treated) == tuple(rows["n"])
    assert found.effect == pytest.approx(rows["ratio"][1] - rows["ratio"][0])
    assert late.at("PRICE", 30).n_treated == found.n_treated
    assert late.n_open > 0
    truth = tested.sql("SELECT avg(effect_30_share) AS soon FROM treatments WHERE "
                       "experiment_id LIKE 'PRICE-%'")  # fmt: skip
    assert late.at("PRICE", 30).effect == pytest.approx(float(truth["soon"][0]), abs=0.08)
