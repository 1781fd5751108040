"""The worked customers of docs/families: each page is executed, on months built as any bank's."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from features import profiles
from features.bank.engines import month_end
from features.nearness import near
from features.policy import segments
from features.segments import grades

PAGES = Path(__file__).parents[2] / "docs/families"
BOOK = segments()
POLICY = BOOK.view(date(2024, 1, 31))


def day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def balance(asset_class: str) -> Callable[..., dict[str, Any]]:
    def row(amount: float, *, since: str = "2024-01-01", until: str | None = None, **more: Any) -> dict[str, Any]:
        span = {"from_on": day(since), "to_on": day(until), "account_id": asset_class}
        return {"customer_id": "c", "asset_class": asset_class, "amount": amount} | span | more

    return row


def held(product: str, amount: float, *, since: str = "2024-01-01") -> dict[str, Any]:
    return {"customer_id": "c", "product_id": product, "amount": amount, "opened_on": day(since)}


def lent(amount: float) -> dict[str, Any]:
    return {"customer_id": "c", "product_id": "P20", "amount": amount, "opened_on": day("2024-01-05"),
            "ends_on": day("2034-01-05")}  # fmt: skip


def monthly(levels: list[float]) -> list[dict[str, Any]]:
    rows, first = [], date(2024, 1, 1)
    for level in levels:
        after = month_end(first) + timedelta(days=1)
        rows.append(balance("DEMAND")(level, since=str(first), until=str(after)))
        first = after
    return rows


def points_of(**figures: float) -> dict[str, float]:
    row = dict.fromkeys([name for names in grades.FACTORS.values() for name in names], 0.0) | figures
    people = ibis.memtable(pd.DataFrame([row]))
    answer = ibis.duckdb.connect().execute(people.select(**grades.points(people, POLICY)))
    return {name: float(answer[name][0]) for name in answer}


def near_on(text: str, *, tier: str, so_far: float, now: float) -> dict[str, Any]:
    """The day clock of a customer with nothing but one tier, one average so far and one balance."""
    on, names, floors = date.fromisoformat(text), list(POLICY.tiers.thresholds), list(POLICY.tiers.thresholds.values())
    place = names.index(tier)
    figures = {
        "basis_days": on.day - 1, "rated_to_date": so_far, "net_to_date": so_far, "rated_now": now, "aum_now": now,
        "tier_floor": floors[place], "next_floor": floors[place + 1], "is_next_highest": place + 2 == len(floors),
        "fall_floor": np.nan,
        "near_floor": POLICY.tiers.near_up_share * floors[place + 1],
    }  # fmt: skip
    view: dict[str, Any] = {name: np.array([float(value)]) for name, value in figures.items()}
    answer = near(view | {"tier_state": np.array(["NORMAL"], dtype=object)}, on)
    return {name: bool(v[0]) if name.startswith("is_") else float(v[0]) for name, v in answer.items()}


@pytest.mark.parametrize("page", ["wealth", "tiers", "grades", "value"])
def test_the_worked_customer_of_a_page_is_what_a_build_says(
    page: str, bank_of: Callable[..., Path], tmp_path: Path
) -> None:
    homes = iter(range(100))

    def built(months: int, **tables: Any) -> pd.DataFrame:
        """That many months of one customer, a row a month; with `came_on` None only his money says when he came."""
        told = {"first_product_on": tables.pop("came_on")} if "came_on" in tables else {}
        home = bank_of(home=tmp_path / f"home{next(homes)}", customer=[{"customer_id": "c"} | told], **tables)
        last = month_end(date(2024, months, 1))
        instant = datetime.combine(last + timedelta(days=2), time(), UTC)
        rows = [pd.read_parquet(build.path) for build in profiles.build(home, BOOK, instant=instant, as_of=last)]
        return pd.concat(rows, ignore_index=True)

    kinds = {"demand": "DEMAND", "fund": "FUND", "term": "TIME", "custody": "CUSTODY_3P"}
    words = {name: balance(kind) for name, kind in kinds.items()}
    words |= {"built": built, "held": held, "monthly": monthly, "points_of": points_of, "near_on": near_on,
              "lent": lent, "POLICY": POLICY}  # fmt: skip
    result = doctest.testfile(str(PAGES / f"{page}.md"), module_relative=False, globs=words)
    assert result.attempted >= 3
    assert result.failed == 0
