"""Events -> customer-month tiles: each month of business is aggregated once, late rows in a tile of their own.

A tile row is keyed (customer_id, month_no, known_no): the month of the business, and the month whose closing first knew
it. A build of month B sums all tile rows known by B, so that a row which came late counts from the build after its
arrival and never changes what an older build saw. Amounts are integer minor units and sets of days and channels are
bit masks, so that tiles add up exactly. Grain of a file: all rows that the closing of one month brought.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.bank.engines import Bank, write_parquet
from features.bank.tables import AUM_CLASSES, EVENT_CHANNELS
from features.policy import Bank as BankPolicy
from features.vocabulary import Outcome, Purpose

WINDOW_MONTHS = 12
_INVESTMENTS = ("WMP", "FUND", "INS", "STRUCT", "BOND", "GOLD", "TRUST")
_DEPOSITS = ("DEMAND", "TIME", "LCD")


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

    def previous(self, policy: BankPolicy) -> Closing:
        return Closing.of(self.first_on - timedelta(days=1), policy)


def path_of(home: Path, closing: Closing) -> Path:
    return home / "tiles" / f"known-{closing.as_of:%Y-%m}.parquet"


def write(bank: Bank, closing: Closing, policy: BankPolicy, *, is_first: bool) -> Path:
    """The file of tile rows that this closing brings: its own month, and late rows of the months before."""
    before = None if is_first else closing.previous(policy)
    parts = [
        part(bank, closing, before)
        for name, part in _PARTS.items()
        if bank.has(name)
    ]  # fmt: skip
    path = path_of(bank.home, closing)
    write_parquet(bank.con, _joined(parts, closing) if parts else _empty(bank), path)
    return path


def window(bank: Bank, closing: Closing) -> ir.Table:
    """Tile rows of the last twelve months as known at `closing`, corrections summed: one row a customer and month.

    `back` counts the months from this one, 0 for itself.
    """
    files = [
        f for f in sorted((bank.home / "tiles").glob("known-*.parquet")) if f.stem <= path_of(bank.home, closing).stem
    ]
    tiles = bank.con.read_parquet([str(f) for f in files], union_by_name=True)
    tiles = tiles.filter(tiles.month_no > closing.number - WINDOW_MONTHS, tiles.month_no <= closing.number)
    present = [name for name in _COMBINE if name in tiles.columns]
    sums = {name: _COMBINE[name](tiles[name]) for name in present}
    rows = tiles.group_by("customer_id", "month_no").agg(**sums)
    absent = {name: ibis.null(_TYPES[name]) for name in _COMBINE if name not in present}
    return rows.mutate(back=closing.number - rows.month_no, **absent)


def _fresh(table: ir.Table, happened: Any, closing: Closing, before: Closing | None) -> ir.Table:
    """Rows that this closing is the first to know."""
    rows = table.filter(happened <= ibis.literal(closing.as_of), table.known_at <= ibis.literal(closing.available_at))
    if before is None:
        return rows
    seen = (happened <= ibis.literal(before.as_of)) & (rows.known_at <= ibis.literal(before.available_at))
    return rows.filter(~seen)


def _month_no(day: Any) -> Any:
    return (day.year() * 12 + day.month() - 1).cast("int64")


def _minor(amount: Any) -> Any:
    return (amount * 100).cast("int64")


def _txns(bank: Bank, closing: Closing, before: Closing | None) -> ir.Table:
    t = _fresh(bank.tables["txn"], bank.tables["txn"].business_on, closing, before)
    mine = t.by_customer
    is_out = mine & (t.txn_type == "OUT") & (t.counterparty != "OWN").fill_null(True)
    is_salary = t.txn_type == "SALARY"
    return t.group_by("customer_id", month_no=_month_no(t.business_on)).agg(
        n_txn=mine.sum(),
        txn_minor=_minor(t.amount).sum(where=mine).fill_null(0),
        out_minor=_minor(t.amount).sum(where=is_out).fill_null(0),
        largest_out_minor=_minor(t.amount).max(where=is_out).fill_null(0),
        largest_in_minor=_minor(t.amount).max(where=mine & (t.txn_type == "IN")).fill_null(0),
        n_salary=is_salary.sum(),
        salary_minor=_minor(t.amount).sum(where=is_salary).fill_null(0),
        txn_day_mask=_day_bit(t.business_on).bit_or(where=mine).fill_null(0),
        last_txn_on=t.business_on.max(where=mine),
        txn_channel_mask=_channel_bit(t.channel).bit_or(where=mine).fill_null(0),
    )


def _events(bank: Bank, closing: Closing, before: Closing | None) -> ir.Table:
    t = _fresh(bank.tables["channel_event"], bank.tables["channel_event"].business_on, closing, before)
    is_login = t.event == "LOGIN"
    return t.group_by("customer_id", month_no=_month_no(t.business_on)).agg(
        app_day_mask=_day_bit(t.business_on).bit_or(where=is_login & (t.channel == "APP")).fill_null(0),
        event_day_mask=_day_bit(t.business_on).bit_or().fill_null(0),
        event_channel_mask=_channel_bit(t.channel).bit_or().fill_null(0),
        last_login_on=t.business_on.max(where=is_login),
        services_used=t.service_id.collect(where=t.service_id.notnull(), distinct=True),
    )


def _contacts(bank: Bank, closing: Closing, before: Closing | None) -> ir.Table:
    t = _fresh(bank.tables["contact"], bank.tables["contact"].business_on, closing, before)
    return t.group_by("customer_id", month_no=_month_no(t.business_on)).agg(
        n_contacts=t.count(), n_sales_contacts=(t.purpose == Purpose.SALES).sum()
    )


def _responses(bank: Bank, closing: Closing, before: Closing | None) -> ir.Table:
    t = _fresh(bank.tables["response"], bank.tables["response"].business_on, closing, before)
    return t.group_by("customer_id", month_no=_month_no(t.business_on)).agg(
        n_conversions=(t.outcome == Outcome.CONVERTED).sum()
    )


def _balances(bank: Bank, closing: Closing, before: Closing | None) -> ir.Table:
    """Balance × days of each interval in each month it touches; months before this one only for intervals new to us."""
    t = bank.tables["balance"].filter(bank.tables["balance"].known_at <= ibis.literal(closing.available_at))
    t = t.cross_join(_months(bank, closing, 1 if before is None else WINDOW_MONTHS))
    stop = ibis.least(t.to_on.fill_null(t.next_on), t.next_on)
    start = ibis.greatest(t.from_on, t.first_on)
    days = stop.delta(start, unit="day")
    t = t.mutate(held_days=days, is_at_end=t.to_on.isnull() | (t.to_on >= t.next_on)).filter(days > 0)
    if before is not None:
        t = t.filter((t.month_no == closing.number) | (t.known_at > ibis.literal(before.available_at)))
    counted = t.asset_class.isin(AUM_CLASSES)
    own = _minor(t.amount - t.in_transit_amount - t.loan_proceeds_amount)
    at_end = counted & t.is_at_end
    return t.group_by("customer_id", "month_no").agg(
        aum_day_minor=(own * t.held_days).sum(where=counted).cast("int64").fill_null(0),
        aum_end_minor=own.sum(where=at_end).cast("int64").fill_null(0),
        invest_end_minor=own.sum(where=at_end & t.asset_class.isin(_INVESTMENTS)).cast("int64").fill_null(0),
        deposit_end_minor=own.sum(where=at_end & t.asset_class.isin(_DEPOSITS)).cast("int64").fill_null(0),
        asset_mask=_bit(t.asset_class, AUM_CLASSES).bit_or(where=at_end & (t.amount > 0)).fill_null(0),
    )


def _months(bank: Bank, closing: Closing, n: int) -> ir.Table:
    rows = []
    last = closing.as_of
    for back in range(n):
        rows.append(
            {"month_no": closing.number - back, "first_on": last.replace(day=1), "next_on": last + timedelta(days=1)}
        )
        last = last.replace(day=1) - timedelta(days=1)
    return bank.register("closing_months", pa.Table.from_pylist(rows))


def _bit(code: Any, codes: tuple[str, ...]) -> Any:
    return ibis.cases(*[(code == c, 1 << i) for i, c in enumerate(codes)], else_=0).cast("int64")


def _channel_bit(channel: Any) -> Any:
    return _bit(channel, EVENT_CHANNELS)


def _day_bit(day: Any) -> Any:
    return ibis.literal(1, "int64") << day.day().cast("int64")


def _joined(parts: list[ir.Table], closing: Closing) -> ir.Table:
    joined = parts[0]
    for part in parts[1:]:
        both = joined.outer_join(part, ["customer_id", "month_no"])
        keys = {key: ibis.coalesce(both[key], both[f"{key}_right"]) for key in ("customer_id", "month_no")}
        joined = both.mutate(**keys).drop("customer_id_right", "month_no_right")
    return joined.mutate(known_no=ibis.literal(closing.number, "int64"))


def _empty(bank: Bank) -> ir.Table:
    schema = pa.schema([("customer_id", pa.string()), ("month_no", pa.int64()), ("known_no", pa.int64())])
    return bank.register("no_tiles", schema.empty_table())


_PARTS = {
    "txn": _txns, "channel_event": _events, "contact": _contacts, "response": _responses, "balance": _balances,
}  # fmt: skip
_SUMS = (
    "n_txn", "txn_minor", "out_minor", "n_salary", "salary_minor", "n_contacts", "n_sales_contacts", "n_conversions",
    "aum_day_minor", "aum_end_minor", "invest_end_minor", "deposit_end_minor",
)  # fmt: skip
_MASKS = ("txn_day_mask", "txn_channel_mask", "app_day_mask", "event_day_mask", "event_channel_mask", "asset_mask")
_COMBINE: dict[str, Any] = (
    {name: lambda column: column.sum().cast("int64") for name in _SUMS}
    | {name: lambda column: column.bit_or() for name in _MASKS}
    | {
        name: lambda column: column.max()
        for name in ("largest_out_minor", "largest_in_minor", "last_txn_on", "last_login_on")
    }
    | {"services_used": lambda column: column.collect(where=column.notnull()).flatten().unique()}
)
_TYPES = (
    dict.fromkeys((*_SUMS, *_MASKS, "largest_out_minor", "largest_in_minor"), "int64")
    | {"last_txn_on": "date", "last_login_on": "date", "services_used": "array<string>"}
)  # fmt: skip
