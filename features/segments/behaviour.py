"""行为 Behaviour: what a customer looks at and begins in the channels, and how well he was served there.

Grain: a customer, a month. Uses: windows of channel events, of the app's own figures, of complaints and of journeys.
Which events count as what is the policy's to say, dated, and a month keeps the counts of its own day's policy. Nulls:
the columns of a table that the bank does not have; otherwise nothing done is 0, except for dates and what was not
measured. Rules: R21, B03, X16, I01.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import ibis
import ibis.expr.types as ir

from features.bank.masks import bit_count
from features.bank.tiles import VIEWED
from features.bank.windows import slots
from features.month import Month, declared
from features.policy import SegmentsPolicy
from features.vocabulary import Column, Kind

_NO_EVENTS, _NO_APP = "the bank has no channel events", "the bank has no figures of its app"
_NO_COMPLAINTS, _NO_JOURNEYS = "the bank has no complaints", "the bank traces no journeys"
_EVENT = (
    Column("n_transfer_out_views_1m", Kind.INTEGER, "visits to the transfer-out page in the month", _NO_EVENTS),
    Column("n_transfer_out_views_3m", Kind.INTEGER, "visits to the transfer-out page in three months", _NO_EVENTS),
    Column("n_deposit_views_3m", Kind.INTEGER, "views of deposit pages in three months", _NO_EVENTS),
    Column("n_wealth_views_3m", Kind.INTEGER, "views of wealth-product pages in three months", _NO_EVENTS),
    Column("n_insurance_views_3m", Kind.INTEGER, "views of insurance pages in three months", _NO_EVENTS),
    Column("n_loan_views_3m", Kind.INTEGER, "views of loan pages in three months", _NO_EVENTS),
    Column("n_card_views_3m", Kind.INTEGER, "views of card and payment pages in three months", _NO_EVENTS),
    Column("drop_off_days_3m", Kind.INTEGER, "days in three months with something begun and nothing done", _NO_EVENTS),
)
_LAST = (
    Column("last_transfer_out_view_on", Kind.DATE, "last visit to the transfer-out page", f"never, or {_NO_EVENTS}"),
    Column("last_product_view_on", Kind.DATE, "last view of any product page", f"never, or {_NO_EVENTS}"),
)
_APP = (
    Column("n_app_crashes_3m", Kind.INTEGER, "times the app broke off in three months", _NO_APP),
    Column("n_app_failures_3m", Kind.INTEGER, "requests of the app that failed in three months", _NO_APP),
)
_MEASURED = (
    Column(
        "app_latency_ms_3m", Kind.NUMBER, "mean of the days' answer times in three months, ms", f"none, or {_NO_APP}"
    ),
    Column(
        "app_latency_worst_ms_3m", Kind.NUMBER, "worst day's answer time in three months, ms", f"none, or {_NO_APP}"
    ),
    Column("app_device", Kind.CODE, "device on which the app last ran", f"never ran, or {_NO_APP}"),
)
_COMPLAINT = (
    Column("n_complaints_3m", Kind.INTEGER, "complaints received in three months", _NO_COMPLAINTS),
)  # fmt: skip
_JOURNEY = (
    Column("n_failed_steps_3m", Kind.INTEGER, "steps of journeys that failed in three months", _NO_JOURNEYS),
    Column("n_given_up_steps_3m", Kind.INTEGER, "steps of journeys given up in three months", _NO_JOURNEYS),
)
_WORST = (
    Column("worst_complaint_3m", Kind.INTEGER, "severity of the worst complaint of three months, 1 to 5",
           f"none, or {_NO_COMPLAINTS}"),
    Column("longest_step_s_3m", Kind.INTEGER, "longest wait in a step of a journey in three months, seconds",
           f"no step came to an end, or {_NO_JOURNEYS}"),
)  # fmt: skip
SERVICE = (*_APP, *_MEASURED[:2], *_COMPLAINT, *_JOURNEY, *_WORST)  # how the bank served, not what the customer did
COLUMNS = (*_EVENT, *_LAST, *_APP, *_MEASURED, *_COMPLAINT, *_JOURNEY, *_WORST)
uses: tuple[str, ...] = ()
carries = ("last_transfer_out_view_on", "last_product_view_on", "app_device")
needs: tuple[str, ...] = ("n_transfer_out_views_3m",)
inputs = {  # bank table -> the columns that it makes known
    "channel_event": tuple(c.name for c in (*_EVENT, *_LAST)),
    "app_quality": tuple(c.name for c in (*_APP, *_MEASURED)),
    "complaint": tuple(c.name for c in (*_COMPLAINT, _WORST[0])),
    "journey_event": tuple(c.name for c in (*_JOURNEY, _WORST[1])),
}
_COUNTED = {"channel_event": _EVENT, "app_quality": _APP, "complaint": _COMPLAINT, "journey_event": _JOURNEY}
_DAY = len("2025-12-31 ")  # stands before the device in the window


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Behaviour of every customer in the windows that end with the month."""
    p, measured = month.people, _sum(month.people, "n_app_latencies")
    answer = {
        "n_transfer_out_views_1m": p.n_transfer_out_views_0,
        **{f"n_{kind}_views_3m": _sum(p, f"n_{kind}_views") for kind in VIEWED},
        "drop_off_days_3m": _drop_offs(p),
        # one who has not been seen for longer than the windows reach keeps the date
        "last_transfer_out_view_on": ibis.coalesce(p.transfer_viewed_on, p.held_last_transfer_out_view_on),
        "last_product_view_on": ibis.coalesce(p.product_viewed_on, p.held_last_product_view_on),
        "n_app_crashes_3m": _sum(p, "n_app_crashes"),
        "n_app_failures_3m": _sum(p, "n_app_failures"),
        "app_latency_ms_3m": _sum(p, "app_latency_ms") / measured.nullif(0),
        "app_latency_worst_ms_3m": _worst(p, "app_latency_worst_ms"),
        "n_complaints_3m": _sum(p, "n_complaints"),
        "worst_complaint_3m": _worst(p, "worst_complaint"),
        "n_failed_steps_3m": _sum(p, "n_failed_steps"),
        "n_given_up_steps_3m": _sum(p, "n_given_up_steps"),
        "longest_step_s_3m": _worst(p, "longest_step_s"),
        "app_device": ibis.coalesce(p.last_app_device.substr(_DAY), p.held_app_device),
    }
    told = [c for table, group in _COUNTED.items() if table in month.has for c in group]
    known = {name for table, names in inputs.items() if table in month.has for name in names}
    people = p.mutate(**{name: value for name, value in answer.items() if name in known})
    return declared(people, COLUMNS, {column.name: 0 for column in told})


def _sum(people: ir.Table, name: str) -> Any:
    return reduce(add, [people[slot].fill_null(0) for slot in slots(name)])


def _worst(people: ir.Table, name: str) -> Any:
    return ibis.greatest(*[people[slot] for slot in slots(name)])


def _drop_offs(people: ir.Table) -> Any:
    """Days of three months that are set in what was begun and not in what was done."""
    months = zip(slots("begun_day_mask"), slots("done_day_mask"), strict=True)
    days = [(people[begun].fill_null(0), people[done].fill_null(0)) for begun, done in months]
    return reduce(add, [bit_count(begun) - bit_count(begun & done) for begun, done in days])
