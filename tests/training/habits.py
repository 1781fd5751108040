"""A small bank whose customers open, and then buy, by their own habit, which only the moment of a contact shows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from features.bank.engines import arrow_schema
from features.bank.quarantine import receive
from features.bank.tables import TABLES
from features.policy import segments
from features.profiles import build

N_CUSTOMERS, N_WAVES = 500, 9
FIRST = pd.Timestamp("2025-01-06T01:00", tz="UTC")
AS_OF = date(2025, 4, 15)
INVENTORY = """
owner: Head of retail
author: Data science
approver: Model risk
pipia_id: PIA-2025-7
review_months: 12
"""
# the first waves know no earlier contact, so that scores move as the bank's memory fills
GATES = "{least_slope: 0.9, most_slope: 1.1, most_score_psi: 0.5}"


def bank(home: Path, *, seed: int = 1, is_noise: bool = False, offers: tuple[str, str] = ("A", "B")) -> Path:
    """A bank of N_CUSTOMERS spoken to every ten days; the keen half opens and converts, or nobody in particular."""
    chance = np.random.default_rng(seed)
    ids = np.array([f"c{place:04d}" for place in range(N_CUSTOMERS)])
    keen = chance.random(N_CUSTOMERS) < 0.5
    who = np.tile(np.arange(N_CUSTOMERS), N_WAVES)
    wave = np.repeat(np.arange(N_WAVES), N_CUSTOMERS)
    sent = FIRST + pd.to_timedelta(wave * 10, "D")
    eager = keen[who] & (not is_noise)
    opened = chance.random(len(who)) < np.where(eager, 0.8, 0.2)
    converts = chance.random(len(who)) < np.where(eager, 0.35, 0.1)
    contacts = {
        "contact_id": [f"k{place:05d}" for place in range(len(who))], "customer_id": ids[who],
        "offer_id": chance.choice(offers, len(who)), "channel": "APP", "purpose": "SALES", "sent_at": sent,
        "business_on": sent.date, "opened_at": (sent + pd.Timedelta(hours=1)).where(opened), "cost_amount": 0,
        "known_at": sent,
    }  # fmt: skip
    answered = sent + pd.Timedelta(days=2)
    answers = {
        "event_id": [f"e{place:05d}" for place in range(len(who))], "customer_id": ids[who],
        "contact_id": contacts["contact_id"], "offer_id": contacts["offer_id"], "outcome": "converted",
        "occurred_at": answered, "business_on": answered.date, "known_at": answered,
    }  # fmt: skip
    registered = FIRST - pd.Timedelta(days=400)
    people = {
        "customer_id": ids, "registered_on": registered.date(), "first_product_on": registered.date(),
        "gender": chance.choice(["F", "M"], N_CUSTOMERS), "is_staff": False, "is_restricted": False,
        "has_marketing_optout": False, "known_at": registered,
    }  # fmt: skip
    shelf = {
        "offer_id": list(offers), "from_on": date(2024, 1, 1), "kind": "financial", "category": "fund", "role": "core",
        "risk_level": 1, "min_amount": 0, "reward_amount": [0, 5], "outcome_days": 5, "n_channels": 1,
        "needs_view": False, "is_ranked": True, "known_at": registered,
    }  # fmt: skip
    rows = {"customer": pd.DataFrame(people), "contact": pd.DataFrame(contacts), "offer": pd.DataFrame(shelf),
            "response": pd.DataFrame(answers)[converts]}  # fmt: skip
    folder = home / "policy" / "models"
    folder.mkdir(parents=True)
    (folder / "inventory.yaml").write_text(INVENTORY)
    (folder / "gates.yaml").write_text(GATES)
    receive(home, {name: table_of(name, frame) for name, frame in rows.items()})
    build(home, segments(), instant=datetime(2025, 4, 16, tzinfo=UTC))
    return home


def table_of(name: str, frame: pd.DataFrame) -> pa.Table:
    schema = arrow_schema(TABLES[name])
    arrays: list[Any] = []
    for field in schema:
        values = frame.get(field.name, pd.Series([None] * len(frame), dtype=object))
        if pa.types.is_decimal(field.type) and field.name in frame:
            arrays.append(pa.array([Decimal(int(value)) for value in values], field.type))
        elif pa.types.is_timestamp(field.type):
            stamps = pd.to_datetime(pd.Series(values), utc=True).dt.as_unit("us")
            arrays.append(pa.Array.from_pandas(stamps, type=field.type))
        else:
            arrays.append(pa.Array.from_pandas(values, type=field.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema([field.with_nullable(True) for field in schema]))
