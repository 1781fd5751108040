"""资产 Wealth: what a customer keeps with us, as monthly daily average and at the month's end.

Grain: a customer, a month. Uses: tiles of balances, holdings and loans as known at the closing. Nulls: everything, if
the bank has no balances. Rules: R01, R07-R09.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from features.month import Month, beside, bit_count
from features.policy import SegmentsPolicy
from features.vocabulary import Column, Kind

_NO_BALANCES = "the bank has no balances"
_NO_HOLDINGS = "the bank has no holdings"
COLUMNS = (
    Column("aum_day_minor", Kind.INTEGER, "Σ end-of-day AUM × days of the month, in minor units", _NO_BALANCES),
    Column("mda", Kind.NUMBER, "AUM as daily average of the month, in currency", _NO_BALANCES),
    Column("mda_mean_3m", Kind.NUMBER, "mean of mda over this and the two months before", _NO_BALANCES),
    Column("mda_mean_6m", Kind.NUMBER, "mean of mda over six months", _NO_BALANCES),
    Column("mda_prior_3m", Kind.NUMBER, "mean of mda over the three months before this one", "no such months"),
    Column("mda_peak_12m", Kind.NUMBER, "highest mda of twelve months", _NO_BALANCES),
    Column(
        "mda_spread_3m", Kind.NUMBER, "(highest - lowest) ÷ mean of mda over three months", "no AUM, or no balances"
    ),
    Column("aum_end", Kind.NUMBER, "AUM at the month's end", _NO_BALANCES),
    Column("aum_end_before", Kind.NUMBER, "AUM at the end of the month before", "no such month"),
    Column(
        "invest_end", Kind.NUMBER, "wealth products, funds, insurance and the like at the month's end", _NO_BALANCES
    ),
    Column("n_asset_classes", Kind.INTEGER, "asset classes with money in them at the month's end", _NO_BALANCES),
    Column("n_holdings", Kind.INTEGER, "products held at the month's end", _NO_HOLDINGS),
    Column("has_deposit", Kind.FLAG, "deposit customer (存款)", _NO_BALANCES),
    Column("has_wealth", Kind.FLAG, "wealth customer (理财)", _NO_BALANCES),
    Column("has_loan", Kind.FLAG, "loan customer (贷款)", "the bank has no loans"),
    Column("has_card", Kind.FLAG, "credit-card customer (信用卡)", "the bank has no loans"),
)
uses: tuple[str, ...] = ()


def family(month: Month, before: ir.Table | None, policy: SegmentsPolicy) -> ir.Table:
    """Wealth of every customer at the month's end."""
    parts = [_balances(month)] if "balance" in month.has else []
    people = beside(month.customers.select("customer_id"), *parts, _contracts(month))
    fill: dict[str, object] = {}
    if "balance" in month.has:
        fill |= dict.fromkeys(_BALANCE_ZEROS, 0) | {"has_deposit": False, "has_wealth": False}
    return month.everyone(people, COLUMNS, fill)


_BALANCE_ZEROS = (
    "aum_day_minor", "mda", "mda_mean_3m", "mda_mean_6m", "mda_peak_12m", "aum_end", "invest_end", "n_asset_classes",
)  # fmt: skip


def _balances(month: Month) -> ir.Table:
    tiles = month.tiles.mutate(mda=_mda(month.tiles))
    now, last = tiles.back == 0, tiles.back == 1

    def mean(months: int, back: int = 0) -> Any:
        """Mean over the months that lie in history; a month without a balance counts as 0."""
        known = ibis.least(tiles.history_months.max() - back, months)
        total = tiles.mda.sum(where=month.within(months, back)).fill_null(0)
        return ibis.ifelse(known > 0, total / known, None)

    highest, lowest = tiles.mda.max(where=month.within(3)), tiles.mda.min(where=month.within(3))
    return tiles.group_by("customer_id").agg(
        aum_day_minor=ibis.greatest(tiles.aum_day_minor.sum(where=now).fill_null(0), 0),
        mda=tiles.mda.sum(where=now),
        mda_mean_3m=mean(3),
        mda_mean_6m=mean(6),
        mda_prior_3m=mean(3, back=1),
        mda_peak_12m=tiles.mda.max(),
        mda_spread_3m=(highest - lowest) / (tiles.mda.mean(where=month.within(3))).nullif(0),
        aum_end=tiles.aum_end_minor.sum(where=now) / 100,
        aum_end_before=tiles.aum_end_minor.sum(where=last) / 100,
        invest_end=tiles.invest_end_minor.sum(where=now) / 100,
        n_asset_classes=bit_count(tiles.asset_mask.max(where=now).fill_null(0)),
        has_deposit=(tiles.deposit_end_minor.sum(where=now) > 0),
        has_wealth=(tiles.invest_end_minor.sum(where=now) > 0),
    )


def _mda(tiles: ir.Table) -> Any:
    """Monthly daily average in currency, at least 0 (R09: calendar days)."""
    first_on = ibis.date(tiles.month_no // 12, tiles.month_no % 12 + 1, 1)
    next_on = first_on + ibis.interval(months=1)
    days = next_on.cast("date").delta(first_on, unit="day")
    return ibis.greatest(tiles.aum_day_minor.fill_null(0), 0) / (100 * days)


def _contracts(month: Month) -> ir.Table:
    t = month.standing
    is_borrower = t.next_loan_end_on.notnull() | t.overdue_from_on.notnull()
    has_loans = "loan" in month.has
    return t.select(
        "customer_id",
        n_holdings=t.held_products.length() - t.held_products.replace("|", "").length() - 1,
        has_loan=is_borrower if has_loans else ibis.null("boolean"),
        has_card=t.card_opened_on.notnull() if has_loans else ibis.null("boolean"),
    )
