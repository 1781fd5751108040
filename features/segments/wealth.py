"""资产 Wealth: what a customer keeps with us, as monthly daily average and at the month's end.

Grain: a customer, a month. Uses: windows of balances, holdings and loans as known at the closing. Nulls: everything, if
the bank has no balances. Rules: R01, R05, R07-R09, R13, R16.

What a tier is measured by is the daily average over the policy's basis, a month or the three months up to this one (as
many of them as lie in history): `rated_mda` counts each asset class with its weight, and with the family's where the
policy merges families (R14); `net_mda` counts all once, of the customer alone. By default both are `mda`. Hot money
came before an assessment, which is the end of the month before, and left after it: the smaller of what that balance
stood above the average of the month before it and of what has gone since.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from features.bank.masks import bit_count
from features.bank.tiles import WINDOW_MONTHS
from features.bank.windows import slots
from features.month import Month, declared
from features.policy import SegmentsPolicy
from features.vocabulary import Column, Kind

_NO_BALANCES = "the bank has no balances"
_NO_HOLDINGS = "the bank has no holdings"
_SPREAD_MONTHS = 3
COLUMNS = (
    Column("aum_day_minor", Kind.INTEGER, "Σ end-of-day AUM × days of the month, in minor units", _NO_BALANCES),
    Column("mda", Kind.NUMBER, "AUM as daily average of the month, in currency", _NO_BALANCES),
    Column("rated_mda", Kind.NUMBER, "weighted daily average over the tier's basis", _NO_BALANCES),
    Column("net_mda", Kind.NUMBER, "unweighted daily average over the tier's basis", _NO_BALANCES),
    Column("family_mda", Kind.NUMBER, "part of rated_mda that his family keeps", "families do not count together"),
    Column("mda_mean_3m", Kind.NUMBER, "mean of mda over this and the two months before", _NO_BALANCES),
    Column("mda_mean_6m", Kind.NUMBER, "mean of mda over six months", _NO_BALANCES),
    Column("mda_prior_3m", Kind.NUMBER, "mean of mda over the three months before this one", "no such months"),
    Column("mda_peak_12m", Kind.NUMBER, "highest mda of twelve months", _NO_BALANCES),
    Column("mda_spread_3m", Kind.NUMBER, "farthest of three months' mda from their mean, ÷ it", "no AUM or balances"),
    Column("aum_end", Kind.NUMBER, "AUM at the month's end", _NO_BALANCES),
    Column("aum_end_before", Kind.NUMBER, "AUM at the end of the month before", "no such month"),
    Column(
        "invest_end", Kind.NUMBER, "wealth products, funds, insurance and the like at the month's end", _NO_BALANCES
    ),
    Column("is_hot_money", Kind.FLAG, "money came before an assessment and left after it (热钱)", "no such months"),
    Column("n_asset_classes", Kind.INTEGER, "asset classes with money in them at the month's end", _NO_BALANCES),
    Column("n_holdings", Kind.INTEGER, "products held at the month's end", _NO_HOLDINGS),
    Column("has_deposit", Kind.FLAG, "deposit customer (存款)", _NO_BALANCES),
    Column("has_wealth", Kind.FLAG, "wealth customer (理财)", _NO_BALANCES),
    Column("has_loan", Kind.FLAG, "loan customer (贷款)", "the bank has no loans"),
    Column("has_card", Kind.FLAG, "credit-card customer (信用卡)", "the bank has no loans"),
)
uses: tuple[str, ...] = ()
carries: tuple[str, ...] = ()
needs: tuple[str, ...] = ("mda",)
inputs = {  # bank table -> the columns that it makes known
    "balance": tuple(c.name for c in COLUMNS if c.name not in ("n_holdings", "has_loan", "has_card")),
    "holding": ("n_holdings",),
    "loan": ("has_loan", "has_card"),
}
_BALANCE_ZEROS = (
    "aum_day_minor", "mda", "rated_mda", "net_mda", "mda_mean_3m", "mda_mean_6m", "mda_peak_12m", "aum_end",
    "invest_end", "n_asset_classes",
)  # fmt: skip


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Wealth of every customer at the month's end."""
    people = month.people.mutate(**_contracts(month))
    fill: dict[str, object] = {}
    if "balance" in month.has:
        people = people.mutate(**{f"mda_{k}": _mda(people, k) for k in range(WINDOW_MONTHS)})
        people = people.mutate(**_balances(people), **_measured(people, policy))
        people = people.mutate(is_hot_money=_hot_money(people, policy))
        fill.update(dict.fromkeys(_BALANCE_ZEROS, 0), has_deposit=False, has_wealth=False)
    return declared(people, COLUMNS, fill)


