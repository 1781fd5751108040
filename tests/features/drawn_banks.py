"""A bank drawn from the contracts of its tables by a seeded chance: every column, every code, every kind of null."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from features.bank.tables import TABLES
from features.vocabulary import Column, Kind

Rows = list[dict[str, Any]]
NULL_SHARE = 0.25
_DRAWN = (
    "account", "balance", "txn", "holding", "loan", "service_activation", "channel_event", "risk_assessment", "consent",
    "do_not_call", "complaint", "preapproval", "customer_fact", "contact", "response", "app_quality",
    "survey_response",
)  # fmt: skip


def drawn_bank(seed: int, first_on: date, days: int, *, customers: int, rows: int) -> dict[str, Rows]:
    """Rows by table name: `customers` customers, and `rows` rows of each table that a profile may read.

    Facts lie in the `days` days from `first_on`; one in four is known up to forty days after it happened.
    """
    chance = random.Random(seed)
    people = [f"c{i:03}" for i in range(customers)]
    calendar = [first_on + timedelta(days=i) for i in range(days)]
    bank = {"customer": [_customer(chance, who, calendar) for who in people]}
    for name in _DRAWN:
        drawn = [_row(chance, name, chance.choice(people), calendar) for _ in range(rows)]
        key = TABLES[name].key
        bank[name] = list({tuple(row[k] for k in key): row for row in drawn}.values())
    return bank


def _customer(chance: random.Random, who: str, calendar: list[date]) -> dict[str, Any]:
    long_ago = calendar[0] - timedelta(days=chance.randrange(4_000))
    registered = chance.choice([long_ago, calendar[0], chance.choice(calendar)])
    drawn = _row(chance, "customer", who, calendar)
    return drawn | {
        "birth_on": chance.choice([None, date(1960, 2, 29), date(1999, 12, 31), date(2008, 1, 1)]),
        "registered_on": registered,
        "first_product_on": chance.choice([None, registered, registered + timedelta(days=20)]),
        "closed_on": chance.choice([None, None, None, calendar[-20]]),
        "known_at": _noon(registered),
    }


def _row(chance: random.Random, table: str, who: str, calendar: list[date]) -> dict[str, Any]:
    contract = TABLES[table]
    happened = chance.choice(calendar)
    late = timedelta(days=chance.choice([0, 0, 0, chance.randrange(40)]))
    row = {c.name: _value(chance, c, happened) for c in contract.columns} | {"customer_id": who}
    if contract.happened is not None:
        row[contract.happened] = happened
    return row | {"known_at": _noon(happened) + late}


def _value(chance: random.Random, column: Column, happened: date) -> Any:
    if column.is_nullable and chance.random() < NULL_SHARE:
        return None
    match column.kind:
        case Kind.CODE:
            return chance.choice(
                [str(code) for code in column.allowed] or [f"{column.name} {i} 号" for i in range(400)]
            )
        case Kind.FLAG:
            return chance.random() < 0.5
        case Kind.INTEGER:
            return chance.randrange(1, 6)
        case Kind.NUMBER:
            return chance.random()
        case Kind.AMOUNT:
            return Decimal(chance.choice([0, 1, chance.randrange(10**4), chance.randrange(10**10)])) / 100
        case Kind.DATE:
            return happened + timedelta(days=chance.choice([0, 1, 20, 200]))
        case _:
            return _noon(happened)


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(4), UTC)
