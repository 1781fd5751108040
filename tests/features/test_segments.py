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


def test_each_class_begins_and_ends_where_its_rule_says(bank_of: Callable[..., Path]) -> None:
    """Every customer beside one who just misses the rule and is of no class but the default."""
    opened = date(2024, 1, 3)
    born = {"18 today": date(2006, 1, 31), "18 tomorrow": date(2006, 2, 1), "29 tomorrow": date(1995, 2, 1),
            "29 today": date(1995, 1, 31)}  # fmt: skip
    documents = {"from Hong Kong": "HK_MO_TW", "foreign": "FOREIGN"}
    money = {"50,000 invested": ("WMP", "50000"), "a fen less": ("WMP", "49999.99"),
             "200,000 in all": ("DEMAND", "200000"), "a fen less in all": ("DEMAND", "199999.99")}  # fmt: skip
    paid = {"two salaries": (5, 25), "one salary": (5,)}
    owned = {"a merchant code": "P08", "a business loan": "P21", "a deposit": "P06"}
    allowed = {"a card allowed": "P22", "something else allowed": "P06"}
    others = ("a licence", "the merchant service", "a card", "a loan", "a loan repaid")
    lent = {"opened_on": opened, "amount": 5}
    home = bank_of(
        customer=[
            {
                "customer_id": who,
                "birth_on": born.get(who, date(1985, 6, 1)),
                "id_doc_type": documents.get(who, "MAINLAND"),
            }
            for who in (*born, *documents, *money, *paid, *owned, *allowed, *others)
        ],
        balance=[{"customer_id": who, "asset_class": kind, "amount": amount} for who, (kind, amount) in money.items()],
        txn=[
            {"customer_id": who, "business_on": date(2024, 1, day), "txn_type": "SALARY", "by_customer": False}
            for who, days in paid.items()
            for day in days
        ],
        holding=[lent | {"customer_id": who, "product_id": product} for who, product in owned.items()],
        preapproval=[
            {"customer_id": who, "product_id": product, "from_on": opened, "expires_on": date(2024, 6, 1)}
            for who, product in allowed.items()
        ],
        customer_fact=[{"customer_id": "a licence", "fact": "LICENCE", "from_on": opened}],
        service_activation=[{"customer_id": "the merchant service", "service_id": "P08", "activated_on": opened}],
        loan=[
            lent | {"customer_id": "a card", "product_id": "P22"},
            lent | {"customer_id": "a loan", "product_id": "P19", "ends_on": date(2025, 1, 1)},
            lent | {"customer_id": "a loan repaid", "product_id": "P19", "ends_on": date(2025, 1, 1),
                    "closed_on": date(2024, 1, 20)},
        ],
    )  # fmt: skip
    assert january(home).customer_class.to_dict() == {
        "18 today": "YOUNG", "18 tomorrow": "MASS", "29 tomorrow": "YOUNG", "29 today": "MASS",
        "from Hong Kong": "SPECIAL_ID", "foreign": "SPECIAL_ID",
        "50,000 invested": "WEALTH", "a fen less": "MASS", "200,000 in all": "WEALTH", "a fen less in all": "MASS",
        "two salaries": "PAYROLL", "one salary": "MASS",
        "a merchant code": "BIZ_OWNER", "a business loan": "BIZ_OWNER", "a deposit": "MASS", "a licence": "BIZ_OWNER",
        "the merchant service": "BIZ_OWNER", "a card allowed": "CREDIT", "something else allowed": "MASS",
        "a card": "CREDIT", "a loan": "CREDIT", "a loan repaid": "MASS",
    }  # fmt: skip


def test_wealth_is_left_after_three_months_below_a_hundred_and_fifty_thousand(bank_of: Callable[..., Path]) -> None:
    kept = {"at it": ["WEALTH"] * 4, "a fen below": ["WEALTH"] * 3 + ["MASS"]}
    spans = {"at it": "150000", "a fen below": "149999.99"}
    rows = [
        {"customer_id": who, "account_id": who, "from_on": since, "to_on": until, "amount": amount}
        for who, later in spans.items()
        for since, until, amount in (
            (date(2024, 1, 1), date(2024, 2, 1), "200000"),
            (date(2024, 2, 1), None, later),
        )
    ]
    home = bank_of(customer=[{"customer_id": who} for who in kept], balance=rows)
    months = profiles.build(home, BOOK, instant=datetime(2024, 5, 2, tzinfo=UTC))
    classes = pd.concat([pd.read_parquet(month.path) for month in months]).sort_values("as_of")
    assert {who: rows.customer_class.tolist() for who, rows in classes.groupby("customer_id")} == kept


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
