"""活跃 Activity: what a customer does with us: own transactions, logins, channels, services used, contacts answered.

Grain: a customer, a month. Uses: tiles of transactions, channel events, contacts and responses. Nulls: the columns of a
table that the bank does not have; otherwise nothing done is 0, except for dates. Rules: R17 (interest and fees are not
activity), R23; a service counts as active only if used in the window (A05).
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from features.month import Month, beside, bit_count
from features.policy import SegmentsPolicy
from features.vocabulary import Column, Kind

_NO_TXN, _NO_EVENTS = "the bank has no transactions", "the bank has no channel events"
_NO_CONTACTS, _NO_RESPONSES = "the bank has no contacts", "the bank has no responses"
_TXN = (
    Column("n_txn_1m", Kind.INTEGER, "own transactions in the month", _NO_TXN),
    Column("n_txn_3m", Kind.INTEGER, "own transactions in three months", _NO_TXN),
    Column("n_txn_prior_3m", Kind.INTEGER, "own transactions in the three months before those", _NO_TXN),
    Column("txn_amount_3m", Kind.NUMBER, "amount of own transactions in three months", _NO_TXN),
    Column("out_amount_1m", Kind.NUMBER, "amount sent out of the bank in the month", _NO_TXN),
    Column("largest_out_1m", Kind.NUMBER, "largest single amount sent out of the bank in the month", _NO_TXN),
    Column("largest_in_3m", Kind.NUMBER, "largest single amount brought in within three months", _NO_TXN),
    Column("salary_amount_1m", Kind.NUMBER, "salary credited in the month", _NO_TXN),
    Column("n_salary_1m", Kind.INTEGER, "salary credits in the month", _NO_TXN),
    Column("n_salary_3m", Kind.INTEGER, "salary credits in three months", _NO_TXN),
)
_EVENT = (
    Column("app_days_1m", Kind.INTEGER, "days with an app login in the month", _NO_EVENTS),
    Column("app_days_3m", Kind.INTEGER, "days with an app login in three months", _NO_EVENTS),
    Column("app_days_prior_3m", Kind.INTEGER, "days with an app login in the three months before those", _NO_EVENTS),
    Column("n_services_3m", Kind.INTEGER, "services used in three months", _NO_EVENTS),
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
COLUMNS = (*_TXN, *_EVENT, *_EITHER, *_CONTACT, *_RESPONSE)
uses: tuple[str, ...] = ()


def family(month: Month, before: ir.Table | None, policy: SegmentsPolicy) -> ir.Table:
    """Activity of every customer in the windows that end with the month."""
    t = month.tiles
    one, three, prior = month.within(1), month.within(3), month.within(3, back=3)
    days = (t.txn_day_mask.fill_null(0) | t.event_day_mask.fill_null(0)).name("days")
    t = t.mutate(active_mask=days, channels=t.txn_channel_mask.fill_null(0) | t.event_channel_mask.fill_null(0))
    answer = t.group_by("customer_id").agg(
        n_txn_1m=t.n_txn.sum(where=one),
        n_txn_3m=t.n_txn.sum(where=three),
        n_txn_prior_3m=t.n_txn.sum(where=prior),
        txn_amount_3m=t.txn_minor.sum(where=three) / 100,
        out_amount_1m=t.out_minor.sum(where=one) / 100,
        largest_out_1m=t.largest_out_minor.max(where=one) / 100,
        largest_in_3m=t.largest_in_minor.max(where=three) / 100,
        salary_amount_1m=t.salary_minor.sum(where=one) / 100,
        n_salary_1m=t.n_salary.sum(where=one),
        n_salary_3m=t.n_salary.sum(where=three),
        app_days_1m=bit_count(t.app_day_mask).sum(where=one),
        app_days_3m=bit_count(t.app_day_mask).sum(where=three),
        app_days_prior_3m=bit_count(t.app_day_mask).sum(where=prior),
        n_services_3m=_distinct(t.services_used, three),
        n_channels_3m=bit_count(t.channels.bit_or(where=three)),
        active_days_1m=bit_count(t.active_mask).sum(where=one),
        active_days_3m=bit_count(t.active_mask).sum(where=three),
        last_seen_on=ibis.greatest(t.last_txn_on.max(), t.last_login_on.max()),
        n_contacts_3m=t.n_contacts.sum(where=three),
        n_contacts_12m=t.n_contacts.sum(),
        n_conversions_12m=t.n_conversions.sum(),
    )
    answer = answer.mutate(last_active_on=answer.last_seen_on)
    if before is not None:  # a customer silent for longer than the tiles reach keeps the date
        held = before.select("customer_id", kept_on=before.last_active_on)
        answer = beside(month.customers.select("customer_id"), answer, held)
        answer = answer.mutate(last_active_on=ibis.coalesce(answer.last_seen_on, answer.kept_on))
    return month.everyone(answer, COLUMNS, _zeros(month))


def _distinct(sets: Any, where: Any) -> Any:
    return sets.collect(where=where & sets.notnull()).flatten().unique().length()


def _zeros(month: Month) -> dict[str, object]:
    """Nothing done is 0 in the columns of the tables that the bank has."""
    has_txn, has_events = "txn" in month.has, "channel_event" in month.has
    columns = (
        (_TXN if has_txn else ())
        + (_EVENT if has_events else ())
        + (_EITHER if has_txn or has_events else ())
        + (_CONTACT if "contact" in month.has else ())
        + (_RESPONSE if "response" in month.has else ())
    )
    return {column.name: 0 for column in columns if column.kind is not Kind.DATE}
