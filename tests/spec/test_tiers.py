"""Each sentence of tiers.yaml, built month by month as any bank is, all sentences of one policy in one bank."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from features import profiles
from features.bank.engines import month_end
from features.policy import PolicyBook, SegmentsPolicy, segments

SENTENCES = yaml.safe_load((Path(__file__).parent / "tiers.yaml").read_text("utf-8"))
STATES = {"S": "SEEDED", "N": "NORMAL", "G": "GRACE", "W": "WATCH"}


def policy_of(case: dict[str, Any]) -> str:
    return json.dumps(case.get("policy", {}), sort_keys=True)


def book(policy: str) -> PolicyBook[SegmentsPolicy]:
    sections = copy.deepcopy(dict(segments().sections))
    for name, value in json.loads(policy).items():
        sections["tiers"][name] = {"unit": "under test", "source": "R10", "since": {date(1990, 1, 1): value}}
    return PolicyBook(SegmentsPolicy, sections)


def balances(name: str, levels: list[float]) -> list[dict[str, Any]]:
    rows, first = [], date(2024, 1, 1)
    for level in levels:
        after = month_end(first) + timedelta(days=1)
        rows.append({"customer_id": name, "account_id": name, "amount": level, "from_on": first, "to_on": after})
        first = after
    return rows


GROUPS = [(p, list(cases)) for p, cases in groupby(sorted(SENTENCES, key=policy_of), policy_of)]


@pytest.mark.parametrize(("policy", "cases"), GROUPS, ids=[policy for policy, _ in GROUPS])
def test_every_sentence_leads_where_it_says(
    bank_of: Callable[..., Path], policy: str, cases: list[dict[str, Any]]
) -> None:
    home = bank_of(
        customer=[{"customer_id": f"s{i}"} for i in range(len(cases))],
        balance=[row for i, case in enumerate(cases) for row in balances(f"s{i}", case["level"])],
    )
    longest = max(len(case["level"]) for case in cases)
    last = date(2024 + (longest - 1) // 12, (longest - 1) % 12 + 1, 1)
    instant = datetime.combine(month_end(last) + timedelta(days=2), time(), UTC)
    built = profiles.build(home, book(policy), instant=instant)
    paths = pd.concat([pd.read_parquet(build.path) for build in built]).set_index(["customer_id", "as_of"]).sort_index()
    for i, case in enumerate(cases):
        rows, n = paths.loc[f"s{i}"], len(case["level"])
        assert rows.tier.tolist()[:n] == case["tiers"], case["sentence"]
        assert rows.tier_state.tolist()[:n] == [STATES[letter] for letter in case["states"]], case["sentence"]
        assert rows.near_up.tolist()[:n] == case.get("near", rows.near_up.tolist()[:n]), case["sentence"]
