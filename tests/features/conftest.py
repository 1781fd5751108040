"""A small bank, written by hand: rows as dictionaries with sensible defaults, brought in the way any bank is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from features.bank.engines import arrow_schema
from features.bank.quarantine import receive
from features.bank.tables import TABLES
from features.vocabulary import Kind

Rows = list[dict[str, Any]]
_DEFAULTS: dict[str, dict[str, Any]] = {
    "customer": {
        "registered_on": date(2024, 1, 1),
        "first_product_on": date(2024, 1, 1),
        "birth_on": date(1980, 6, 15),
    },
    "balance": {"account_id": "a", "asset_class": "DEMAND", "from_on": date(2024, 1, 1), "amount": 0},
    "txn": {"txn_type": "CONSUME", "by_customer": True, "amount": 10, "channel": "APP"},
    "channel_event": {"channel": "APP", "event": "LOGIN"},
    "contact": {"channel": "APP", "purpose": "SALES", "cost_amount": 0},
}
_EMPTY: dict[Kind, Any] = {Kind.FLAG: False, Kind.AMOUNT: 0, Kind.NUMBER: 0.0, Kind.INTEGER: 1, Kind.CODE: "x"}
_counter = iter(range(10**9))


def row(table: str, given: dict[str, Any]) -> dict[str, Any]:
    """One row of a bank table: what is given, then the table's defaults, then the emptiest value that is allowed."""
    said = _DEFAULTS.get(table, {}) | given
    contract = TABLES[table]
    day = said.get("business_on") or said.get(contract.happened or "") or said.get("registered_on") or date(2024, 1, 1)
    instant = datetime.combine(day, time(4), UTC)
    filled = {}
    for column in contract.columns:
        value = said.get(column.name)
        if value is None and not column.is_nullable:
            if column.kind is Kind.INSTANT:
                value = instant
            elif column.kind is Kind.DATE:
                value = day
            elif column.name in contract.key and column.name not in said:
                value = f"{table}{next(_counter)}"
            else:
                value = _EMPTY[column.kind]
        filled[column.name] = (
            Decimal(str(value)).quantize(Decimal("0.01")) if column.kind is Kind.AMOUNT and value is not None else value
        )
    return filled


def tables_of(**rows: Rows) -> dict[str, pa.Table]:
    """Arrow tables of a bank from rows by table name."""
    return {
        name: pa.Table.from_pylist([row(name, r) for r in given], schema=_loose(name)) for name, given in rows.items()
    }


def _loose(name: str) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in arrow_schema(TABLES[name])])


@pytest.fixture
def bank_of(tmp_path: Path) -> Callable[..., Path]:
    """`bank_of(customer=[…], balance=[…])` gives the home of a bank with these rows."""

    def make(*, home: Path | None = None, **rows: Rows) -> Path:
        place = home or tmp_path / "home"
        place.mkdir(parents=True, exist_ok=True)
        receive(place, tables_of(**rows))
        return place

    return make
