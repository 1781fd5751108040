"""Which table makes which fact known: what is declared is what a real build yields with the tables there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features import profiles
from features.inputs import absent, states, tables_of
from features.policy import segments

DAY = {"customer_id": "c1", "business_on": date(2024, 1, 9)}
ROWS: dict[str, dict[str, Any]] = {
    "balance": {"customer_id": "c1", "from_on": date(2024, 1, 1), "amount": 5000},
    "txn": DAY,
    "channel_event": DAY,
    "loan": {"customer_id": "c1", "opened_on": date(2024, 1, 2)},
    "service_activation": {"customer_id": "c1", "activated_on": date(2024, 1, 2)},
    "holding": {"customer_id": "c1", "opened_on": date(2024, 1, 2)},
    "contact": DAY,
    "response": DAY | {"outcome": "converted"},
}
HEADLINE = {
    "wealth": "mda", "activity": "active_days_3m", "tiers": "tier", "value": "value_12m", "grades": "grade",
    "classes": "customer_class", "lifecycle": "stage", "cells": "cell", "tags": "tags",
    "behaviour": "n_transfer_out_views_3m",
}  # fmt: skip
POLICY = segments()


@pytest.mark.parametrize(
    "has",
    [
        (),
        ("balance",),
        ("txn",),
        ("channel_event",),
        ("balance", "txn"),
        ("loan", "holding"),
        ("service_activation",),
        tuple(ROWS),
    ],
)
def test_a_family_is_said_to_work_if_and_only_if_a_build_yields_it(
    bank_of: Callable[..., Path], has: tuple[str, ...]
) -> None:
    home = bank_of(customer=[{"customer_id": "c1"}], **{name: [ROWS[name]] for name in has})
    instant = datetime(2024, 2, 2, tzinfo=UTC)
    (*_, build) = profiles.build(home, POLICY, instant=instant, as_of=date(2024, 1, 31))
    (row,) = pd.read_parquet(build.path).to_dict("records")
    for state in states(has, POLICY.view(date(2024, 1, 31))):
        assert state.works == pd.notna(row[HEADLINE[state.name]]), state


def test_a_fact_is_known_by_the_table_it_is_told_by(bank_of: Callable[..., Path]) -> None:
    known = tables_of()
    assert known["mda"] == {"balance"}
    assert known["active_days_3m"] == {"txn", "channel_event"}
    assert known["risk_level"] == known["is_risk_valid"] == {"risk_assessment"}
    assert known["consented_channels"] == {"consent"}
    assert known["n_open_complaints"] == {"complaint"}
    assert known["age"] == {"customer"}
    assert absent(["mda", "risk_level", "age"], ["balance"]) == ("risk_assessment",)
