"""What a champion of offers is asked about a month's customers: one offer each, at the instant of their profile.

Drift of its score needs rows that differ by the customers alone, so the offer drawn for a customer is the same in every
month. One row a customer keeps rows independent, which the noise of a stability index counts on.
"""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.bank.engines import Bank
from features.policy import SegmentsPolicy
from features.profiles import Build
from features.vocabulary import CUSTOMER_ID
from training.examples import known_at
from training.fitted import FittedModel
from training.models import uplift
from training.outcomes import shelf

MOST_CUSTOMERS = 20_000  # drawn from more: the index of two such months reaches .002 by chance
_SPINE = "drift_v1"


def facts_of_month(bank: Bank, build: Build, policy: SegmentsPolicy) -> pd.DataFrame:
    """Facts of the customers of `build`, at most MOST_CUSTOMERS, as known when it was published; one row a customer."""
    ids = pq.read_table(build.path, columns=[CUSTOMER_ID])[CUSTOMER_ID].to_numpy(zero_copy_only=False)
    ids = np.sort(ids[np.argsort(_hash(ids), kind="stable")[:MOST_CUSTOMERS]])
    on = build.available_at.astimezone(ZoneInfo(policy.bank.zone)).date()
    at = pd.Series(build.available_at, index=range(len(ids)), dtype="datetime64[us, UTC]")
    spine = pd.DataFrame({CUSTOMER_ID: ids, "event_timestamp": at, "business_on": on})
    return known_at(bank, build.lineage, spine, policy, name=_SPINE)[0]


def with_offers(bank: Bank, model: FittedModel, facts: pd.DataFrame, on: date, channel: str) -> pd.DataFrame:
    """`facts` with one offer of the catalogue of `on` beside each customer, and the `channel`.

    A model of effects is asked about offers that arms have measured; no rows where there are none.
    """
    offers = shelf(bank.tables, on).to_pandas()
    if model.name == uplift.NAME:
        measured = [share["offer_id"] for share in model.shares if share["is_measured"]]
        offers = offers[offers["offer_id"].isin(measured)]
    if offers.empty:
        return facts.head(0)
    drawn = offers.iloc[_hash(facts[CUSTOMER_ID].to_numpy(dtype=object)) % len(offers)]
    return pd.concat([facts, drawn.set_index(facts.index)], axis=1).assign(channel=channel)


def _hash(customers: NDArray[np.object_]) -> NDArray[np.uint64]:
    """A number of each customer, the same on every machine."""
    return np.asarray(pd.util.hash_array(customers, categorize=False), dtype=np.uint64)
