"""What happened with one customer, newest first: decisions, contacts, answers, complaints, moves, deleted tags."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from serving.ledger import Ledger, RecentRows

Plain = dict[str, Any]
MOST_EVENTS = 40
_MOST_DECISIONS = 10
_MOVING = ("tier", "customer_class", "stage", "grade")


def timeline(
    ledger: Ledger, customer_id: str, history: Sequence[Plain], surveys: Sequence[Plain], now: datetime, zone: ZoneInfo
) -> list[Plain]:
    """At most MOST_EVENTS events {at, kind, ...}, `at` an instant or a day in the bank's zone, newest first."""
    later = now + timedelta(microseconds=1)  # what happened at this very instant has happened
    events = [
        *_decisions(ledger, customer_id, later, zone),
        *_happened(ledger.recent([customer_id], later), zone),
        *_moves(history),
        *({"at": row["on"], "kind": "survey"} | {k: v for k, v in row.items() if k != "on"} for row in surveys),
        *_deleted(ledger.deleted_tags([customer_id]).get(customer_id, {}), zone),
    ]
    return sorted(events, key=lambda event: str(event["at"]), reverse=True)[:MOST_EVENTS]


def _decisions(ledger: Ledger, customer_id: str, before: datetime, zone: ZoneInfo) -> Iterator[Plain]:
    for stored in ledger.latest_decisions(customer_id, before, _MOST_DECISIONS):
        row = stored.row
        yield {
            "at": _local(row.decided_at, zone), "kind": "decision", "decision_id": row.decision_id,
            "channel": row.channel or None, "offers": [slot.offer_id for slot in row.placements],
        }  # fmt: skip


def _happened(rows: RecentRows, zone: ZoneInfo) -> Iterator[Plain]:
    for i in range(len(rows.at)):
        at = np.datetime64(rows.at[i], "us").astype(datetime).replace(tzinfo=ZoneInfo("UTC"))
        said = {"offer_id": rows.offer_id[i], "channel": rows.channel[i], "purpose": rows.purpose[i],
                "outcome": rows.outcome[i]}  # fmt: skip
        yield {"at": _local(at, zone), "kind": rows.kind[i]} | {name: v for name, v in said.items() if v is not None}


def _moves(history: Sequence[Plain]) -> Iterator[Plain]:
    """Changes from one month's end to the next."""
    for before, after in itertools.pairwise(history):
        for what in _MOVING:
            if before[what] != after[what]:
                moved = {"at": after["as_of"].isoformat(), "kind": what, "from": before[what], "to": after[what]}
                yield moved | ({"why": after["stage_reason"]} if what == "stage" else {})


def _deleted(tags: Mapping[str, datetime], zone: ZoneInfo) -> Iterator[Plain]:
    for tag, at in tags.items():
        yield {"at": _local(at, zone), "kind": "tag_deleted", "tag": tag}


def _local(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(timespec="seconds")
