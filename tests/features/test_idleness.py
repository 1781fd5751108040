"""Services in use and accounts that sleep: each condition of the rules beside a case that just misses it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from features import profiles
from features.bank.engines import open_bank
from features.bank.idleness import answers, since
from features.policy import segments

AS_OF = date(2024, 12, 31)
LONG_AGO = date(2023, 1, 10)
BEGAN = date(2023, 12, 25)  # the history of a bank whose last year is told
POLICY = segments().view(AS_OF)


def told(home: Path, name: str) -> dict[str, int]:
    """What the bank at the closing of December 2024 says by customer; who is not named has none."""
    known_until = datetime(2025, 1, 1, 0, tzinfo=UTC)
    with open_bank(home) as bank:
        closing = bank.register("closing", pa.table({
            "as_of": pa.array([AS_OF]), "morning_on": pa.array([date(2025, 1, 1)]),
            "known_until": pa.array([known_until], pa.timestamp("us", tz="UTC")),
            **{name: pa.array([day]) for name, day in since(AS_OF, POLICY).items()},
        }))  # fmt: skip
        (answer,) = [table for table in answers(bank.tables, closing, POLICY) if name in table.columns]
        rows = answer.to_pandas()
    return {who: int(n) for who, n in zip(rows.customer_id, rows[name], strict=True)}


def test_a_service_counts_for_ninety_days_after_its_last_use_or_its_switching_on(bank_of: Callable[..., Path]) -> None:
    ninety, one_more = date(2024, 10, 2), date(2024, 10, 1)  # 90 and 91 days before the last of December
    on: dict[str, dict[str, Any]] = {
        "used 90 days ago": {}, "used 91 days ago": {}, "never used": {}, "switched on 90 days ago": {
            "activated_on": ninety}, "switched on 91 days ago": {"activated_on": one_more},
        "switched off": {"closed_on": date(2024, 12, 20)}, "told too late": {}, "another service used": {},
    }  # fmt: skip
    used: dict[str, dict[str, Any]] = {
        "used 90 days ago": {"business_on": ninety}, "used 91 days ago": {"business_on": one_more},
        "switched off": {"business_on": date(2024, 12, 10)}, "not switched on": {"business_on": date(2024, 12, 10)},
        "told too late": {"business_on": date(2024, 12, 10), "known_at": datetime(2025, 1, 2, tzinfo=UTC)},
        "another service used": {"business_on": date(2024, 12, 10), "service_id": "P30"},
    }  # fmt: skip
    two = {"customer_id": "two", "activated_on": date(2024, 12, 1)}
    home = bank_of(
        customer=[{"customer_id": who, "registered_on": LONG_AGO} for who in {*on, *used, "two"}],
        service_activation=[
            *({"customer_id": who, "service_id": "P24", "activated_on": LONG_AGO} | more for who, more in on.items()),
            two | {"service_id": "P24"}, two | {"service_id": "P25"},
        ],
        channel_event=[{"customer_id": who, "service_id": "P24"} | more for who, more in used.items()],
    )  # fmt: skip
    assert told(home, "n_active_services") == {"used 90 days ago": 1, "switched on 90 days ago": 1, "two": 2}


ACCOUNTS: dict[str, dict[str, Any]] = {  # each but the first two misses one condition
    "asleep": {}, "with the last ten": {"amount": 10}, "one fen more": {"amount": "10.01"},
    "opened a day later": {"opened_on": date(2024, 1, 2)}, "closed": {"closed_on": date(2024, 12, 1)},
    "social security": {"is_social_security": True}, "custody": {"custody": 5},
    "moved a year ago": {"moved_on": date(2024, 1, 2)},
}  # fmt: skip


@pytest.fixture
def accounts(bank_of: Callable[..., Path]) -> Path:
    rows: dict[str, list[dict[str, Any]]] = {"account": [], "balance": [], "txn": []}
    for who, said in ACCOUNTS.items():
        mine = {"customer_id": who, "account_id": f"A {who}"}
        opened = {"opened_on": said.get("opened_on", date(2024, 1, 1)), "closed_on": said.get("closed_on")}
        rows["account"].append(mine | opened | {"is_social_security": said.get("is_social_security")})
        rows["balance"].append(mine | {"from_on": LONG_AGO, "amount": said.get("amount", 0)})
        if "custody" in said:
            other = {"account_id": f"B {who}", "asset_class": "CUSTODY_3P", "amount": said["custody"]}
            rows["balance"].append(mine | other | {"from_on": LONG_AGO})
        if "moved_on" in said:
            rows["txn"].append(mine | {"business_on": said["moved_on"]})
        interest = {"business_on": date(2024, 6, 20), "txn_type": "INTEREST", "by_customer": False}
        rows["txn"].append(mine | interest)
    return bank_of(customer=[{"customer_id": who, "registered_on": LONG_AGO} for who in ACCOUNTS], **rows)


def test_an_account_sleeps_after_a_year_without_its_owner_and_interest_does_not_wake_it(accounts: Path) -> None:
    assert told(accounts, "n_idle_accounts") == {"asleep": 1, "with the last ten": 1}


def test_who_has_a_loan_a_card_or_an_investment_has_no_dormant_account(bank_of: Callable[..., Path]) -> None:
    """The account of each sleeps; only of whom nothing else is linked with the bank it is told (R17)."""
    people = ("nothing", "loan", "card", "investment", "repaid")
    lent = {"product_id": "P19", "opened_on": LONG_AGO, "amount": 9_000, "ends_on": date(2030, 1, 1)}
    loans = {"loan": lent, "card": lent | {"product_id": "P22", "ends_on": None},
             "repaid": lent | {"closed_on": date(2024, 6, 1)}}  # fmt: skip
    fund = {"customer_id": "investment", "account_id": "F", "asset_class": "FUND", "amount": 900, "from_on": BEGAN}
    home = bank_of(
        customer=[{"customer_id": who, "registered_on": LONG_AGO} for who in people],
        account=[{"account_id": f"A {who}", "customer_id": who, "opened_on": LONG_AGO} for who in people],
        balance=[fund, *({"customer_id": who, "account_id": f"A {who}", "amount": 5, "from_on": BEGAN}
                         for who in people)],
        loan=[{"customer_id": who} | loan for who, loan in loans.items()],
        txn=[{"customer_id": who, "business_on": date(2024, 6, 20), "txn_type": "INTEREST", "by_customer": False}
             for who in people],
    )  # fmt: skip
    *_, build = profiles.build(home, segments(), instant=datetime(2025, 1, 2, tzinfo=UTC))
    rows = pd.read_parquet(build.path).set_index("customer_id")
    assert rows.has_dormant_account.to_dict() == {who: who in ("nothing", "repaid") for who in people}


def test_a_transaction_wakes_its_own_account_and_one_that_names_none_wakes_them_all(
    bank_of: Callable[..., Path],
) -> None:
    people = {"of the first": "A1", "of none": None, "of another bank's account": "X9"}
    mine = [{"customer_id": who} for who in people]
    accounts = [{"account_id": f"{who} A{i}", "customer_id": who} for who in people for i in (1, 2)]
    named = [account and f"{who} {account}" for who, account in people.items()]
    home = bank_of(
        customer=[who | {"registered_on": LONG_AGO} for who in mine],
        account=[account | {"opened_on": LONG_AGO} for account in accounts],
        balance=[who | {"from_on": LONG_AGO, "amount": 0} for who in mine],
        txn=[w | {"account_id": a, "business_on": date(2024, 5, 5)} for w, a in zip(mine, named, strict=True)],
    )
    assert told(home, "n_idle_accounts") == {"of the first": 1, "of another bank's account": 2}
