"""Events -> customer-month tiles: each month of business is aggregated once, late rows in a tile of their own.

A tile row is keyed (customer_id, month_no, known_no): the month of the business, and the month whose closing first knew
it, which is the file it stands in. A build of month B counts all tile rows known by B, so that a row which came late
counts from the build after its arrival and never changes what an older build saw. Amounts are integer minor units and
sets of days and channels are bit masks, so that tiles add up exactly; how they add up is told in `windows.py`.

The statements name no date: they read those of the closing from the one row of `month_closing`, so that they are
compiled once. What a closing is the first to know are two ranges, days that no closing had seen and late rows of the
days before. Each is a step of its own, because a reader skips files by a range, and not by two of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.bank.chains import Chain
from features.bank.engines import Bank
from features.bank.masks import bit_or
from features.bank.tables import AUM_CLASSES, EVENT_CHANNELS
from features.policy import EVENT_COLUMNS, EventKind, SegmentsPolicy
from features.policy import Bank as BankPolicy
from features.vocabulary import Outcome, Purpose

WINDOW_MONTHS = 12
CLOSING, MONTHS = "month_closing", "closing_months"
YEAR_DAYS = 365
_INVESTMENTS = ("WMP", "FUND", "INS", "STRUCT", "BOND", "GOLD", "TRUST")
_DEPOSITS = ("DEMAND", "TIME", "LCD")


@dataclass(frozen=True, slots=True)
class CalendarMonth:
    """A month by its number since year 0, its first and its last day."""

    month_no: int
    first_on: date
    last_on: date

    @property
    def next_on(self) -> date:
        return self.last_on + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Closing:
    """The closing of one month: its days, and the instant up to which the bank's rows count as known."""

    as_of: date
    as_of_at: datetime
    available_at: datetime

    @classmethod
    def of(cls, as_of: date, policy: BankPolicy) -> Closing:
        """The closing of the month that ends on `as_of`, under the bank's zone and publishing lag."""
        ended = datetime.combine(as_of + timedelta(days=1), time(), ZoneInfo(policy.zone))
        return cls(as_of, ended, ended + timedelta(hours=policy.publishing_lag_hours))

    def known_at(self, instant: datetime) -> Closing:
        """The same closing with what was known at another instant."""
        return replace(self, available_at=instant)

    @property
    def number(self) -> int:
        """Months since year 0, so that months can be subtracted."""
        return self.as_of.year * 12 + self.as_of.month - 1

    @property
    def first_on(self) -> date:
        return self.as_of.replace(day=1)

    @property
    def days(self) -> int:
        return self.as_of.day

    def months(self) -> list[CalendarMonth]:
        """The twelve months that end with this one, newest first."""
        found: list[CalendarMonth] = []
        for back in range(WINDOW_MONTHS):
            last_on = found[-1].first_on - timedelta(days=1) if found else self.as_of
            found.append(CalendarMonth(self.number - back, last_on.replace(day=1), last_on))
        return found


@dataclass(frozen=True, slots=True)
class Seen:
    """What tiles hold already: days up to `as_of`, as known at `available_at`."""

    as_of: date
    available_at: datetime


def path_of(folder: Path, closing: Closing) -> Path:
    """The file of tile rows that a closing brings, in the folder of its lineage."""
    return folder / f"known-{closing.as_of:%Y-%m}.parquet"


def lay_out(bank: Bank, closing: Closing, seen: Seen, more: dict[str, pa.Scalar]) -> None:
    """Put down the dates of a closing, and `more` figures of its month, where the statements read them."""
    months = closing.months()
    instant = pa.timestamp("us", tz="UTC")
    figures = {
        "as_of": pa.scalar(closing.as_of), "month_on": pa.scalar(closing.first_on),
        "morning_on": pa.scalar(closing.as_of + timedelta(days=1)), "window_on": pa.scalar(months[-1].first_on),
        "seen_on": pa.scalar(seen.as_of), "seen_until": pa.scalar(seen.available_at, instant),
        "known_until": pa.scalar(closing.available_at, instant), "number": pa.scalar(closing.number),
        "as_of_at": pa.scalar(closing.as_of_at, instant),
    }  # fmt: skip
    figures |= {f"days_{back}": pa.scalar(month.last_on.day) for back, month in enumerate(months)}
    bank.register(CLOSING, pa.table({name: pa.array([value]) for name, value in (figures | more).items()}))
    rows = [{"month_no": m.month_no, "first_on": m.first_on, "next_on": m.next_on} for m in months]
    bank.register(MONTHS, pa.Table.from_pylist(rows))


