"""活跃 Activity: what a customer does with us: own transactions, logins, channels, services used, contacts answered.

Grain: a customer, a month. Uses: windows of transactions, channel events, contacts, responses; the pay days of three
months (`paydays.py`). Nulls: the columns of a table that the bank does not have; otherwise nothing done is 0, but for
dates and what stays of a salary where none came or its days are not over. Rules: R17 (interest and fees are not
activity), R19, R23. A service counts as active while it is on and was used, or switched on, within the policy's days
(A05).
"""

from __future__ import annotations

from functools import reduce
from operator import add, or_
from typing import Any

import ibis
import ibis.expr.types as ir

from features.bank import paydays
from features.bank.masks import bit_count
from features.bank.windows import slots
from features.month import Month, declared
from features.policy import SegmentsPolicy
from features.vocabulary import Column, Kind

_NO_TXN, _NO_EVENTS = "the bank has no transactions", "the bank has no channel events"
_NO_SERVICES = "the bank has no services that are switched on"
_NO_CONTACTS, _NO_RESPONSES = "the bank has no contacts", "the bank has no responses"
_TXN = (
    Column("n_txn_1m", Kind.INTEGER, "own transactions in the month", _NO_TXN),
    Column("n_txn_3m", Kind.INTEGER, "own transactions in three months", _NO_TXN),
    Column("n_txn_prior_3m", Kind.INTEGER, "own transactions in the three months before those", _NO_TXN),
    Column("txn_amount_3m", Kind.NUMBER, "amount of own transactions in three months", _NO_TXN),
    Column("out_amount_1m", Kind.NUMBER, "amount sent out of the bank in the month", _NO_TXN),
    Column("n_out_1m", Kind.INTEGER, "times money was sent out of the bank in the month", _NO_TXN),
    Column("n_out_before_3m", Kind.INTEGER, "times it was in the three months before this one", _NO_TXN),
    Column("largest_out_1m", Kind.NUMBER, "largest single amount sent out of the bank in the month", _NO_TXN),
    Column("largest_in_3m", Kind.NUMBER, "largest single amount brought in within three months", _NO_TXN),
    Column("salary_amount_1m", Kind.NUMBER, "salary credited in the month", _NO_TXN),
    Column("salary_peak_3m", Kind.NUMBER, "highest salary of a month within three months", _NO_TXN),
    Column("n_salary_1m", Kind.INTEGER, "salary credits in the month", _NO_TXN),
    Column("n_salary_3m", Kind.INTEGER, "salary credits in three months", _NO_TXN),
)
_PAYDAY = (
    Column(
        "salary_kept_share_3m", Kind.NUMBER, "share of the salaries of three months that stayed the days after pay day",
        f"no salary whose days are over, or {_NO_TXN}",
    ),
)  # fmt: skip
_EVENT = (
    Column("app_days_1m", Kind.INTEGER, "days with an app login in the month", _NO_EVENTS),
    Column("app_days_3m", Kind.INTEGER, "days with an app login in three months", _NO_EVENTS),
    Column("app_days_prior_3m", Kind.INTEGER, "days with an app login in the three months before those", _NO_EVENTS),
    Column("n_logins_1m", Kind.INTEGER, "logins in the month", _NO_EVENTS),
    Column("n_logins_before_3m", Kind.INTEGER, "logins in the three months before this one", _NO_EVENTS),
    Column("n_services_3m", Kind.INTEGER, "services used in three months", _NO_EVENTS),
)
_SERVICE = (
    Column(
        "n_active_services", Kind.INTEGER, "services switched on and used lately", f"{_NO_SERVICES}, or {_NO_EVENTS}"
    ),
)
_CONTACT = (
    Column("n_contacts_3m", Kind.INTEGER, "contacts in three months", _NO_CONTACTS),
    Column("n_contacts_12m", Kind.INTEGER, "contacts in twelve months", _NO_CONTACTS),
)
_RESPONSE = (Column("n_conversions_12m", Kind.INTEGER, "conversions in twelve months", _NO_RESPONSES),)
_EITHER = (
    Column("n_channels_3m", Kind.INTEGER, "channels used in three months", f"{_NO_TXN} and {_NO_EVENTS}"),
    Column("active_days_1m", Kind.INTEGER, "days with an own transaction or an event in the month", "neither table"),
    Column("active_days_3m", Kind.INTEGER, "days with an own transaction or an event in three months", "neither table"),
    Column("last_active_on", Kind.DATE, "last own transaction or login", "none so far, or neither table"),
)
_NULLABLE = ("last_active_on", *(column.name for column in _PAYDAY))
COLUMNS = (*_TXN, *_PAYDAY, *_EVENT, *_SERVICE, *_EITHER, *_CONTACT, *_RESPONSE)
uses: tuple[str, ...] = ()
carries = ("last_active_on",)
needs: tuple[str, ...] = ("active_days_3m",)
inputs = {  # bank table -> the columns that it makes known
    "txn": tuple(c.name for c in (*_TXN, *_PAYDAY, *_EITHER)),
    "channel_event": tuple(c.name for c in (*_EVENT, *_EITHER)),
    "service_activation": tuple(c.name for c in _SERVICE),
    "contact": tuple(c.name for c in _CONTACT),
    "response": tuple(c.name for c in _RESPONSE),
}


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Activity of every customer in the windows that end with the month."""
    p = month.people
    one, three, before_one, prior, year = range(1), range(3), range(1, 4), range(3, 6), range(12)
    answer = {
        "n_txn_1m": p.n_txn_0,
        "n_txn_3m": _sum(p, "n_txn", three),
        "n_txn_prior_3m": _sum(p, "n_txn", prior),
        "txn_amount_3m": _sum(p, "txn_minor", three) / 100,
        "out_amount_1m": p.out_minor_0 / 100,
        "n_out_1m": p.n_out_0,
        "n_out_before_3m": _sum(p, "n_out", before_one),
        "largest_out_1m": p.largest_out_minor_0 / 100,
        "largest_in_3m": ibis.greatest(*[p[slot] for slot in slots("largest_in_minor", three)]) / 100,
        "salary_amount_1m": p.salary_minor_0 / 100,
        "salary_peak_3m": ibis.greatest(*[p[slot] for slot in slots("salary_minor", three)]) / 100,
        "n_salary_1m": p.n_salary_0,
        "n_salary_3m": _sum(p, "n_salary", three),
        "salary_kept_share_3m": p[paydays.KEPT] / p[paydays.PAID].nullif(0),
        "app_days_1m": _days(p, one, "app_day_mask"),
        "app_days_3m": _days(p, three, "app_day_mask"),
        "app_days_prior_3m": _days(p, prior, "app_day_mask"),
        "n_logins_1m": p.n_logins_0,
        "n_logins_before_3m": _sum(p, "n_logins", before_one),
        "n_services_3m": _n_services(p, three),
        "n_channels_3m": bit_count(_union(p, three, "txn_channel_mask", "event_channel_mask")),
        "active_days_1m": _days(p, one, "txn_day_mask", "event_day_mask"),
        "active_days_3m": _days(p, three, "txn_day_mask", "event_day_mask"),
        "n_contacts_3m": _sum(p, "n_contacts", three),
        "n_contacts_12m": _sum(p, "n_contacts", year),
        "n_conversions_12m": _sum(p, "n_conversions", year),
        # a customer silent for longer than the windows reach keeps the date
        "last_active_on": ibis.coalesce(ibis.greatest(p.last_txn_on, p.last_login_on), p.held_last_active_on),
    }
    zeros = _zeros(month)
    known = {name: value for name, value in answer.items() if name in zeros or name in _NULLABLE}
    return declared(p.mutate(**known), COLUMNS, zeros)


def _sum(people: ir.Table, name: str, months: range) -> Any:
    return reduce(add, [people[slot].fill_null(0) for slot in slots(name, months)])


def _union(people: ir.Table, months: range, *masks: str) -> Any:
    return reduce(or_, [people[slot].fill_null(0) for mask in masks for slot in slots(mask, months)])


def _days(people: ir.Table, months: range, *masks: str) -> Any:
    """Days set in any of the masks; a mask holds the days of one month, so that months are counted one by one."""
    return reduce(add, [bit_count(_union(people, range(k, k + 1), *masks)) for k in months])


def _n_services(people: ir.Table, months: range) -> Any:
    nothing = ibis.literal([], "array<string>")
    used = [people[slot].fill_null(nothing) for slot in slots("services_used", months)]
    return used[0].concat(*used[1:]).unique().length()


def _zeros(month: Month) -> dict[str, object]:
    """Nothing done is 0 in the columns of the tables that the bank has."""
    has_txn, has_events = "txn" in month.has, "channel_event" in month.has
    columns = (
        (_TXN if has_txn else ())
        + (_EVENT if has_events else ())
        + (_SERVICE if has_events and "service_activation" in month.has else ())
        + (_EITHER if has_txn or has_events else ())
        + (_CONTACT if "contact" in month.has else ())
        + (_RESPONSE if "response" in month.has else ())
    )
    return {column.name: 0 for column in columns if column.kind is not Kind.DATE}
