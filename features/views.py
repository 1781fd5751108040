"""Writes the day view and the moment view: for the instants a model learns from, and for everybody this morning.

A day's row exists from the start of the day plus the policy's lag, and an instant sees the newest day that existed by
then. A moment's row exists at its own instant and at no other. Both stand under `views/<lineage>/`, where the feature
store reads them; a file is replaced whole.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.bank.engines import STORED, Bank
from features.policy import SegmentsPolicy
from features.recent import RECENT, Happenings, happenings, recent
from features.today import day_view
from features.vocabulary import AS_OF_AT, AVAILABLE_AT, CUSTOMER_ID


def write_spine(
    bank: Bank, lineage: str, spine: pd.DataFrame, policy: SegmentsPolicy, *, name: str
) -> tuple[Path, Path]:
    """Day and moment rows for every (customer_id, event_timestamp) of `spine`; the two files written.

    `name` says whose spine it is; the same name replaces its own files.
    """
    asked = spine[[CUSTOMER_ID, "event_timestamp"]].drop_duplicates()
    folder = bank.home / "views" / lineage
    today, moment = folder / "today" / f"{name}.parquet", folder / "recent" / f"{name}.parquet"
    local = (asked.event_timestamp - pd.Timedelta(hours=policy.bank.day_lag_hours)).dt.tz_convert(policy.bank.zone)
    days = pd.DataFrame({CUSTOMER_ID: asked[CUSTOMER_ID], "on": local.dt.date}).drop_duplicates()
    bank.write(_days(bank, days, policy), today)
    moment.parent.mkdir(parents=True, exist_ok=True)
    half = moment.with_suffix(".half")
    pq.write_table(_moments(bank, asked), half)
    half.replace(moment)
    return today, moment


def write_today(bank: Bank, lineage: str, instant: datetime, policy: SegmentsPolicy) -> Path:
    """The day view of everybody on the newest day that exists at `instant`; the file written."""
    on = (instant.astimezone(ZoneInfo(policy.bank.zone)) - timedelta(hours=policy.bank.day_lag_hours)).date()
    people = bank.tables["customer"]
    people = people.filter(people.registered_on < ibis.literal(on), people.known_at <= ibis.literal(instant))
    days = people.select(CUSTOMER_ID, on=ibis.literal(on)).to_pandas()
    path = bank.home / "views" / lineage / "today" / f"{on}.parquet"
    bank.write(_days(bank, days, policy), path)
    return path


def _days(bank: Bank, days: pd.DataFrame, policy: SegmentsPolicy) -> ir.Table:
    began = pd.to_datetime(days["on"]).dt.tz_localize(policy.bank.zone).dt.tz_convert("UTC").dt.as_unit("us")
    exists = began + pd.Timedelta(hours=policy.bank.day_lag_hours)
    pairs = bank.register(
        "day_pairs",
        pa.table(
            {
                CUSTOMER_ID: pa.array(days[CUSTOMER_ID], pa.string()),
                "on": pa.array(days["on"], pa.date32()),
                AS_OF_AT: pa.array(began, pa.timestamp("us", tz="UTC")),
                "known_until": pa.array(exists, pa.timestamp("us", tz="UTC")),
            }
        ),
    )
    view = bank.keep("day_rows", day_view(bank.tables, pairs.drop(AS_OF_AT), policy))
    joined = view.join(pairs, [CUSTOMER_ID, "on"])
    return joined.rename({AVAILABLE_AT: "known_until"}).drop("on").order_by(CUSTOMER_ID, AS_OF_AT)


def _moments(bank: Bank, asked: pd.DataFrame) -> pa.Table:
    rows = happenings(bank.tables).to_pandas()
    codes, _ = pd.factorize(pd.concat([asked[CUSTOMER_ID], rows["customer_id"]], ignore_index=True))
    at = _utc(asked["event_timestamp"])
    past = Happenings(codes[len(asked) :].astype(np.int64), _utc(rows["at"]), rows["what"].to_numpy(np.int8))
    answer = recent(codes[: len(asked)].astype(np.int64), at, past)
    stamp = pa.array(at, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    columns = {CUSTOMER_ID: pa.array(asked[CUSTOMER_ID], pa.string()), AS_OF_AT: stamp, AVAILABLE_AT: stamp}
    for column in RECENT:
        values = pa.array(answer[column.name], pa.float64(), from_pandas=True)
        columns[column.name] = values.cast(STORED[column.kind])
    return pa.table(columns)


def _utc(instants: pd.Series[Any]) -> np.ndarray[Any, Any]:
    return np.asarray(pd.to_datetime(instants, utc=True).dt.tz_localize(None), dtype="datetime64[us]")
