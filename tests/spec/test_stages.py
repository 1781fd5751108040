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
CLASSES = {"level": "DEMAND", "invested": "WMP", "gold": "GOLD"}
Rows = list[dict[str, Any]]
ANCHOR = "anchor"  # a customer who is active from the first day, so that the bank's history begins in January


def months(n: int) -> list[date]:
    ends = [date(2024, 1, 31)]
    while len(ends) < n:
        ends.append(month_end(ends[-1] + timedelta(days=1)))
    return ends


def on(number: int, day: int) -> date:
    return date(2024 + (number - 1) // 12, (number - 1) % 12 + 1, day)


def at_four(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"occurred_at": datetime.combine(row["business_on"], time(4), UTC)}


def active_rows(customer: str, numbers: list[int]) -> Rows:
    days = [on(number, day) for number in numbers for day in (3, 5)]
    return [at_four({"customer_id": customer, "business_on": day}) for day in days]


def money_moved(customer: str, case: dict[str, Any]) -> Rows:
    """Salaries, and what was paid in or out, in the middle of their months."""
    of_salary = [(number, "SALARY", 8_000, False) for number in case.get("salary", [])]
    paid_in = [(number, "IN", amount, True) for number, amount in case.get("paid_in", {}).items()]
    paid_out = [(number, "OUT", amount, True) for number, amount in case.get("paid_out", {}).items()]
    return [
        at_four({"customer_id": customer, "business_on": on(number, 10), "txn_type": kind, "amount": amount,
                 "by_customer": own, "counterparty": "OTHER_BANK"})
        for number, kind, amount, own in [*of_salary, *paid_in, *paid_out]
    ]  # fmt: skip


def money_kept(customer: str, case: dict[str, Any], ends: list[date]) -> Rows:
    """Balances month by month in each class, from the first product on."""
    begun, found = case["customer"]["first_product_on"] or ends[0].replace(day=1), []
    for name, asset_class in CLASSES.items():
        account = {"customer_id": customer, "account_id": f"{customer}/{name}", "asset_class": asset_class}
        for end, level in zip(ends, case.get(name, []), strict=False):
            span = {"from_on": max(end.replace(day=1), min(begun, end)), "to_on": end + timedelta(days=1)}
            found.append(account | span | {"amount": level})
    return found


def told_rows(customer: str, case: dict[str, Any]) -> dict[str, Rows]:
    """Rows of the tables as the sentence writes them; a holding was opened long ago if nothing is said."""
    opened = {"opened_on": date(2020, 1, 1)}
    return {
        "holding": [opened | row | {"customer_id": customer} for row in case.get("holdings", [])],
        "complaint": [row | {"customer_id": customer} for row in case.get("complaints", [])],
        "survey_response": [
            at_four({"touchpoint": "APP"} | row | {"customer_id": customer}) for row in case.get("surveys", [])
        ],
    }


def test_every_sentence_leads_where_it_says(bank_of: Callable[..., Path]) -> None:
    longest = max(len(case["level"]) for case in SENTENCES)
    customer = [{"customer_id": ANCHOR, "registered_on": date(2020, 1, 1), "first_product_on": date(2020, 1, 1)}]
    doings = active_rows(ANCHOR, list(range(1, longest + 1)))
    rows: dict[str, Rows] = {name: [] for name in ("balance", "moved", "holding", "complaint", "survey_response")}
    for i, case in enumerate(SENTENCES):
        name = f"s{i}"
        customer.append({"customer_id": name, **case["customer"]})
        rows["balance"] += money_kept(name, case, months(longest))
        rows["moved"] += money_moved(name, case)
        doings += active_rows(name, case["active"])
        doings += [at_four({"customer_id": name, "business_on": day}) for day in case.get("active_on", [])]
        for table, told in told_rows(name, case).items():
            rows[table] += told
    home = bank_of(customer=customer, channel_event=doings, txn=[*doings, *rows.pop("moved")], **rows)
    instant = datetime.combine(months(longest)[-1] + timedelta(days=2), time(), UTC)
    built = pd.concat([pd.read_parquet(build.path) for build in profiles.build(home, BOOK, instant=instant)])
    paths = built.set_index(["customer_id", "as_of"]).sort_index().stage
    told = {case["sentence"]: paths.loc[f"s{i}"].tolist()[: len(case["stages"])] for i, case in enumerate(SENTENCES)}
    assert told == {case["sentence"]: case["stages"] for case in SENTENCES}
