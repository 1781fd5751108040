"""Value: what contracts, balances and transactions earned, to the day, and the books that it adds up to."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from decisioning.policy import decisions
from features import profiles
from features.bank.engines import open_bank
from features.errors import BadBank
from features.policy import PolicyBook, SegmentsPolicy, segments
from features.reconciliation import reconcile, unallocated_share

BOOK = segments()
PERSON = {"customer_id": "c"}
JANUARY, MARCH = date(2024, 1, 31), date(2024, 3, 31)


def with_figures(**figures: Any) -> PolicyBook[SegmentsPolicy]:
    sections = copy.deepcopy(dict(BOOK.sections))
    for name, value in figures.items():
        sections["value"][name] = {"unit": "under test", "source": "A07", "since": {date(1990, 1, 1): value}}
    return PolicyBook(SegmentsPolicy, sections)


def value_of(home: Path, as_of: date = MARCH, book: PolicyBook[SegmentsPolicy] = BOOK) -> float | None:
    instant = datetime.combine(as_of + timedelta(days=2), datetime.min.time(), UTC)
    build = profiles.build(home, book, instant=instant, as_of=as_of)[-1]
    value = pd.read_parquet(build.path).value_12m.iloc[0]
    return None if pd.isna(value) else float(value)


def held(product: str, amount: float, opened: date, closed: date | None = None) -> dict[str, Any]:
    return PERSON | {"product_id": product, "amount": amount, "opened_on": opened, "closed_on": closed}


def test_a_contract_earns_by_the_days_it_was_held(bank_of: Callable[..., Path]) -> None:
    """One customer a contract, at the end of March 2024; the window began on 1 April 2023."""
    deposit = 100_000 * 0.0090
    contracts: list[tuple[str, dict[str, Any], float]] = [
        ("holding", held("P06", 100_000, date(2024, 3, 22)), deposit * 10 / 365),  # ten days, 22 to 31
        ("holding", held("P06", 100_000, date(2024, 3, 1), date(2024, 3, 11)), deposit * 10 / 365),
        ("holding", held("P06", 100_000, date(2020, 1, 1)), deposit * 366 / 365),  # the twelve months alone
        ("holding", held("P06", 100_000, date(2020, 1, 1), date(2023, 4, 1)), 0.0),  # closed as the window began
        ("holding", held("P13", 2_000, date(2024, 2, 1)), 500.0),  # a quarter of the first premium
        ("holding", held("P13", 2_000, date(2023, 3, 31)), 0.0),  # paid before the window
        ("holding", held("P98", 100_000, date(2024, 1, 1)), 0.0),  # no margin in the policy
        ("loan", held("P19", 36_500, date(2024, 3, 31)), 36_500 * 0.035 / 365),
        ("service_activation", {"service_id": "P08", "activated_on": date(2024, 3, 1)}, 60 * 31 / 365),
        ("service_activation", {"service_id": "P30", "activated_on": date(2024, 3, 1)}, -3 * 31 / 365),
    ]
    tables: dict[str, list[dict[str, Any]]] = {"customer": []}
    for i, (table, row, _) in enumerate(contracts):
        tables["customer"].append({"customer_id": f"c{i}"})
        tables.setdefault(table, []).append(row | {"customer_id": f"c{i}"})
    build = profiles.build(bank_of(**tables), BOOK, instant=datetime(2024, 4, 2, tzinfo=UTC), as_of=MARCH)[-1]
    values = pd.read_parquet(build.path).set_index("customer_id").value_12m
    for i, (_, row, expected) in enumerate(contracts):
        assert values[f"c{i}"] == pytest.approx(expected, abs=1e-6), row


def test_a_loan_that_stands_among_the_holdings_earns_once(bank_of: Callable[..., Path]) -> None:
    loan = held("P19", 36_500, date(2024, 3, 31))
    other = held("P20", 36_500, date(2024, 3, 31))
    home = bank_of(customer=[PERSON], holding=[loan], loan=[loan, other])
    assert value_of(home) == pytest.approx(36_500 * (0.035 + 0.011) / 365)


def test_money_and_transactions_outside_products_earn_what_the_policy_says(bank_of: Callable[..., Path]) -> None:
    """100,000 on demand in January, 40,000 of it own from February on, at 8 bp; 2,000 spent at 60."""
    spent = [{**PERSON, "business_on": date(2024, m, 9), "amount": 1_000} for m in (1, 3)]
    home = bank_of(
        customer=[PERSON],
        balance=[PERSON | {"amount": 100_000, "to_on": date(2024, 2, 1)},
                 PERSON | {"amount": 50_000, "loan_proceeds_amount": 10_000, "from_on": date(2024, 2, 1)},
                 PERSON | {"account_id": "t", "asset_class": "TIME", "amount": 70_000}],
        txn=spent,
    )  # fmt: skip
    deposits = (100_000 * 31 + 40_000 * 60) * 8 / 10_000 / 365
    assert value_of(home) == pytest.approx(deposits)
    again = bank_of(home=home.parent / "again", customer=[PERSON], txn=spent, balance=[PERSON | {"amount": 0}])
    assert value_of(again, book=with_figures(txns={"CONSUME": 60})) == pytest.approx(2_000 * 0.0060)


def test_a_new_margin_holds_from_its_day_on(bank_of: Callable[..., Path]) -> None:
    sections = copy.deepcopy(dict(BOOK.sections))
    sections["value"]["products"]["P06"]["since"][date(2024, 3, 1)] = {"bp_balance": 45}
    book = PolicyBook(SegmentsPolicy, sections)
    home = bank_of(customer=[PERSON], holding=[held("P06", 36_500, date(2024, 1, 1))], txn=[
        PERSON | {"business_on": date(2024, 1, 5)}])  # fmt: skip
    assert value_of(home, date(2024, 2, 29), book) == pytest.approx(0.9 * 60)
    assert value_of(home, MARCH, book) == pytest.approx(0.45 * 91)


def test_a_bank_with_nothing_that_earns_has_no_value(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=[PERSON], txn=[PERSON | {"business_on": date(2024, 3, 5)}])
    assert value_of(home) is None


def test_value_and_decisions_reckon_with_the_same_margins() -> None:
    """What a product earns stands twice, for the value that was and for the decision to come: held equal."""
    mine = BOOK.view(JANUARY).value.products
    theirs = {name: product.margin for name, product in decisions().view(JANUARY).products.items()}
    for name, margin in theirs.items():
        told = mine.get(name)
        figure = 0.0 if told is None else told.bp_balance + told.amount_year + told.pct_first_premium
        assert figure == margin.value * (margin.n_per_year if margin.unit == "amount_txn" else 1), name


def test_the_reconciliation_names_month_product_and_gap(bank_of: Callable[..., Path]) -> None:
    """36,500 at 90 bp earn .90 a day; the books hold 27.90 of January, and of February 20, which is too little."""
    books = [
        {"business_on": JANUARY, "product_id": "P06", "branch_id": "b1", "income_amount": "27.90"},
        {"business_on": date(2024, 2, 29), "product_id": "P06", "branch_id": "b1", "income_amount": "20.00"},
        {"business_on": JANUARY, "product_id": None, "branch_id": "b1", "income_amount": "3.10"},
    ]
    home = bank_of(customer=[PERSON], branch=[{"branch_id": "b1"}], holding=[held("P06", 36_500, date(2024, 1, 1))],
                   product_ledger=books)  # fmt: skip
    with open_bank(home) as bank:
        table = reconcile(bank, BOOK, [JANUARY, date(2024, 2, 29)], known_at=datetime(2024, 4, 1, tzinfo=UTC))
    rows = table.set_index(["on", "product_id"])
    assert rows.is_within.tolist() == [None, True, False]
    assert rows.earned.round(2).tolist() == [0.0, 27.9, 26.1]
    assert rows.gap.round(2).tolist() == [3.1, 0.0, -6.1]
    assert unallocated_share(table) == pytest.approx((51 - 54) / 51)


def test_without_books_there_is_nothing_to_reconcile_with(bank_of: Callable[..., Path]) -> None:
    with open_bank(bank_of(customer=[PERSON])) as bank, pytest.raises(BadBank, match="product_ledger"):
        reconcile(bank, BOOK, [JANUARY], known_at=datetime(2024, 4, 1, tzinfo=UTC))
