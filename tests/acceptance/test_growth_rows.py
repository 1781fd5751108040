"""Promises about the growth of the base: where the money came from and went, and whether the models had said so."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.lineages import Build
from features.vocabulary import Stage
from insight.base_growth import CHURN, UPSELL, Part, foretold, growth, moved
from insight.bridge import bridge
from insight.flows import last_flows
from insight.history import History, open_history

STAGES = [str(stage) for stage in Stage]
OPENED, CLOSED = date(2025, 1, 31), date(2025, 2, 28)
Row = tuple[str, float | None, int]  # stage, mda, holdings
BEFORE: dict[str, Row] = {
    "steady": ("GROWTH", 1_000.0, 1), "more": ("GROWTH", 1_000.0, 1), "less": ("MATURE", 9_000.0, 2),
    "sold": ("GROWTH", 2_000.0, 1), "slept": ("DORMANT", 50.0, 1), "gone": ("DECLINE", 4_000.0, 1),
    "vanished": ("GROWTH", 700.0, 1), "prospect": ("PROSPECT", None, 0), "lost": ("LOST", 0.0, 0),
    "unknown": ("GROWTH", None, 1),
}  # fmt: skip
AFTER: dict[str, Row] = {
    "steady": ("GROWTH", 1_000.0, 1), "more": ("GROWTH", 1_600.0, 1), "less": ("MATURE", 6_500.0, 2),
    "sold": ("GROWTH", 5_000.0, 2), "slept": ("GROWTH", 850.0, 2), "gone": ("LOST", 10.0, 0),
    "prospect": ("NEW", 300.0, 1), "lost": ("GROWTH", 120.0, 1), "joined": ("NEW", 80.0, 1),
    "unknown": ("GROWTH", 40.0, 1),
}  # fmt: skip


@contextmanager
def months(folder: Path) -> Iterator[History]:
    """Two month ends written by hand."""
    builds = []
    for on, rows in ((OPENED, BEFORE), (CLOSED, AFTER)):
        told = [
            {"customer_id": who, "stage": stage, "tier": "V0", "mda": mda, "n_holdings": held, "stage_entered_on": on,
             "tier_since_on": on}
            for who, (stage, mda, held) in rows.items()
        ]  # fmt: skip
        path = folder / f"{on}.parquet"
        pq.write_table(pa.Table.from_pylist(told), path)
        builds.append(Build(on, "l", path, len(told), "rows", "policy", datetime(on.year, on.month, 28, tzinfo=UTC)))
    with open_history(builds) as history:
        yield history


def test_G05_net_growth_is_new_upsell_and_churn_and_each_customer_is_in_one_part(tmp_path: Path) -> None:
    with months(tmp_path) as history:
        found, rows, steps = (
            growth(history),
            moved(history),
            bridge(last_flows(history, {"stage": STAGES, "tier": ["V0"]})["stage"]),
        )
    assert found.parts == {
        "new": Part(2, 300.0 + 80.0), "won_back": Part(1, 120.0),
        "woken": Part(1, 850.0 - 50.0), "cross_sold": Part(1, 5_000.0 - 2_000.0), "grown": Part(2, 600.0 + 40.0),
        "left": Part(2, 4_000.0 + 700.0), "shrunk": Part(1, 2_500.0),
    }  # fmt: skip
    assert (found.new, found.upsell, found.churn) == (500.0, 4_440.0, 7_200.0)
    assert found.net == found.closing - found.opening == 500 + 4_440 - 7_200
    assert rows["customer_id"].is_unique
    assert set(rows["customer_id"]) == (set(BEFORE) | set(AFTER)) - {"steady"}
    money = steps.aum
    assert money is not None
    assert (money.opening, money.closing, money.lost) == (found.opening, found.closing, found.parts["left"].amount)
    assert (money.new, money.won_back) == (found.parts["new"].amount, found.parts["won_back"].amount)
    assert (money.grown, money.shrunk) == (found.upsell, found.parts["shrunk"].amount)


def test_G05_a_score_that_knew_finds_the_money_and_one_that_did_not_is_not_distinguishable() -> None:
    """2,000 customers, a quarter of whom lose money; by chance a tenth of it lies with a tenth of them."""
    chance = np.random.default_rng(4)
    n = 2_000
    ids = [f"c{place}" for place in range(n)]
    loses = chance.random(n) < 0.25
    amount = np.exp(chance.normal(8, 1, n))
    rows = pd.DataFrame({"customer_id": ids, "part": np.where(loses, "shrunk", "grown"), "amount": amount})
    knew = pd.Series(np.where(loses, 0.6, 0.2) + 0.2 * chance.random(n), index=ids)
    found = foretold(rows, knew, CHURN)
    by_hand = rows[rows["part"] == "shrunk"].set_index("customer_id")["amount"]
    top = knew.nlargest(n // 10).index
    assert found.share == pytest.approx(by_hand.reindex(top).sum() / by_hand.sum())
    assert found.says == "BETTER"
    assert foretold(rows, knew, UPSELL).says == "WORSE"
    blind = [foretold(rows, pd.Series(chance.random(n), index=ids), CHURN) for _ in range(200)]
    assert np.mean([one.says == "EVEN" for one in blind]) > 0.88  # 95 % but for the few customers with large sums
    held = foretold(rows[rows["part"] == "grown"], knew, CHURN)
    assert (math.isnan(held.share), held.says, held.to_json()["share"]) == (True, "EVEN", None)