def _balances(people: ir.Table) -> dict[str, Any]:
    p = people
    months = [p[f"mda_{k}"] for k in range(WINDOW_MONTHS)]

    def mean(n: int, back: int = 0) -> Any:
        """Mean over the months that lie in history; a month without a balance counts as 0."""
        known = ibis.least(p.history_months - back, n)
        return ibis.ifelse(has_tiles & (known > 0), _sum(months[back : back + n]) / known, None)

    has_tiles = ibis.coalesce(*[p[slot] for slot in slots("has_tile")]).notnull()
    there = [p[slot] for slot in slots("has_tile", range(_SPREAD_MONTHS))]
    recent = [ibis.ifelse(there[k].notnull(), months[k], None) for k in range(_SPREAD_MONTHS)]
    counted = _sum([is_there.fill_null(0) for is_there in there])
    centre = _sum(months[:_SPREAD_MONTHS]) / counted.nullif(0)
    return {
        "aum_day_minor": ibis.greatest(p.aum_day_minor_0, 0),
        "mda": months[0],
        "mda_mean_3m": mean(3),
        "mda_mean_6m": mean(6),
        "mda_prior_3m": mean(3, back=1),
        "mda_peak_12m": ibis.greatest(*months),
        "mda_spread_3m": _farthest(recent, centre) / centre.nullif(0),
        "aum_end": p.aum_end_minor_0 / 100,
        "aum_end_before": p.aum_end_minor_1 / 100,
        "invest_end": p.invest_end_minor_0 / 100,
        "n_asset_classes": bit_count(p.asset_mask_0.fill_null(0)),
        "has_deposit": p.deposit_end_minor_0 > 0,
        "has_wealth": p.invest_end_minor_0 > 0,
    }


def _measured(people: ir.Table, policy: SegmentsPolicy) -> dict[str, Any]:
    """The daily averages that a tier is measured by."""
    p, months = people, range(policy.tiers.basis_months)
    days, unit = basis_days(p, policy), scale(policy)
    rated = net = ibis.greatest(_sum([p[slot].fill_null(0) for slot in slots("aum_day_minor", months)]), 0)
    if policy.tiers.is_weighted:  # a month closed before there were weights has none in its tile
        rated = _sum([ibis.coalesce(p[f"rated_day_{k}"], p[f"aum_day_minor_{k}"] * 100, 0) for k in months])
        rated = ibis.greatest(rated, 0)
    measured = {"rated_mda": rated / (unit * days), "net_mda": net / (100 * days)}
    if not policy.tiers.merges_families:
        return measured
    family = ibis.coalesce(ibis.literal("f ") + p.family_id, ibis.literal("c ") + p.customer_id)
    together = rated.sum().over(ibis.window(group_by=family)).cast("int64")
    return measured | {"rated_mda": together / (unit * days), "family_mda": (together - rated) / (unit * days)}


def basis_days(people: ir.Table, policy: SegmentsPolicy) -> Any:
    """Days of the months of history that the daily average over the tier's basis goes over."""
    months = range(policy.tiers.basis_months)
    return _sum([ibis.ifelse(people.history_months > k, people[f"days_{k}"], 0) for k in months])


def scale(policy: SegmentsPolicy) -> int:
    """What makes the rated balance of a day a whole number: minor units, and hundredths of them under weights."""
    return 10_000 if policy.tiers.is_weighted else 100


def _hot_money(people: ir.Table, policy: SegmentsPolicy) -> Any:
    p, hot = people, policy.tiers.hot_money
    if hot is None:
        return ibis.null("boolean")
    assessed = p.aum_end_before.fill_null(0)
    amount = ibis.least(assessed - p.mda_2, assessed - p.aum_end.fill_null(0))
    is_hot = (amount >= hot.amount) & (amount >= hot.share * assessed)
    if policy.tiers.assessment_months:
        before = (p.as_of.month() + 10) % 12 + 1
        is_hot = is_hot & before.isin(policy.tiers.assessment_months)
    return ibis.ifelse(p.history_months > 2, is_hot, None)


def _farthest(months: list[Any], centre: Any) -> Any:
    """How far the farthest of the known months lies from their mean."""
    return ibis.greatest(ibis.greatest(*months) - centre, centre - ibis.least(*months))


def _mda(people: ir.Table, back: int) -> Any:
    """Daily average in currency of the month `back` months ago, at least 0 (R09: calendar days); 0 without balances."""
    return ibis.greatest(people[f"aum_day_minor_{back}"].fill_null(0), 0) / (100 * people[f"days_{back}"])


def _sum(values: list[Any]) -> Any:
    return sum(values[1:], start=values[0])


def _contracts(month: Month) -> dict[str, Any]:
    p = month.people
    products = p.held_products
    answer = {"n_holdings": products.length() - products.replace("|", "").length() - 1}
    if "loan" in month.has:
        answer["has_loan"] = p.next_loan_end_on.notnull() | p.overdue_from_on.notnull()
        answer["has_card"] = p.card_opened_on.notnull()
    return answer
