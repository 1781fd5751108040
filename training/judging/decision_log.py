"""The ledger's exported decisions as a log to judge policies by: first choices, their propensities, what came of them.

One row a decision: its first offer, or NO_ACTION where the list ended at once, with the propensity that was logged.
Decisions that chance did not make, or whose outcome nobody can know yet, are left out by rule and counted:

    REPEAT      a later decision of the same customer and day: the same draw again
    HOLDOUT     nothing was sold, whatever the policy
    DEGRADED    made without a part that the policy counts on, or by the fallback
    DRY_RUN     asked for, and never shown
    NOT_DRAWN   no propensity: touched by the night's repair, or not chosen by chance
    IMMATURE    the longest outcome window is still open
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.bank.engines import Bank, arrow_schema
from features.bank.tables import TABLES
from features.errors import MissingModel
from features.vocabulary import Purpose
from training.outcomes import response_labels

FILE = "ledger.parquet"
_COLUMNS = ["decision_id", "customer_id", "decided_at", "release_id", "answer", "inputs", "repeat_of", "is_degraded",
            "is_fallback"]  # fmt: skip


@dataclass(frozen=True)
class DecisionLog:
    """Decisions to judge by, and how many each rule left out.

    Columns: decision_id, customer_id, decided_at, release_id, inputs (JSON), offer_id (None for NO_ACTION), propensity,
    outcome (1: the offer was taken in its window).
    """

    frame: pd.DataFrame
    excluded: Mapping[str, int]


def decision_log(bank: Bank, export: Path, horizon: datetime) -> DecisionLog:
    """The log of the decisions that `tiercel ledger export` wrote to `export`, judged by what was known at `horizon`.

    A conversion is what `response_labels` calls one, with the placement as the contact. Raises MissingModel where the
    bank has no table `offer`, which tells how long an outcome is waited for.
    """
    if not bank.has("offer"):
        raise MissingModel("no outcome can be told: the bank has no table offer", todo="import the catalogue's offers")
    rows = pq.read_table(export / "decision" / FILE, columns=_COLUMNS).to_pandas()
    answers = rows["answer"].map(json.loads)
    first = pd.DataFrame([_first(answer) for answer in answers], index=rows.index,
                         columns=["placement_id", "offer_id", "propensity", "is_held_out", "is_dry"])  # fmt: skip
    rows = rows.drop(columns=["answer"]).join(first)
    rule = _rules(rows, horizon, _longest_days(bank))
    kept = rows[rule.isna()].reset_index(drop=True)
    converted = _converted(bank, export, kept, horizon)
    outcome = kept["placement_id"].isin(converted).astype("float64")
    frame = kept[["decision_id", "customer_id", "decided_at", "release_id", "inputs", "offer_id", "propensity"]]
    excluded = {str(name): int(n) for name, n in rule.dropna().value_counts().items()}
    return DecisionLog(frame.assign(outcome=outcome), excluded)


def _first(answer: Mapping[str, Any]) -> tuple[str | None, str | None, float | None, bool, bool]:
    """Placement, offer and propensity of the first choice, and whether it was held out or never shown."""
    state = bool(answer["arm"]["holdout"]), answer.get("decision_id") is None
    if not answer["offers"]:
        return (None, None, answer["end_propensity"], *state)
    slot = answer["offers"][0]
    return (slot["placement_id"], slot["offer_id"], slot["propensity"], *state)


def _rules(rows: pd.DataFrame, horizon: datetime, longest_days: int) -> pd.Series[Any]:
    """The rule that leaves each decision out, the first that holds; missing for those kept."""
    drawn = pd.to_numeric(rows["propensity"], errors="coerce")
    closes = pd.to_datetime(rows["decided_at"], utc=True) + timedelta(days=longest_days)
    rules = {
        "REPEAT": rows["repeat_of"].notna(),
        "HOLDOUT": rows["is_held_out"],
        "DEGRADED": rows["is_degraded"] | rows["is_fallback"],
        "DRY_RUN": rows["is_dry"],
        "NOT_DRAWN": drawn.isna(),
        "IMMATURE": closes > pd.Timestamp(horizon),
    }
    found = np.select([mask.to_numpy(dtype=bool) for mask in rules.values()], list(rules), default="")
    return pd.Series(found, index=rows.index, dtype=object).where(found != "", None)


def _longest_days(bank: Bank) -> int:
    return int(bank.tables["offer"].outcome_days.max().execute())


def _converted(bank: Bank, export: Path, kept: pd.DataFrame, horizon: datetime) -> set[str]:
    """Placements whose offer was taken, by the one definition of a conversion: each is laid out as a contact."""
    shown = kept[kept["offer_id"].notna()]
    if shown.empty:
        return set()
    zone = json.loads(shown["inputs"].iloc[0])["zone"]
    at = pd.to_datetime(shown["decided_at"], utc=True).dt.as_unit("us")
    told = pd.DataFrame({
        "contact_id": shown["placement_id"], "customer_id": shown["customer_id"], "offer_id": shown["offer_id"],
        "placement_id": shown["placement_id"], "channel": "APP", "purpose": str(Purpose.SALES), "sent_at": at,
        "business_on": at.dt.tz_convert(ZoneInfo(zone)).dt.date, "opened_at": at, "known_at": at,
    })  # fmt: skip
    tables = dict(bank.known_by(horizon))
    tables["contact"] = bank.register("placement_contacts", _as_table(told, "contact"))
    heard = export / "response" / FILE
    if heard.exists():
        own = bank.register("ledger_responses", pq.read_table(heard))
        own = own.filter(own.known_at <= ibis.literal(horizon))
        names = [column.name for column in TABLES["response"].columns]
        standing = tables.get("response")
        tables["response"] = own if standing is None else ibis.union(standing.select(*names), own.select(*names))
    labels = response_labels(tables, horizon).to_pandas()
    return set(labels.loc[labels["is_converted"].astype(bool), "contact_id"])


def _as_table(frame: pd.DataFrame, name: str) -> pa.Table:
    """`frame` in the schema of a bank table; columns that it lacks are null."""
    fields = [field.with_nullable(True) for field in arrow_schema(TABLES[name])]
    arrays = [
        pa.Array.from_pandas(frame[field.name], type=field.type) if field.name in frame
        else pa.nulls(len(frame), field.type)
        for field in fields
    ]  # fmt: skip
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