def statement(bank: Bank, policy: SegmentsPolicy) -> str:
    """SQL of the tile rows that the closing laid out brings: its own month, and late rows of the months before.

    The policy says which channel events count as what, what a balance counts for its tier and what it earns.
    """
    chain = Chain(bank)
    told = {
        "txn": partial(_txns, policy=policy),
        "channel_event": partial(_events, policy=policy),
        "balance": partial(_balances, policy=policy),
    }
    parts = [chain.step(f"tile_{name}", part(bank, chain)) for name, part in (_PARTS | told).items() if bank.has(name)]
    nobody = bank.tables["customer"].limit(0).select("customer_id", month_no=ibis.literal(0, "int64"))
    rows = reduce(lambda left, right: outer(left, right, *_KEY), parts) if parts else nobody
    earned = [rows[name] for name in _EARNED if name in rows.columns]
    rows = rows.mutate(earned=ibis.coalesce(reduce(add, earned), *earned)) if earned else rows
    columns = {
        name: rows[name].cast(dtype) if name in rows.columns else ibis.null(dtype) for name, dtype in COLUMNS.items()
    }
    return chain.statement(rows.select(*_KEY, **columns))


def outer(left: ir.Table, right: ir.Table, *key: str) -> ir.Table:
    """The rows of both by their key, null where one has none of that key."""
    both = left.outer_join(right, key)
    again = {name: f"{name}_right" for name in key}
    return both.mutate(**{name: ibis.coalesce(both[name], both[other]) for name, other in again.items()}).drop(
        *again.values()
    )


def _fresh(bank: Bank, chain: Chain, name: str, *columns: str) -> ir.Table:
    """Rows of a table that this closing is the first to know."""
    parts = []
    for part, range_of in (("fresh", _of_new_days), ("late", _of_days_before)):
        t = bank.tables[name].cross_join(bank.con.table(CLOSING).select(*_LIMITS))
        t = t.filter(t.known_at <= t.known_until, *range_of(t)).select("customer_id", "business_on", *columns)
        parts.append(chain.step(f"{part}_{name}", t))
    rows = ibis.union(*parts)
    rows = rows.mutate(month_no=(rows.business_on.year() * 12 + rows.business_on.month() - 1).cast("int64"))
    return chain.step(f"rows_{name}", rows)


def _of_new_days(t: ir.Table) -> tuple[Any, ...]:
    return t.business_on > t.seen_on, t.business_on <= t.as_of


def _of_days_before(t: ir.Table) -> tuple[Any, ...]:
    return t.known_at > t.seen_until, t.business_on >= t.window_on, t.business_on <= t.seen_on


def _minor(amount: Any) -> Any:
    return (amount * 100).cast("int64")


def _txns(bank: Bank, chain: Chain, policy: SegmentsPolicy) -> ir.Table:
    t = _fresh(bank, chain, "txn", "txn_type", "amount", "counterparty", "channel", "by_customer")
    t = t.mutate(minor=_minor(t.amount), day=_day_bit(t.business_on), way=_channel_bit(t.channel))
    mine = t.by_customer
    is_out = mine & (t.txn_type == "OUT") & (t.counterparty != "OWN").fill_null(True)
    is_salary = t.txn_type == "SALARY"
    return t.group_by("customer_id", "month_no").agg(
        n_txn=mine.sum(),
        txn_minor=t.minor.sum(where=mine).fill_null(0),
        n_out=is_out.sum(),
        out_minor=t.minor.sum(where=is_out).fill_null(0),
        largest_out_minor=t.minor.max(where=is_out).fill_null(0),
        largest_in_minor=t.minor.max(where=mine & (t.txn_type == "IN")).fill_null(0),
        n_salary=is_salary.sum(),
        salary_minor=t.minor.sum(where=is_salary).fill_null(0),
        txn_day_mask=bit_or(t.day, where=mine).fill_null(0),
        last_txn_on=t.business_on.max(where=mine),
        txn_channel_mask=bit_or(t.way, where=mine).fill_null(0),
        earned_by_txns=_sum_times(t.minor * YEAR_DAYS, t.txn_type, policy.value.txns),
    )


