"""A small catalogue and a small simulated bank, for every test of the simulation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from features.bank.engines import arrow_schema
from features.bank.tables import TABLES
from simulation import Summary, simulate

CUSTOMERS, MONTHS, SEED = 12_000, 12, 11
LAST_ON = date(2025, 12, 31)
_OFFERS: tuple[tuple[str, str | None, str | None, str, str, str, int, int, int, int], ...] = (
    # offer, product, hook, kind, category, role, risk, minimum, reward, outcome days
    ("P01", "P01", None, "financial", "DEPOSIT", "hook", 0, 10_000, 0, 30),
    ("P03", "P03", None, "financial", "WEALTH", "hook", 1, 1, 0, 30),
    ("P05", "P05", None, "financial", "PAYMENT", "hook", 0, 0, 0, 14),
    ("P06", "P06", None, "financial", "DEPOSIT", "core", 0, 50, 0, 30),
    ("P09", "P09", None, "financial", "WEALTH", "core", 2, 10_000, 0, 30),
    ("P11", "P11", None, "financial", "WEALTH", "core", 3, 100, 0, 30),
    ("P19", "P19", None, "financial", "LOAN", "core", 0, 1_000, 0, 30),
    ("P22", "P22", None, "financial", "PAYMENT", "core", 0, 0, 0, 30),
    ("P24", "P24", None, "platform", "SCENE", "platform", 0, 0, 5, 14),
    ("P25", "P25", None, "platform", "SCENE", "platform", 0, 0, 5, 14),
    ("S01", None, None, "service", "CARE", "care", 0, 0, 0, 30),
    ("H01-P05", "P05", "H01", "financial", "PAYMENT", "hook", 0, 0, 10, 30),
    ("H06-P06", "P06", "H06", "financial", "DEPOSIT", "core", 0, 50, 0, 30),
    ("H09-S03", None, "H09", "service", "CARE", "care", 0, 0, 0, 30),
    ("I01", None, None, "information", "NEWS", "information", 0, 0, 0, 30),
)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A finished simulation; `sql` answers a query in which {table} stands for a bank's or a truth's files."""

    home: Path
    summary: Summary

    def sql(self, query: str) -> dict[str, Any]:
        """The answer of the query as NumPy arrays by column."""
        bank = {name: f"read_parquet('{self.home}/bank/{name}/*.parquet')" for name in TABLES}
        truth = {
            "truth_contacts": f"read_parquet('{self.home}/truth/contacts/*.parquet')",
            "truth_states": f"read_parquet('{self.home}/truth/states/*.parquet', filename=true)",
            "truth_arms": f"read_parquet('{self.home}/truth/arms.parquet')",
            "truth_treatments": f"read_parquet('{self.home}/truth/treatments.parquet')",
            "truth_referrals": f"read_parquet('{self.home}/truth/referrals.parquet')",
        }
        with duckdb.connect() as con:
            answer: dict[str, Any] = con.sql(query.format(**bank, **truth)).fetchnumpy()
            return answer


def aum_on(day: str) -> str:
    """The query for everybody's AUM on the evening of a day, third-party custody left out."""
    return (
        "SELECT customer_id, sum(amount) AS aum FROM {balance} WHERE asset_class <> 'CUSTODY_3P' "
        f"AND from_on <= DATE '{day}' AND coalesce(to_on, DATE '2999-01-01') > DATE '{day}' GROUP BY 1"
    )


def shelf(*, without: tuple[str, ...] = ()) -> pa.Table:
    """Rows of bank table `offer`: a small catalogue without the offers named."""
    rows = [
        {
            "offer_id": offer, "from_on": date(2015, 1, 1), "product_id": product, "hook_id": hook, "kind": kind,
            "category": category, "subcategory": category, "role": role, "risk_level": risk,
            "min_amount": Decimal(minimum), "reward_amount": Decimal(reward), "outcome_days": days, "n_channels": 4,
            "needs_view": False, "is_ranked": role != "information", "known_at": datetime(2015, 1, 1, tzinfo=UTC),
        }
        for offer, product, hook, kind, category, role, risk, minimum, reward, days in _OFFERS
        if offer not in without
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES["offer"]))


def simulated(home: Path, *, customers: int = CUSTOMERS, months: int = MONTHS, seed: int = SEED) -> Simulated:
    """A bank simulated into `home`."""
    return Simulated(home, simulate(home, customers=customers, months=months, seed=seed, offers=shelf()))
