"""Who the customers are: how many stand in each cell, tier, grade and stage, and what they keep with us."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ibis

from features.bank.engines import connect

_EFFECTIVE = "|effective|"


@dataclass(frozen=True, slots=True)
class Share:
    """One group of customers: how many, and their AUM (sum of monthly daily averages; None without balances)."""

    name: str
    n_customers: int
    aum: float | None


@dataclass(frozen=True, slots=True)
class Mix:
    """The customers of one build by cell, tier, grade and stage, each list in the order of its name.

    `n_logged_in` are customers, not users, with an app login in the month, MAU (R23), None without events;
    `n_effective` those whom the bank's policy tags as effective (有效户).
    """

    n_customers: int
    n_logged_in: int | None
    n_effective: int
    cells: tuple[Share, ...]
    tiers: tuple[Share, ...]
    grades: tuple[Share, ...]
    stages: tuple[Share, ...]


def mix(profile: Path) -> Mix:
    """The mix of the profile at `profile`; a customer without tier or grade is in neither list."""
    con = connect()
    try:
        rows = con.read_parquet(profile)

        def shares(column: str) -> tuple[Share, ...]:
            known = rows.filter(rows[column].notnull())
            counted = known.group_by(name=known[column]).agg(n=known.count(), aum=known.mda.sum())
            listed = counted.order_by(ibis.asc("name")).to_pyarrow().to_pylist()
            return tuple(Share(row["name"], row["n"], row["aum"]) for row in listed)

        counts = rows.aggregate(
            n=rows.count(),
            logged_in=(rows.is_customer & (rows.app_days_1m >= 1)).sum(),
            effective=rows.tags.contains(_EFFECTIVE).sum().fill_null(0),
        )
        n, logged_in, effective = counts.to_pyarrow().to_pylist()[0].values()
        return Mix(n, logged_in, effective, shares("cell"), shares("tier"), shares("grade"), shares("stage"))
    finally:
        con.disconnect()