def _events(bank: Bank, chain: Chain, policy: SegmentsPolicy) -> ir.Table:
    t = _fresh(bank, chain, "channel_event", *EVENT_COLUMNS)
    t = t.mutate(day=_day_bit(t.business_on), way=_channel_bit(t.channel))
    is_login = t.event == "LOGIN"
    holds = {kind: rule.expr(t).fill_null(False) for kind, rule in policy.activity.events.items()}
    return t.group_by("customer_id", "month_no").agg(
        **{f"n_{kind}_views": holds[kind].cast("int64").sum() for kind in VIEWED},
        transfer_viewed_on=t.business_on.max(where=holds["transfer_out"]),
        product_viewed_on=t.business_on.max(where=ibis.or_(*[holds[kind] for kind in VIEWED[1:]])),
        begun_day_mask=bit_or(t.day, where=holds["begun"]).fill_null(0),
        done_day_mask=bit_or(t.day, where=holds["done"]).fill_null(0),
        app_day_mask=bit_or(t.day, where=is_login & (t.channel == "APP")).fill_null(0),
        event_day_mask=bit_or(t.day).fill_null(0),
        event_channel_mask=bit_or(t.way).fill_null(0),
        n_logins=is_login.sum(),
        last_login_on=t.business_on.max(where=is_login),
        services_used=_set_or_null(t.service_id.collect(where=t.service_id.notnull(), distinct=True)),
    )


def _app(bank: Bank, chain: Chain) -> ir.Table:
    """How the app ran; the device of the last day stands behind its date, so that the greatest text is the newest."""
    t = _fresh(bank, chain, "app_quality", "device", "n_crashes", "n_failures", "latency_ms")
    return t.group_by("customer_id", "month_no").agg(
        n_app_crashes=t.n_crashes.sum(),
        n_app_failures=t.n_failures.sum(),
        app_latency_ms=t.latency_ms.sum().fill_null(0),
        n_app_latencies=t.latency_ms.count(),
        app_latency_worst_ms=t.latency_ms.max(),
        last_app_device=(t.business_on.cast("string") + " " + t.device).max(),
    )


def _complaints(bank: Bank, chain: Chain) -> ir.Table:
    t = _fresh(bank, chain, "complaint", "severity")
    return t.group_by("customer_id", "month_no").agg(n_complaints=t.count(), worst_complaint=t.severity.max())


def _journeys(bank: Bank, chain: Chain) -> ir.Table:
    """Steps that failed or were given up, and the longest of those that came to an end."""
    t = _fresh(bank, chain, "journey_event", "outcome", "started_at", "ended_at")
    begun, ended = (at.truncate("s").epoch_seconds() for at in (t.started_at, t.ended_at))  # engines round otherwise
    lasted = (ended - begun).cast("int64")
    return t.group_by("customer_id", "month_no").agg(
        n_failed_steps=(t.outcome == "FAILED").sum(),
        n_given_up_steps=(t.outcome == "ABANDONED").sum(),
        longest_step_s=lasted.max(),
    )


def _contacts(bank: Bank, chain: Chain) -> ir.Table:
    t = _fresh(bank, chain, "contact", "purpose")
    return t.group_by("customer_id", "month_no").agg(
        n_contacts=t.count(), n_sales_contacts=(t.purpose == Purpose.SALES).sum()
    )


def _responses(bank: Bank, chain: Chain) -> ir.Table:
    t = _fresh(bank, chain, "response", "outcome")
    return t.group_by("customer_id", "month_no").agg(n_conversions=(t.outcome == Outcome.CONVERTED).sum())


def _balances(bank: Bank, chain: Chain, policy: SegmentsPolicy) -> ir.Table:
    """Balance × days of each interval in each month it touches; months before this one only for intervals new to us."""
    closing = bank.con.table(CLOSING).select("month_on", "morning_on", *_LIMITS)
    t = bank.tables["balance"].cross_join(closing)
    t = t.filter(t.known_at <= t.known_until)
    here = t.mutate(month_no=t.number, first_on=t.month_on, next_on=t.morning_on).filter(t.from_on < t.morning_on)
    late = t.filter(t.known_at > t.seen_until, t.from_on < t.month_on).cross_join(bank.con.table(MONTHS))
    late = late.filter(late.month_no < late.number, late.from_on < late.next_on)
    parts = {
        "ended_balance": here.filter(here.to_on > here.month_on),
        "open_balance": here.filter(here.to_on.isnull()),
        "late_balance": late.filter(late.to_on.isnull() | (late.to_on > late.first_on)),
    }
    t = ibis.union(*[chain.step(name, _held(rows)) for name, rows in parts.items()])
    at_end = t.counted & t.is_at_end
    is_funded = t.counted & (t.own >= round(100 * policy.lifecycle.funded_amount))
    return t.group_by("customer_id", "month_no").agg(
        aum_day_minor=(t.own * t.held_days).sum(where=t.counted).fill_null(0),
        aum_end_minor=t.own.sum(where=at_end).fill_null(0),
        invest_end_minor=t.own.sum(where=at_end & t.asset_class.isin(_INVESTMENTS)).fill_null(0),
        deposit_end_minor=t.own.sum(where=at_end & t.asset_class.isin(_DEPOSITS)).fill_null(0),
        asset_mask=bit_or(_bit(t.asset_class, AUM_CLASSES), where=at_end & t.has_money).fill_null(0),
        first_funded_on=t.from_on.min(where=is_funded),
        rated_day=_rated(t, policy),
        earned_by_balances=_sum_times(t.own * t.held_days, t.asset_class, policy.value.balances),
    )


