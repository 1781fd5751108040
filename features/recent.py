"""The moment view: contacts, answers and complaints of a customer strictly before an instant.

Grain: a customer, an instant. One function serves both sides: offline over the spine of a training set and the bank's
tables, online over one customer and the ledger's rows. It is NumPy alone, so that an answer needs no engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from features.vocabulary import KEPT_DAYS, Column, Kind, Outcome, Purpose

RECENT = (
    Column("n_contacts_7d", Kind.INTEGER, "contacts in 7 days"),
    Column("n_contacts_30d", Kind.INTEGER, "contacts in 30 days"),
    Column("n_contacts_90d", Kind.INTEGER, "contacts in 90 days"),
    Column("n_sales_30d", Kind.INTEGER, "sales contacts in 30 days"),
    Column("n_opened_90d", Kind.INTEGER, "contacts opened in 90 days"),
    Column("n_conversions_90d", Kind.INTEGER, "conversions in 90 days"),
    Column("n_refusals_90d", Kind.INTEGER, "refusals in 90 days"),
    Column("opened_share_90d", Kind.NUMBER, "contacts opened ÷ contacts, 90 days", "no contact in 90 days"),
    Column("days_since_contact", Kind.NUMBER, "days since the last contact", f"none in {KEPT_DAYS} days"),
    Column("days_since_conversion", Kind.NUMBER, "days since the last conversion", f"none in {KEPT_DAYS} days"),
    Column("n_open_complaints", Kind.INTEGER, "complaints that are open"),
)
CONTACT, SALES, OPENED, CONVERTED, REFUSED, COMPLAINT, SETTLED = range(7)
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Happenings:
    """k things that happened to customers: `customer` int64 codes, `at` datetime64[us], `what` int8; all shape (k,)."""

    customer: NDArray[np.int64]
    at: NDArray[Any]
    what: NDArray[np.int8]


def recent(customer: NDArray[np.int64], at: NDArray[Any], happened: Happenings) -> dict[str, NDArray[np.float64]]:
    """The RECENT columns for n customers at n instants, float64 of shape (n,) with NaN where missing.

    Only what happened strictly before the instant counts. A sales contact stands twice in `happened`: as CONTACT and
    as SALES.
    """
    order = np.lexsort((happened.at, happened.customer))
    past = _Past(happened.customer[order], happened.at[order], happened.what[order])
    now = past.position(customer, at)
    starts = {days: past.position(customer, at - days * _DAY) for days in (7, 30, 90, KEPT_DAYS)}

    def count(what: int, days: int) -> NDArray[np.float64]:
        return past.between(what, starts[days], now)

    contacts, opened = count(CONTACT, 90), count(OPENED, 90)
    with np.errstate(invalid="ignore", divide="ignore"):
        opened_share = np.where(contacts > 0, np.minimum(opened / contacts, 1.0), np.nan)
    return {
        "n_contacts_7d": count(CONTACT, 7),
        "n_contacts_30d": count(CONTACT, 30),
        "n_contacts_90d": contacts,
        "n_sales_30d": count(SALES, 30),
        "n_opened_90d": opened,
        "n_conversions_90d": count(CONVERTED, 90),
        "n_refusals_90d": count(REFUSED, 90),
        "opened_share_90d": opened_share,
        "days_since_contact": past.days_since(CONTACT, starts[KEPT_DAYS], now, at),
        "days_since_conversion": past.days_since(CONVERTED, starts[KEPT_DAYS], now, at),
        "n_open_complaints": past.between(COMPLAINT, past.first(customer), now)
        - past.between(SETTLED, past.first(customer), now),
    }


class _Past:
    """Happenings sorted by customer and time, with running counts of each kind."""

    def __init__(self, customer: NDArray[np.int64], at: NDArray[Any], what: NDArray[np.int8]) -> None:
        self._customer, self._at, self._what = customer, at, what
        self._counts: dict[int, NDArray[np.int64]] = {}

    def position(self, customer: NDArray[np.int64], at: NDArray[Any]) -> NDArray[np.int64]:
        """Number of sorted happenings before each (customer, instant); an equal instant is not before."""
        n = len(customer)
        keys = (
            np.concatenate([np.zeros(n, np.int8), np.ones(len(self._at), np.int8)]),  # at a tie the question goes first
            np.concatenate([at, self._at]),
            np.concatenate([customer, self._customer]),
        )
        order = np.lexsort(keys)
        before = np.cumsum(order >= n)
        answer = np.empty(n, np.int64)
        asked = order < n
        answer[order[asked]] = before[asked]
        return answer

    def first(self, customer: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position of each customer's first happening."""
        return np.searchsorted(self._customer, customer, side="left").astype(np.int64)

    def between(self, what: int, start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.float64]:
        """How many of a kind stand from `start` to `stop`."""
        if what not in self._counts:
            self._counts[what] = np.concatenate([[0], np.cumsum(self._what == what)])
        counts = self._counts[what]
        return (counts[stop] - counts[start]).astype(np.float64)

    def days_since(
        self, what: int, start: NDArray[np.int64], stop: NDArray[np.int64], at: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Days from the last of a kind between `start` and `stop` to `at`, NaN if there is none."""
        places = np.where(self._what == what, np.arange(len(self._what)), -1)
        last = np.concatenate([[-1], np.maximum.accumulate(places)])[stop] if len(places) else np.full(len(stop), -1)
        found = last >= start
        answer = np.full(len(stop), np.nan)
        answer[found] = (at[found] - self._at[last[found]]) / _DAY
        return answer


def happenings(tables: Mapping[str, ir.Table]) -> ir.Table:
    """All happenings in a bank's tables as (customer_id, at, what): each at the instant from which it was known."""
    parts = []
    if "contact" in tables:
        contacts = tables["contact"]
        parts.append(_told(contacts, contacts.sent_at, CONTACT))
        sales = contacts.filter(contacts.purpose == Purpose.SALES)
        parts.append(_told(sales, sales.sent_at, SALES))
        opened = contacts.filter(contacts.opened_at.notnull())
        parts.append(_told(opened, opened.opened_at, OPENED))
    if "response" in tables:
        for outcome, what in ((Outcome.CONVERTED, CONVERTED), (Outcome.REFUSED, REFUSED)):
            answers = tables["response"].filter(tables["response"].outcome == outcome)
            parts.append(_told(answers, answers.occurred_at, what))
    if "complaint" in tables:
        complaints = tables["complaint"]
        parts.append(_told(complaints, complaints.opened_at, COMPLAINT))
        settled = complaints.filter(complaints.closed_at.notnull())
        parts.append(_told(settled, settled.closed_at, SETTLED))
    if not parts:
        schema = {"customer_id": "string", "at": "timestamp('UTC', 6)", "what": "int8"}
        return ibis.memtable([], schema=schema)
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _told(rows: ir.Table, at: Any, what: int) -> ir.Table:
    return rows.select("customer_id", at=ibis.greatest(at, rows.known_at), what=ibis.literal(what, "int8"))
