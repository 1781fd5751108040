"""Promises about what the months say, on a simulated bank built month by month, each figure counted again in SQL."""

from __future__ import annotations

import json
import math
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from scipy import stats
from typer.testing import CliRunner

from features.bank.engines import open_bank
from features.vocabulary import Stage
from serving import jobs
from serving.cli import app
from serving.settings import clock_of, read_settings
from training.outcomes import response_labels

CUSTOMERS, MONTHS = 1_500, 10
INSIDE = "stage NOT IN ('PROSPECT', 'LOST')"


class Built:
    """A simulated bank with its months built, and what the commands say of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        jobs.simulate(home, customers=CUSTOMERS, months=MONTHS, seed=11, last_on=jobs.LAST_SIMULATED,
                      progress=lambda what, share: None)  # fmt: skip
        self.clock = clock_of(read_settings(home=home))
        self.builds = jobs.build(home, self.clock)
        self.days = [build.as_of for build in self.builds]
        self.closed = json.loads(self.said("build", "--json"))
        self.told = json.loads(self.said("insight", "--json"))

    def said(self, *arguments: str) -> str:
        answer = CliRunner().invoke(app, [*arguments, "--home", str(self.home)])
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    def sql(self, query: str, **tables: Any) -> list[tuple[Any, ...]]:
        """The answer of a query in which `p` holds all months of the profile, with their place from 0 as `k`."""
        months = ", ".join(f"('{build.path}', {place})" for place, build in enumerate(self.builds))
        files = ", ".join(f"'{build.path}'" for build in self.builds)
        with duckdb.connect() as con:
            con.execute(f"CREATE VIEW p AS SELECT * FROM read_parquet([{files}], filename = true) "
                        f"JOIN (VALUES {months}) AS m(filename, k) USING (filename)")  # fmt: skip
            for name, rows in tables.items():
                con.register(name, rows)
            return con.execute(query).fetchall()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("insight") / "home")


@pytest.mark.parametrize("label", ["stage", "tier"])
def test_B02_count_plus_arrivals_minus_departures_is_the_next_count_for_each_stage(built: Built, label: str) -> None:
    counted = {(k, name): n for k, name, n in built.sql(f"SELECT k, {label}, count(*) FROM p GROUP BY ALL")}
    moved = built.sql(
        f"SELECT a.k, a.{label}, b.{label}, count(*) FROM p a JOIN p b ON a.customer_id = b.customer_id "
        f"AND b.k = a.k + 1 AND a.{label} <> b.{label} GROUP BY ALL"
    )
    new = {(k, name): n for k, name, n in built.sql(
        f"SELECT k, {label}, count(*) FROM p b WHERE k > 0 AND NOT EXISTS "
        "(FROM p a WHERE a.k = b.k - 1 AND a.customer_id = b.customer_id) GROUP BY ALL"
    )}  # fmt: skip
    flows = built.told["migration"][label]
    assert len(flows) == MONTHS - 1
    assert flows[-1] == built.closed["migration"][label], "the build ends with the last two months"
    for k, flow in enumerate(flows):
        assert (flow["from_on"], flow["to_on"]) == (str(built.days[k]), str(built.days[k + 1]))
        for row in flow["sums"]:
            name = row["name"]
            came = sum(n for place, _, to, n in moved if (place, to) == (k, name)) + new.get((k + 1, name), 0)
            went = sum(n for place, of, _, n in moved if (place, of) == (k, name))
            assert (row["opening"], row["closing"]) == (counted.get((k, name), 0), counted.get((k + 1, name), 0))
            assert (row["in"], row["out"]) == (came, went), "nobody leaves a simulated bank's files"
            assert row["opening"] + row["in"] - row["out"] == row["closing"]
        assert sum(row["closing"] for row in flow["sums"]) == built.builds[k + 1].n_customers
    assert sum(len(flow["moves"]) for flow in flows) > 5 * len(flows), "people do move"


def test_B02_every_share_that_moves_too_far_raises_an_alert_with_its_figures(built: Built) -> None:
    bound = jobs.insight_book(built.home).view(built.days[-1]).jumps
    expected = {}
    for label in ("stage", "tier"):
        rows = {(k, name): n for k, name, n in built.sql(f"SELECT k, {label}, count(*) FROM p GROUP BY ALL")}
        for k, name in {(k, name) for k in range(1, MONTHS) for _, name in rows}:
            before, after = rows.get((k - 1, name), 0), rows.get((k, name), 0)
            points = 100 * (after / built.builds[k].n_customers - before / built.builds[k - 1].n_customers)
            if abs(points) > bound.share_points and max(before, after) >= bound.least_customers:
                expected[str(built.days[k]), name] = (before, after)
    told = {(j["as_of"], j["name"]): (j["before"], j["after"]) for j in built.told["jumps"] if j["rule"] == "SHARE"}
    assert told == expected
    assert len(expected) > 2, "a bank whose history begins sees its sleepers at once"


def test_B02_dwell_times_count_the_month_ends_between_entering_and_leaving(built: Built) -> None:
    """NEW, by a loop over people: stays that began within the history, ended or still going on."""
    rows: dict[str, dict[int, tuple[str, date]]] = {}
    for who, k, stage, entered in built.sql("SELECT customer_id, k, stage, stage_entered_on FROM p"):
        rows.setdefault(who, {})[k] = (stage, entered)
    stays = []
    for months in rows.values():
        for entered in {e for stage, e in months.values() if stage == Stage.NEW and e > built.days[0]}:
            held = [k for k, (stage, e) in months.items() if (stage, e) == (Stage.NEW, entered)]
            stays.append((len(held), max(held) < MONTHS - 1))
    found = next(curve for curve in built.told["dwell"]["stage"] if curve["name"] == "NEW")
    assert (found["n"], found["n_events"]) == (len(stays), sum(is_event for _, is_event in stays))
    assert found["share"] == pytest.approx(kaplan_meier(stays))


@pytest.mark.parametrize(("figure", "column"), [("aum", "mda"), ("value", "value_12m")])
def test_G02_each_month_says_what_the_top_20_percent_hold(built: Built, figure: str, column: str) -> None:
    expected = built.sql(
        f"WITH r AS (SELECT k, {column} AS v, row_number() OVER (PARTITION BY k ORDER BY {column} DESC) AS i, "
        f"count(*) OVER (PARTITION BY k) AS n FROM p WHERE {INSIDE} AND {column} IS NOT NULL) "
        "SELECT k, sum(v) FILTER (i <= ceil(n / 5.0)) / sum(v), max(n) FROM r GROUP BY k ORDER BY k"
    )
    curves = [curve for curve in built.told["pareto"] if curve["figure"] == figure]
    assert [curve["as_of"] for curve in curves] == [str(day) for day in built.days]
    for curve, (_, share, n) in zip(curves, expected, strict=True):
        assert curve["n"] == n
        assert curve["top_share"] == pytest.approx(share)
        assert figure == "value" or curve["held"] == sorted(curve["held"]), "value may be below zero"
    printed = built.said("build")
    for day, (_, share, _) in zip(built.days, expected, strict=True):
        assert f"{day:%Y-%m} {share:.1%}" in printed


def test_G04_retention_and_time_to_tier_are_survival_curves_by_cohort_with_medians(built: Built) -> None:
    tiers = list(jobs.segments_book(built.home).view(built.days[-1]).tiers.thresholds)
    lives = built.told["lives"]
    retention, last = {curve["name"]: curve for curve in lives["retention"]}, MONTHS - 1
    cohorts = {began: f"{built.days[began].year}Q{(built.days[began].month + 2) // 3}" for began in range(1, MONTHS)}
    assert set(lives["time_to_tier"]) > {"V1", "VIP"}
    for goal, curves in lives["time_to_tier"].items():
        there = ", ".join(f"'{tier}'" for tier in tiers[tiers.index(goal) :])
        people = built.sql(
            f"SELECT min(k) FILTER ({INSIDE}) AS began, min(k) FILTER (stage = 'LOST') AS lost, "
            f"min(k) FILTER ({INSIDE} AND tier IN ({there})) AS reached FROM p GROUP BY customer_id "
            "HAVING began IS NOT NULL"
        )
        seen = [(began, lost, reached) for began, lost, reached in people if lost is None or lost > began]
        assert lives["n_left_out"] == len(people) - len(seen)
        way = {curve["name"]: curve for curve in curves}
        for name in {"before", *cohorts.values()}:
            begun = [life for life in seen if (cohorts[life[0]] if life[0] else "before") == name]
            stayed = [((last if lost is None else lost) - began, lost is not None) for began, lost, _ in begun]
            assert_curve(retention[name], stayed)
            if name != "before":
                reached = [((last if at is None else at) - began, at is not None) for began, _, at in begun]
                assert_curve(way[name], reached)
        assert way["all"]["n_events"] < way["all"]["n"], "some are still under way"
        assert way["all"]["n_events"] > 0 or goal in tiers[-3:], "in a small bank nobody comes to the highest"
    assert retention["before"]["n_events"] > 0


def assert_curve(found: dict[str, Any], lives: list[tuple[int, bool]]) -> None:
    assert (found["n"], found["n_events"]) == (len(lives), sum(is_event for _, is_event in lives))
    assert found["share"] == pytest.approx(kaplan_meier(lives))
    halves = [month for month, share in zip(found["months"], found["share"], strict=True) if share <= 0.5]
    assert found["median"] == (halves[0] if halves else None)


def kaplan_meier(lives: list[tuple[int, bool]]) -> list[float]:
    """The product, month by month, over those who were still under way; the censored count until they are."""
    share, found = 1.0, []
    for month in sorted({months for months, _ in lives}):
        at_risk = sum(months >= month for months, _ in lives)
        share *= 1 - sum(is_event for months, is_event in lives if months == month) / at_risk
        found.append(share)
    return found


def test_I06_opening_plus_new_plus_won_back_minus_lost_is_closing(built: Built) -> None:
    counted = dict(built.sql(f"SELECT k, count(*) FROM p WHERE {INSIDE} GROUP BY k"))
    money = dict(built.sql(f"SELECT k, sum(mda) FROM p WHERE {INSIDE} GROUP BY k"))
    came = {k: (new, back) for k, new, back in built.sql(
        f"SELECT b.k, count(*) FILTER (a.stage IS DISTINCT FROM 'LOST'), count(*) FILTER (a.stage = 'LOST') FROM p b "
        f"LEFT JOIN p a ON a.k = b.k - 1 AND a.customer_id = b.customer_id WHERE b.{INSIDE} "
        "AND coalesce(a.stage, 'PROSPECT') IN ('PROSPECT', 'LOST') AND b.k > 0 GROUP BY b.k"
    )}  # fmt: skip
    bridges = built.told["bridges"]
    assert len(bridges) == MONTHS - 1
    assert bridges[-1] == built.closed["bridge"]
    for k, step in enumerate(bridges):
        assert (step["opening"], step["closing"]) == (counted[k], counted[k + 1])
        assert (step["new"], step["won_back"]) == came.get(k + 1, (0, 0))
        assert step["opening"] + step["new"] + step["won_back"] - step["lost"] == step["closing"]
        aum = step["aum"]
        reached = aum["opening"] + aum["new"] + aum["won_back"] - aum["lost"] + aum["grown"] - aum["shrunk"]
        assert reached == pytest.approx(aum["closing"])
        assert (aum["opening"], aum["closing"]) == pytest.approx((money[k], money[k + 1]))
    assert all(b["closing"] == a["opening"] for b, a in pairwise(bridges))
    assert sum(step["new"] for step in bridges) > 0


def test_A10_preferences_state_n_and_interval_and_fall_back_to_the_class_below_200(built: Built) -> None:
    now = built.clock.now()
    with open_bank(built.home) as bank:
        labels = response_labels(bank.known_by(now), now)
        labels = labels.filter(labels.excluded.isnull())
        asked = labels.select("customer_id", "business_on", need="offer_category", is_yes="is_converted").to_pyarrow()
    counted = built.sql(
        "SELECT customer_class, tier, need, count(*), count(*) FILTER (is_yes) FROM asked JOIN p ON "
        "p.customer_id = asked.customer_id AND p.as_of = last_day(business_on - INTERVAL 1 MONTH) "
        "WHERE need IS NOT NULL GROUP BY ALL", asked=asked,
    )  # fmt: skip
    own = {(c, t, need): (n, n_yes) for c, t, need, n, n_yes in counted}
    rows = built.told["preferences"]
    assert {(row["customer_class"], row["tier"], row["need"]) for row in rows} >= set(own)
    for row in rows:
        n, n_yes = own.get((row["customer_class"], row["tier"], row["need"]), (0, 0))
        assert row["n_own"] == n
        assert row["level"] == ("tier" if n >= 200 else "class")
        if n < 200:
            of_class = [v for (c, _, need), v in own.items() if (c, need) == (row["customer_class"], row["need"])]
            n, n_yes = sum(v[0] for v in of_class), sum(v[1] for v in of_class)
            assert "too few" in row["says"]
        assert (row["n"], row["n_yes"], row["is_thin"]) == (n, n_yes, n < 200)
        interval = stats.binomtest(n_yes, n).proportion_ci(0.95, method="wilson")
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        assert math.isclose(row["share"], n_yes / n)
    assert {row["level"] for row in rows if not row["is_thin"]} == {"tier", "class"}
