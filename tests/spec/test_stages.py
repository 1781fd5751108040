"""Each sentence of stages.yaml, built month by month as any bank is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from features import profiles
from features.bank.engines import month_end
from features.policy import segments

SENTENCES = yaml.safe_load((Path(__file__).parent / "stages.yaml").read_text("utf-8"))
BOOK = segments()
ANCHOR = "anchor"  # a customer who is active from the first day, so that the bank's history begins in January


def months(n: int) -> list[date]:
    ends = [date(2024, 1, 31)]
    while len(ends) < n:
        ends.append(month_end(ends[-1] + timedelta(days=1)))
    return ends


def active_rows(customer: str, numbers: list[int]) -> list[dict[str, Any]]:
    days = [date(2024, number, day) for number in numbers for day in (3, 5)]
    return [
        {"customer_id": customer, "business_on": day, "occurred_at": datetime.combine(day, time(4), UTC)}
        for day in days
    ]


def test_every_sentence_leads_where_it_says(bank_of: Callable[..., Path]) -> None:
    longest = max(len(case["level"]) for case in SENTENCES)
    customer = [{"customer_id": ANCHOR, "registered_on": date(2020, 1, 1), "first_product_on": date(2020, 1, 1)}]
    balance: list[dict[str, Any]] = []
    doings = active_rows(ANCHOR, list(range(1, longest + 1)))
    for i, case in enumerate(SENTENCES):
        name = f"s{i}"
        customer.append({"customer_id": name, **case["customer"]})
        for end, level in zip(months(longest), case["level"], strict=False):
            span = {"from_on": end.replace(day=1), "to_on": end + timedelta(days=1)}
            balance.append({"customer_id": name, "account_id": name, "amount": level, **span})
        doings += active_rows(name, case["active"])
    home = bank_of(customer=customer, balance=balance, txn=doings, channel_event=doings)
    instant = datetime.combine(months(longest)[-1] + timedelta(days=2), time(), UTC)
    built = pd.concat([pd.read_parquet(build.path) for build in profiles.build(home, BOOK, instant=instant)])
    paths = built.set_index(["customer_id", "as_of"]).sort_index().stage
    told = {case["sentence"]: paths.loc[f"s{i}"].tolist()[: len(case["stages"])] for i, case in enumerate(SENTENCES)}
    assert told == {case["sentence"]: case["stages"] for case in SENTENCES}