def _rated(t: ir.Table, policy: SegmentsPolicy) -> Any:
    """Σ weighted balance × days in hundredths of minor units; null where every class counts once."""
    if not policy.tiers.is_weighted:
        return ibis.null("int64")
    weights = {name: round(100 * policy.tiers.asset_weights.get(name, 1)) for name in AUM_CLASSES}
    return _sum_times(t.own * t.held_days, t.asset_class, weights)


def _sum_times(value: Any, code: Any, factors: Mapping[str, int]) -> Any:
    """Σ value × the factor of its code; a code without one adds nothing, and without any factor it is null."""
    if not factors:
        return ibis.null("int64")
    factor = ibis.cases(*[(code == name, n) for name, n in factors.items()], else_=0).cast("int64")
    return (value * factor).sum(where=code.isin(list(factors))).fill_null(0)


def _held(t: ir.Table) -> ir.Table:
    stop = ibis.least(t.to_on.fill_null(t.next_on), t.next_on)
    return t.select(
        "customer_id",
        "month_no",
        "asset_class",
        "from_on",
        own=_minor(t.amount - t.in_transit_amount - t.loan_proceeds_amount),
        has_money=t.amount > 0,
        counted=t.asset_class.isin(AUM_CLASSES),
        held_days=stop.delta(ibis.greatest(t.from_on, t.first_on), unit="day"),
        is_at_end=t.to_on.isnull() | (t.to_on >= t.next_on),
    )


def _bit(code: Any, codes: Sequence[str]) -> Any:
    return ibis.cases(*[(code == c, 1 << i) for i, c in enumerate(codes)], else_=0).cast("int64")


def _channel_bit(channel: Any) -> Any:
    return _bit(channel, EVENT_CHANNELS)


def _set_or_null(codes: Any) -> Any:
    """Distinct codes in order, null if there are none: of no rows DuckDB makes null and Spark an empty array."""
    return ibis.ifelse(codes.length() > 0, codes.sort(), None)


def _day_bit(day: Any) -> Any:
    one = ibis.literal(1, "int8").cast("int64")  # Spark takes a bare 1 for 32 bits, and the 31st does not fit
    return one << day.day().cast("int64")


VIEWED: tuple[EventKind, ...] = ("transfer_out", "deposit", "wealth", "insurance", "loan", "card")
_PARTS: dict[str, Any] = {
    "txn": _txns, "contact": _contacts, "response": _responses, "balance": _balances, "app_quality": _app,
    "complaint": _complaints, "journey_event": _journeys,
}  # fmt: skip
_KEY = ("customer_id", "month_no")
_EARNED = ("earned_by_txns", "earned_by_balances")
_LIMITS = ("as_of", "window_on", "seen_on", "seen_until", "known_until", "number")
SUMS = (
    "n_txn", "txn_minor", "n_out", "out_minor", "n_logins", "n_salary", "salary_minor", "n_contacts",
    "n_sales_contacts", "n_conversions",
    "aum_day_minor", "aum_end_minor", "invest_end_minor", "deposit_end_minor", *(f"n_{kind}_views" for kind in VIEWED),
    "n_app_crashes", "n_app_failures", "app_latency_ms", "n_app_latencies",
    "n_complaints", "n_failed_steps", "n_given_up_steps",
    "rated_day",  # weighted balance × days, in hundredths of minor units
    "earned",  # balance × days × basis points, in minor units
)  # fmt: skip
MASKS = (
    "txn_day_mask", "txn_channel_mask", "app_day_mask", "event_day_mask", "event_channel_mask", "asset_mask",
    "begun_day_mask", "done_day_mask",
)  # fmt: skip
COLUMNS = (
    dict.fromkeys((*SUMS, *MASKS, "largest_out_minor", "largest_in_minor", "app_latency_worst_ms", "worst_complaint",
                   "longest_step_s"), "int64")
    | dict.fromkeys(
        ("last_txn_on", "last_login_on", "transfer_viewed_on", "product_viewed_on", "first_funded_on"), "date"
    )
    | {"last_app_device": "string", "services_used": "array<string>"}
)  # fmt: skip
