"""Classes, tags, cells and flags on a bank written by hand, each figure derived beside its test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import ibis
import pandas as pd

from features import profiles
from features.policy import SegmentsPolicy, segments
from features.segments import lifecycle
from features.vocabulary import Stage

BOOK = segments()
POLICY: SegmentsPolicy = BOOK.view(date(2024, 1, 31))


def january(home: Path) -> pd.DataFrame:
    (build,) = profiles.build(home, BOOK, instant=datetime(2024, 2, 2, tzinfo=UTC))
    return pd.read_parquet(build.path).set_index("customer_id")


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
