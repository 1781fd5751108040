"""What a customer has and does not use: services switched on, and accounts that nobody moves any more.

Both ask for days, not months, so that they are read from the bank's rows of the last year, as known at a closing.
The first day stands in the closing, and open balances and ended ones are read apart: a reader skips files by a plain
range, and would else go through all of the bank's history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from features.policy import SegmentsPolicy

Tables = Mapping[str, ir.Table]
_OF_SERVICES = {"service_activation", "channel_event"}
_OF_ACCOUNTS = {"account", "balance", "txn"}


def answers(tables: Tables, closing: ir.Table, policy: SegmentsPolicy) -> Iterator[ir.Table]:
    """By customer, as far as the bank has the tables: n_active_services and n_idle_accounts, no row for nothing.

    `closing` is one row with as_of, morning_on, known_until and what `since` says.
    """
    dates = ("as_of", "morning_on", "known_until")
    if tables.keys() >= _OF_SERVICES:
        yield services_in_use(tables, closing.select(*dates, since_on="services_since_on"))
    if tables.keys() >= _OF_ACCOUNTS:
        reaching = closing.select(*dates, since_on="accounts_since_on")
        yield idle_accounts(tables, reaching, policy.lifecycle.account_idle_amount)


def since(as_of: date, policy: SegmentsPolicy) -> dict[str, date]:
    """The days that lie the policy's days before the end of a month, for services and for accounts."""
    days = {"services": policy.activity.service_idle_days, "accounts": policy.lifecycle.account_idle_days}
    return {f"{name}_since_on": as_of - timedelta(days=n) for name, n in days.items()}


def services_in_use(tables: Tables, closing: ir.Table) -> ir.Table:
    """Services that are on and were used, or switched on, since the closing's `since_on` (A05)."""
    on = _open(_known(tables["service_activation"], closing, "activated_on"))
    events = _known(tables["channel_event"], closing, "business_on")
    used = events.filter(events.service_id.notnull(), events.business_on >= events.since_on)
    used = used.select("customer_id", "service_id", is_used=True).distinct()
    on = on.left_join(used, ["customer_id", "service_id"])
    on = on.filter(on.is_used.notnull() | (on.activated_on >= on.since_on))
    return on.group_by("customer_id").agg(n_active_services=on.service_id.nunique())


def idle_accounts(tables: Tables, closing: ir.Table, amount: float) -> ir.Table:
    """Accounts open since `since_on` or longer with at most `amount` on them and no own transaction since (R17).

    Social-security accounts and customers with securities in custody do not count; a transaction that names no account
    wakes every account of its customer.
    """
    a = _open(_known(tables["account"], closing, "opened_on"))
    a = a.filter(a.opened_on <= a.since_on, ~a.is_social_security.fill_null(False))
    balance = tables["balance"]
    still = _known(balance.filter(balance.to_on.isnull()), closing, "from_on")
    ended = _known(balance.filter(balance.to_on.notnull()), closing, "from_on")
    b = ibis.union(still, ended.filter(ended.to_on >= ended.morning_on))
    rich = b.group_by("account_id").agg(left=b.amount.sum())
    rich = rich.filter(rich.left > amount).select("account_id")
    custody = b.filter(b.asset_class == "CUSTODY_3P", b.amount > 0).select("customer_id").distinct()
    poor = a.anti_join(rich, "account_id").anti_join(custody, "customer_id").select("customer_id", "account_id")
    t = _known(tables["txn"], closing, "business_on")
    t = t.filter(t.by_customer, t.business_on > t.since_on).select("customer_id", moved="account_id")
    moved = poor.join(t, "customer_id")
    moved = moved.filter(moved.moved.isnull() | (moved.moved == moved.account_id)).select("account_id").distinct()
    return poor.anti_join(moved, "account_id").group_by("customer_id").agg(n_idle_accounts=ibis._.count())


def _known(table: ir.Table, closing: ir.Table, happened: str) -> ir.Table:
    t = table.cross_join(closing)
    return t.filter(t[happened] <= t.as_of, t.known_at <= t.known_until)


def _open(t: ir.Table) -> ir.Table:
    return t.filter(t.closed_on.isnull() | (t.closed_on >= t.morning_on))
