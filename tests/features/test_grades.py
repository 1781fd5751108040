"""Grades: the worked figures, points that add up and never fall, three points of hysteresis, and the two lists."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from features import profiles
from features.errors import BadPolicy
from features.policy import PolicyBook, SegmentsPolicy, segments
from features.segments import grades

BOOK = segments()
POLICY: SegmentsPolicy = BOOK.view(date(2024, 1, 31))
FIGURES = {
    "mda": 2e7, "n_services_3m": 20, "n_txn_3m": 60, "txn_amount_3m": 2e6, "app_days_1m": 31, "n_channels_3m": 9,
    "value_12m": 4e4,
}  # fmt: skip  # each beyond its full marks


def weighing(**weights: float) -> SegmentsPolicy:
    sections = copy.deepcopy(dict(BOOK.sections))
    sections["grades"]["weights"] = {"unit": "share", "source": "A04", "since": {date(1990, 1, 1): weights}}
    return PolicyBook(SegmentsPolicy, sections).view(date(2024, 1, 31))


def graded(frame: pd.DataFrame, policy: SegmentsPolicy = POLICY) -> pd.DataFrame:
    """Points and score of each row."""
    people = ibis.memtable(frame)
    people = people.mutate(**grades.points(people, policy))
    people = people.mutate(grade_score=grades.score(people))
    answer: pd.DataFrame = ibis.duckdb.connect().execute(people)
    return answer


def score(policy: SegmentsPolicy = POLICY, **figures: float) -> float:
    return float(graded(pd.DataFrame([dict.fromkeys(FIGURES, 0.0) | figures]), policy).grade_score[0])


def drawn(n: int, seed: int) -> pd.DataFrame:
    """n customers anywhere between nothing and beyond full marks."""
    chance = np.random.default_rng(seed)
    return pd.DataFrame({name: chance.random(n) ** 3 * most for name, most in FIGURES.items()})


def test_an_idle_rich_customer_scores_below_a_busy_small_one() -> None:
    idle = score(mda=2e6, n_services_3m=1)
    busy = score(mda=3e4, n_services_3m=9, n_txn_3m=30, txn_amount_3m=4e4, app_days_1m=12, n_channels_3m=4)
    by_hand_idle = 35 * math.log10(201) / math.log10(601) + 20 / 12
    by_hand_busy = (
        35 * math.log10(4) / math.log10(601) + 20 * 9 / 12 + 25 * (0.5 + 0.5 * math.log10(41) / math.log10(501)) + 20
    )
    assert idle == pytest.approx(by_hand_idle, abs=1e-6) == pytest.approx(30.68, abs=0.01)
    assert busy == pytest.approx(by_hand_busy, abs=1e-6) == pytest.approx(62.55, abs=0.01)


@pytest.mark.parametrize("factor", FIGURES)
def test_more_of_any_factor_never_lowers_the_score(factor: str) -> None:
    policy = weighing(aum=0.3, services=0.2, business_activity=0.2, channel_activity=0.1, contribution=0.2)
    before = drawn(4_000, seed=3)
    more = before.assign(**{factor: before[factor] * 1.5 + FIGURES[factor] / 100})
    gain = graded(more, policy).grade_score - graded(before, policy).grade_score
    assert (gain >= 0).all()
    assert (gain > 0).mean() > 0.5


def test_points_add_up_to_the_score_and_stay_within_their_weight() -> None:
    frame = graded(drawn(4_000, seed=5))
    points = frame[list(grades.POINTS.values())]
    assert np.allclose(points.sum(axis=1), frame.grade_score, rtol=0, atol=1e-6)
    most = {grades.POINTS[name]: 100 * weight for name, weight in POLICY.grades.weights.items()}
    assert (points >= 0).all().all()
    assert (points.max() <= pd.Series(most)).all()
    assert score(**FIGURES) == pytest.approx(100)


def test_a_factor_of_weight_0_is_not_asked_for_and_one_that_weighs_is() -> None:
    nobody_knows = {"mda": 1e5, "value_12m": math.nan}
    assert score(**nobody_knows) == score(mda=1e5)
    weighed = weighing(aum=0.5, contribution=0.5)
    assert math.isnan(score(weighed, **nobody_knows))
    assert score(weighed, mda=6e6, value_12m=5_000) == pytest.approx(50 + 50 / 4)
    assert score(weighed, mda=6e6, value_12m=-300) == pytest.approx(50)


def test_an_unknown_factor_is_refused_by_name() -> None:
    with pytest.raises(BadPolicy, match=r"grades\.weights\.charm.*should be 'aum', 'services', 'business_activity'"):
        weighing(aum=0.5, charm=0.5)


@pytest.mark.parametrize(
    ("points", "held", "grade"),
    [(60.0, None, "B"), (59.9, None, "C"), (57.0, "B", "B"), (56.9, "B", "C"), (62.9, "C", "C"), (63.0, "C", "B")],
)
def test_a_grade_moves_only_three_points_beyond_its_edge(points: float, held: str | None, grade: str) -> None:
    row = ibis.memtable({"points": [points], "held": [held]}, schema={"points": "float64", "held": "string"})
    banded = row.select(grade=grades._banded(row.points, row.held, POLICY))
    assert ibis.duckdb.connect().execute(banded).grade[0] == grade


def test_the_two_lists_hold_who_is_rich_and_idle_and_who_is_small_and_busy(bank_of: Callable[..., Path]) -> None:
    days = [date(2024, 1, day) for day in range(1, 32)]
    busy = [{"customer_id": "busy", "business_on": day, "amount": 20_000} for day in days]
    login = [
        {"customer_id": "busy", "business_on": day, "channel": channel, "service_id": f"s{day.day}"}
        for day in days for channel in ("APP", "WEB", "WECHAT", "BRANCH")
    ]  # fmt: skip
    home = bank_of(
        customer=[{"customer_id": name} for name in ("idle", "richer", "busy", "poor")],
        balance=[{"customer_id": "idle", "amount": 600_000}, {"customer_id": "richer", "amount": 900_000},
                 {"customer_id": "busy", "amount": 9_000}, {"customer_id": "poor", "amount": 10}],
        txn=busy, channel_event=login,
    )  # fmt: skip
    (build,) = profiles.build(home, BOOK, instant=datetime(2024, 2, 2, tzinfo=UTC))
    con = ibis.duckdb.connect()
    profile = con.read_parquet(build.path)
    rescue, growth = (con.execute(listed(profile, POLICY)) for listed in (grades.rescue, grades.growth))
    assert rescue.customer_id.tolist() == ["richer", "idle"]
    assert growth.customer_id.tolist() == ["busy"]
    tagged: Any = con.execute(profile).set_index("customer_id").tags
    assert all("|rescue|" in tagged[name] for name in rescue.customer_id)
    assert "|rising|" in tagged["busy"]
