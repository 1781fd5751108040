"""Who counts as gone: money in balance tiers, silence in the others."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.bank.engines import STORED
from features.errors import MissingBuild
from features.facts import PROFILE
from features.policy import segments
from training.examples import churn_examples
from training.outcomes import ChurnFigures, churn_labels

FIGURES = ChurnFigures(balance_tiers=("V2", "V3"))
COLUMNS = {"customer_id": "string", "tier": "string", "stage": "string", "mda": "float64", "mda_mean_3m": "float64",
           "active_days_3m": "int64", "last_active_on": "date"}  # fmt: skip


def month(**given: Any) -> dict[str, Any]:
    return {"customer_id": "a", "tier": "V2", "stage": "MATURE", "mda": 50_000.0, "mda_mean_3m": 50_000.0,
            "active_days_3m": 9, "last_active_on": date(2025, 1, 20)} | given  # fmt: skip


def label(now: dict[str, Any], later: dict[str, Any]) -> tuple[bool | None, str | None]:
    tables = [ibis.memtable(pd.DataFrame([rows]).astype(object), schema=COLUMNS) for rows in (now, later)]
    row = churn_labels(*tables, FIGURES).to_pandas().iloc[0]
    return (None if pd.isna(row.outcome) else bool(row.outcome)), row.excluded


@pytest.mark.parametrize(
    ("mean", "later", "outcome"),
    [
        (50_000, 25_000, True),
        (50_000, 25_001, False),
        (20_000, 10_000, True),
        (19_999, 9_000, True),
        (19_998, 9_999, False),  # half is gone, but only 9,999 of it
    ],
)
def test_a_balance_tier_is_left_by_half_the_mean_and_at_least_the_floor(
    mean: float, later: float, outcome: bool
) -> None:
    assert label(month(mda_mean_3m=float(mean)), month(mda=float(later))) == (outcome, None)


def test_a_balance_tier_is_not_judged_by_its_activity_nor_a_low_tier_by_its_money() -> None:
    assert label(month(), month(active_days_3m=0)) == (False, None)
    assert label(month(tier="V1"), month(mda=0.0)) == (False, None)
    assert label(month(tier="V1"), month(active_days_3m=0)) == (True, None)
    assert label(month(tier="V1"), month(active_days_3m=1)) == (False, None)


def test_the_tier_at_the_start_decides_how_it_is_judged() -> None:
    assert label(month(tier="V2"), month(tier="V0", mda=1_000.0)) == (True, None)


@pytest.mark.parametrize("stage", ["PROSPECT", "DORMANT", "LOST"])
def test_who_is_gone_already_is_left_out(stage: str) -> None:
    assert label(month(stage=stage), month(mda=0.0))[1] == "AWAY"


def test_silence_that_began_before_the_banks_history_is_no_departure() -> None:
    assert label(month(tier="V1", last_active_on=None), month(active_days_3m=0))[1] == "UNSEEN"
    assert label(month(tier="V2", last_active_on=None), month(mda=0.0)) == (True, None)  # its money was seen


def test_a_missing_figure_is_unknown_and_not_a_departure() -> None:
    assert label(month(mda_mean_3m=None), month()) == (None, "UNKNOWN")
    assert label(month(), month(customer_id="somebody else")) == (None, "UNKNOWN")


def write_build(folder: Path, number: int, mda: float) -> None:
    """One customer's profile of a month of 2025 in the form of a build, published eight hours after the month's end."""
    day = pd.Timestamp(2025, number, 1) + pd.offsets.MonthEnd(0)
    ended = (day + pd.Timedelta(days=1)).tz_localize("UTC")
    said = month(mda=mda) | {"as_of": day.date(), "as_of_at": ended, "available_at": ended + pd.Timedelta(hours=8)}
    instant = pa.timestamp("us", tz="UTC")
    fields = [pa.field(column.name, STORED[column.kind]) for column in PROFILE]
    fields += [pa.field("customer_id", pa.string()), pa.field("as_of", pa.date32())]
    fields += [pa.field("as_of_at", instant), pa.field("available_at", instant)]
    pq.write_table(pa.Table.from_pylist([said], schema=pa.schema(fields)), folder / f"{day.date()}.parquet")


def test_months_are_paired_three_apart_and_read_through_feast(tmp_path: Path) -> None:
    folder = tmp_path / "profiles" / "l1"
    folder.mkdir(parents=True)
    for number, mda in ((1, 50_000.0), (2, 50_000.0), (4, 20_000.0), (5, 50_000.0), (6, 1_000.0)):
        write_build(folder, number, mda)
    policy = segments().view(date(2025, 6, 30))
    found = churn_examples(tmp_path, "l1", date(2025, 5, 31), policy, figures=FIGURES)
    assert found.frame["sent_at"].dt.strftime("%m-%d").tolist() == ["02-01", "03-01"]
    assert found.frame["closes_at"].dt.strftime("%m-%d").tolist() == ["05-01", "06-01"]
    assert found.frame["event_timestamp"].dt.strftime("%m-%d %H").tolist() == ["02-01 08", "03-01 08"]
    assert found.outcomes.tolist() == [1.0, 0.0]
    assert found.frame["mda"].tolist() == [50_000.0, 50_000.0]
    with pytest.raises(MissingBuild, match="3 apart"):
        churn_examples(tmp_path, "l1", date(2025, 3, 31), policy, figures=FIGURES)
