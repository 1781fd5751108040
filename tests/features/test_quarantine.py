"""What breaks the contract is set aside with its rule; what breaks it too often stops, and leaves the home alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.bank.engines import arrow_schema, open_bank
from features.bank.quarantine import receive
from features.bank.tables import TABLES
from features.errors import BadBank

CUSTOMERS = [{"customer_id": f"c{i}"} for i in range(60)]


def good(n: int = 60) -> list[dict[str, Any]]:
    return [{"txn_id": f"t{i}", "customer_id": f"c{i % 60}", "business_on": date(2024, 1, 5)} for i in range(n)]


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ({"txn_type": "BARTER"}, "txn_type is not a known code"),
        ({"amount": -5}, "amount is below 0"),
        ({"customer_id": "nobody"}, "customer_id is not in customer"),
        ({"txn_id": "t0"}, "key stands twice"),
        ({"business_on": date(1850, 1, 1)}, "business_on is out of time"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_rule_and_the_good_ones_stay(
    bank_of: Callable[..., Path], bad: dict[str, Any], rule: str
) -> None:
    row = {"txn_id": "bad", "customer_id": "c1", "business_on": date(2024, 1, 6), "amount": 7} | bad
    home = bank_of(customer=CUSTOMERS, txn=[*good(), row])
    aside = pq.read_table(home / "quarantine" / "txn.parquet").to_pylist()
    assert [r["_rule"] for r in aside] == [rule]
    kept = pq.read_table(home / "bank" / "txn").num_rows
    assert kept == len(good())
    with open_bank(home) as bank:
        assert bank.tables["txn"].count().execute() == kept


def test_too_many_bad_rows_stop_and_leave_the_home_as_it_was(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=CUSTOMERS, txn=good())
    before = {path: path.read_bytes() for path in sorted(home.rglob("*.parquet"))}
    half_bad = [row | ({"amount": -1} if i % 2 else {}) for i, row in enumerate(good())]
    with pytest.raises(BadBank, match="30 of 60 rows break the contract") as told:
        bank_of(home=home, customer=CUSTOMERS[:3] + CUSTOMERS[3:], txn=half_bad)
    assert "amount is below 0" in str(told.value)
    assert {path: path.read_bytes() for path in sorted(home.rglob("*.parquet"))} == before
    assert not (home / ".receiving").exists()


def test_a_missing_column_and_an_unknown_table_are_told(tmp_path: Path, bank_of: Callable[..., Path]) -> None:
    customers = arrow_schema(TABLES["customer"]).empty_table()
    with pytest.raises(BadBank, match=r"unknown table.*allowed: account"):
        receive(tmp_path, {"customer": customers, "wallet": pa.table({"x": [1]})})
    with pytest.raises(BadBank, match=r"lacks columns: \['birth_on'\]"):
        receive(tmp_path, {"customer": customers.drop_columns(["birth_on"])})
    with pytest.raises(BadBank, match="needs its customers"):
        receive(tmp_path, {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_bank_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadBank, match=r"holds no bank.*tiercel simulate"), open_bank(tmp_path):
        pass
