"""Grades, classes, tags, cells and flags on a bank written by hand, each figure derived beside its test."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest

from features import profiles
from features.policy import SegmentsPolicy, segments
from features.segments import grades, lifecycle
from features.vocabulary import Stage

BOOK = segments()
POLICY: SegmentsPolicy = BOOK.view(date(2024, 1, 31))


def january(home: Path) -> pd.DataFrame:
    (build,) = profiles.build(home, BOOK, instant=datetime(2024, 2, 2, tzinfo=UTC))
    return pd.read_parquet(build.path).set_index("customer_id")


def graded(**figures: float) -> float:
    people = ibis.memtable(pd.DataFrame([figures]))
    return float(ibis.duckdb.connect().execute(people.select(score=grades.score(people, POLICY))).score[0])


def test_an_idle_rich_customer_scores_below_a_busy_small_one() -> None:
    idle = graded(mda=2e6, n_services_3m=1, n_txn_3m=0, txn_amount_3m=0.0, app_days_1m=0, n_channels_3m=0)
    busy = graded(mda=3e4, n_services_3m=9, n_txn_3m=30, txn_amount_3m=4e4, app_days_1m=12, n_channels_3m=4)
    by_hand_idle = 35 * math.log10(201) / math.log10(601) + 20 / 12
    by_hand_busy = (
        35 * math.log10(4) / math.log10(601) + 20 * 9 / 12 + 25 * (0.5 + 0.5 * math.log10(41) / math.log10(501)) + 20
    )
    assert idle == pytest.approx(by_hand_idle, abs=1e-6) == pytest.approx(30.7, abs=0.05)
    assert busy == pytest.approx(by_hand_busy, abs=1e-6) == pytest.approx(62.55, abs=0.01)


@pytest.mark.parametrize(
    "factor", ["mda", "n_services_3m", "n_txn_3m", "txn_amount_3m", "app_days_1m", "n_channels_3m"]
)
def test_more_of_any_factor_never_lowers_the_score(factor: str) -> None:
    start = dict.fromkeys(["mda", "n_services_3m", "n_txn_3m", "txn_amount_3m", "app_days_1m", "n_channels_3m"], 2.0)
    scores = [graded(**(start | {factor: level})) for level in (0.0, 1.0, 5.0, 50.0, 5e5)]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0]


@pytest.mark.parametrize(
    ("points", "held", "grade"),
    [(60.0, None, "B"), (59.9, None, "C"), (57.0, "B", "B"), (56.9, "B", "C"), (62.9, "C", "C"), (63.0, "C", "B")],
)
def test_a_grade_moves_only_three_points_beyond_its_edge(points: float, held: str | None, grade: str) -> None:
    row = ibis.memtable({"points": [points], "held": [held]}, schema={"points": "float64", "held": "string"})
    banded = row.select(grade=grades._banded(row.points, row.held, POLICY))
    assert ibis.duckdb.connect().execute(banded).grade[0] == grade


def test_a_silver_wealthy_customer_with_salary_is_silver_and_keeps_the_others_as_tags(
    bank_of: Callable[..., Path],
) -> None:
    paydays = [date(2024, 1, 5), date(2024, 1, 25)]
    home = bank_of(
        customer=[{"customer_id": "c", "birth_on": date(1950, 1, 1)}],
        balance=[{"customer_id": "c", "amount": 900_000}],
        txn=[{"customer_id": "c", "business_on": d, "txn_type": "SALARY", "by_customer": False} for d in paydays],
    )
    row = january(home).loc["c"]
    assert (row.customer_class, row.class_reason, row.other_classes) == ("SILVER", "rule", "|WEALTH|PAYROLL|")
    assert row["cell"] == f"SILVER/{row.stage}"
    assert "|life_elder|" in row.tags
    assert "|payroll|" in row.tags


def test_an_unknown_age_falls_to_the_class_that_asks_nothing(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=[{"customer_id": "c", "birth_on": None}], balance=[{"customer_id": "c", "amount": 10}])
    row = january(home).loc["c"]
    assert (row.customer_class, row.class_reason) == ("MASS", "default")
    assert pd.isna(row.age)


def test_age_counts_full_years_at_the_month_end(bank_of: Callable[..., Path]) -> None:
    home = bank_of(
        customer=[
            {"customer_id": "on the day", "birth_on": date(1964, 1, 31)},
            {"customer_id": "a day later", "birth_on": date(1964, 2, 1)},
        ],
        balance=[{"customer_id": "on the day", "amount": 1}],
    )
    frame = january(home)
    assert frame.age.to_dict() == {"on the day": 60, "a day later": 59}
    assert frame.customer_class.to_dict() == {"on the day": "SILVER", "a day later": "MASS"}


def test_relationship_flags_equal_the_holdings_of_the_day(bank_of: Callable[..., Path]) -> None:
    opened = {"customer_id": "c", "opened_on": date(2024, 1, 3), "amount": 1000}
    home = bank_of(
        customer=[{"customer_id": "c"}, {"customer_id": "bare"}],
        balance=[{"customer_id": "c", "asset_class": "WMP", "amount": 5}, {"customer_id": "bare", "amount": 0}],
        holding=[opened | {"product_id": "P09"}, opened | {"product_id": "P06", "closed_on": date(2024, 1, 20)}],
        loan=[opened | {"product_id": "P19", "ends_on": date(2025, 1, 1)}, opened | {"product_id": "P22"}],
    )
    frame = january(home)
    flags = ["has_deposit", "has_wealth", "has_loan", "has_card"]
    assert frame.loc["c", flags].tolist() == [False, True, True, True]
    assert frame.loc["bare", flags].tolist() == [False, False, False, False]
    assert frame.loc["c"].n_holdings == 1


def test_only_legal_moves_are_made_whatever_the_tests_want() -> None:
    """All 42 pairs of different stages: the move is made if the policy lists it, else the stage is kept."""
    pairs = [(held, wanted) for held in Stage for wanted in Stage if held != wanted]
    legal = POLICY.lifecycle.legal_moves
    rows = ibis.memtable(pd.DataFrame(pairs, columns=["held_stage", "wanted"]))
    expr = rows.mutate(stage=lifecycle._legal(rows, POLICY.lifecycle))
    answer: Any = ibis.duckdb.connect().execute(expr)
    expected = [wanted if wanted in legal[held] else held for held, wanted in pairs]
    assert len(pairs) == 42
    assert answer.stage.tolist() == [str(stage) for stage in expected]
    assert sum(len(targets) for targets in legal.values()) == int((answer.stage != answer.held_stage).sum())
