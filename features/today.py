"""The day view: what is known of a customer at the start of a day (`standing.py`: what follows from it on that day).

Grain: a customer, a day. It holds the open month to date and the present standing: sums and counts of days already
closed, and dates instead of flags, so that a row stays true until the next one. Nothing of the day itself is in it.
The same expression serves training (the days on which customers were spoken to) and publishing (one day, everybody).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from features.bank.tables import AUM_CLASSES
from features.consents import allowed
from features.month import first_day, ibis_type, select
from features.policy import SegmentsPolicy, Tiers
from features.vocabulary import Column, Kind

_NONE_YET = "none so far"
_NO_BALANCES, _NO_TXN = "the bank has no balances", "the bank has no transactions"
TODAY = (
    Column("registered_on", Kind.DATE, "registered as a user"),
    Column("first_product_on", Kind.DATE, "first funded account or product, told or seen (B06)", "a user only"),
    Column("mtd_days", Kind.INTEGER, "closed days of the open month"),
    Column("mtd_mda", Kind.NUMBER, "daily average of AUM over those days", f"{_NO_BALANCES}, or first of the month"),
    Column("aum_now", Kind.NUMBER, "AUM at the end of the day before", _NO_BALANCES),
    Column("basis_days", Kind.INTEGER, "closed days of those that this month's end will count for the tier"),
    Column("rated_to_date", Kind.NUMBER, "weighted daily average over those days", f"{_NO_BALANCES}, or no such day"),
    Column("net_to_date", Kind.NUMBER, "unweighted daily average over those days", f"{_NO_BALANCES}, or no such day"),
    Column("rated_now", Kind.NUMBER, "weighted AUM at the end of the day before", _NO_BALANCES),
    Column("newcomer_tier", Kind.CODE, "tier by the days since he came (R10)", "not new, too few days, or no balances"),
    Column("n_txn_mtd", Kind.INTEGER, "own transactions in the open month", _NO_TXN),
    Column("txn_amount_mtd", Kind.NUMBER, "amount of own transactions in the open month", _NO_TXN),
    Column("spend_amount_mtd", Kind.NUMBER, "amount spent or paid in bills in the open month", _NO_TXN),
    Column("largest_spend_mtd", Kind.NUMBER, "largest single amount spent in the open month", f"none, or {_NO_TXN}"),
    Column("app_days_mtd", Kind.INTEGER, "days with an app login in the open month", "the bank has no channel events"),
    Column("last_txn_on", Kind.DATE, "last own transaction", _NONE_YET),
    Column("last_login_on", Kind.DATE, "last login", _NONE_YET),
    Column("last_salary_on", Kind.DATE, "last salary credit", _NONE_YET),
    Column("next_maturity_on", Kind.DATE, "next holding that matures", "none"),
    Column("next_maturity_amount", Kind.NUMBER, "amount that matures then", "none"),
    Column("next_loan_end_on", Kind.DATE, "next loan that ends", "none"),
    Column("loan_amount", Kind.NUMBER, "running loans at opening, card lines aside", "none"),
    Column("overdue_from_on", Kind.DATE, "overdue since", "not overdue"),
    Column("card_opened_on", Kind.DATE, "first running credit card opened", "no card"),
    Column("held_products", Kind.SET, "products held", "the bank has no holdings"),
    Column("active_services", Kind.SET, "services switched on", "the bank has no services"),
    Column("risk_level", Kind.INTEGER, "risk tolerance of the last assessment, C1 to C5", "never assessed"),
    Column("risk_expires_on", Kind.DATE, "that assessment is valid until, not included", "never assessed"),
    Column("investor_type", Kind.CODE, "investor type of that assessment", "never assessed"),
    Column("preapproved", Kind.SET, "products with a valid pre-approval", "the bank has no pre-approvals"),
    Column("customer_facts", Kind.SET, "facts that gates ask for", "the bank keeps no such facts"),
    Column("consented_channels", Kind.SET, "channels with marketing consent, ALL for every", "no consent table"),
    Column(
        "withheld_categories", Kind.SET, "product categories that may not be spoken of, K or K/SMS", "no consent table"
    ),
    Column("has_profiling_optout", Kind.FLAG, "withdrew consent to profiling (R34)", "no consent table"),
    Column("do_not_call", Kind.SET, "channels that the customer closed", "the bank has no such list"),
    Column(
        "consent_said_on", Kind.DATE, "last word on consent, or channel closed, that the bank's tables tell", "none"
    ),
)
CONTRACTS = (
    "held_products", "next_loan_end_on", "loan_amount", "overdue_from_on", "card_opened_on", "active_services",
    "preapproved", "customer_facts",
)  # fmt: skip


def day_view(tables: Mapping[str, ir.Table], pairs: ir.Table, policy: SegmentsPolicy | None = None) -> ir.Table:
    """The day view of each (customer_id, on, known_until) of `pairs`, as customer_id, on and the TODAY columns.

    Facts count if they lie before `on` and were known at `known_until`. Pairs must be distinct. `policy` says what the
    tier is measured by and what a funded account is; without it that is every balance once, over the month, and no
    account makes a customer.
    """
    pairs = _dated(pairs, policy.tiers if policy else None)
    view = _person(tables, pairs)
    parts = [(name, part(tables[name], pairs)) for name, part in _PARTS if name in tables]
    if "balance" in tables:
        parts.append(("balance", _balances(tables["balance"], pairs, policy)))
    parts += [(name, _first_contract(tables[name], pairs, name)) for name in _FIRSTS if name in tables]
    for _, part in parts:
        view = view.left_join(part, ["customer_id", "on"]).drop("customer_id_right", "on_right")
    if "holding" in tables:
        amounts = _maturing(tables["holding"], pairs, view)
        view = view.left_join(amounts, ["customer_id", "on"]).drop("customer_id_right", "on_right")
    nothing = {name: empty for table, fills in _NOTHING.items() if table in tables for name, empty in fills.items()}
    view = view.mutate(**{name: view[name].fill_null(empty) for name, empty in nothing.items()})
    if "balance" in tables:
        view = view.mutate(**_measured(view))
    firsts = [view[column] for column in ("funded_on", *_FIRSTS.values()) if column in view.columns]
    view = view.mutate(first_product_on=first_day(view.first_product_on, *firsts)) if firsts else view
    if words := [view[name] for name in ("word_on", "closed_on") if name in view.columns]:
        view = view.mutate(consent_said_on=ibis.greatest(*words) if len(words) > 1 else words[0])
    if "new_net_days" in view.columns and policy:
        view = view.mutate(newcomer_tier=_newcomer_tier(view, policy.tiers))
    return select(view, TODAY, keys=("customer_id", "on"))


def _dated(pairs: ir.Table, tiers: Tiers | None) -> ir.Table:
    """The pairs with the first day of their month, and of what this month's end will count for the tier."""
    pairs = pairs.mutate(first_on=pairs.on.truncate("M").cast("date"))
    back = tiers.basis_months - 1 if tiers else 0
    return pairs.mutate(basis_on=(pairs.first_on - ibis.interval(months=back)).cast("date") if back else pairs.first_on)


def _measured(view: ir.Table) -> dict[str, Any]:
    """What there is now, and the averages to date."""
    return {
        "aum_now": view.aum_now.fill_null(0),
        "rated_now": view.rated_now.fill_null(0),
        "mtd_mda": _daily(view.aum_days, view.mtd_days),
        "rated_to_date": _daily(view.rated_days, view.basis_days),
        "net_to_date": _daily(view.net_days, view.basis_days),
    }


def contracts(tables: Mapping[str, ir.Table], morning: ir.Table) -> Iterator[ir.Table]:
    """By customer, what the day view tells of a closed month, the CONTRACTS: no event is read for them.

    `morning` is one row (on, known_until), the same for everybody; a customer of whom nothing is known has no row.
    """
    for name, part in _PARTS:
        if name in tables and name in _OF_CONTRACTS:
            answer = part(tables[name], morning)
            yield answer.select("customer_id", *[column for column in answer.columns if column in CONTRACTS])


def with_contracts(tables: Mapping[str, ir.Table], people: ir.Table) -> dict[str, Any]:
    """The CONTRACTS of `people`, beside whom the answers stand: empty sets where there is a table, else null."""
    types = {column.name: ibis_type(column) for column in TODAY if column.name in CONTRACTS}
    absent = {name: ibis.null(dtype) for name, dtype in types.items() if name not in people.columns}
    sets = [name for table, fills in _NOTHING.items() for name in fills if name in CONTRACTS and table in tables]
    return absent | {name: people[name].fill_null("|") for name in sets}


def _person(tables: Mapping[str, ir.Table], pairs: ir.Table) -> ir.Table:
    people = tables["customer"].select("customer_id", "registered_on", "first_product_on")
    view = pairs.join(people, "customer_id")
    first = ibis.ifelse(view.first_product_on < view.on, view.first_product_on, None)
    return view.mutate(
        mtd_days=view.on.delta(view.first_on, unit="day"),
        basis_days=view.on.delta(view.basis_on, unit="day"),
        first_product_on=first,
    )


def _facts(table: ir.Table, pairs: ir.Table, happened: str) -> ir.Table:
    """Rows of `table` beside each pair that may see them; pairs that name no customer are everybody's."""
    rows = table.rename({"_happened": happened})
    joined = pairs.join(rows, "customer_id") if "customer_id" in pairs.columns else rows.cross_join(pairs)
    return joined.filter(joined._happened < joined.on, joined.known_at <= joined.known_until)


def _txns(table: ir.Table, pairs: ir.Table) -> ir.Table:
    t = _facts(table, pairs, "business_on")
    mtd = t.by_customer & (t._happened >= t.first_on)
    amount = t.amount.cast("float64")
    spent = mtd & t.txn_type.isin(["CONSUME", "BILL"])
    return t.group_by("customer_id", "on").agg(
        n_txn_mtd=mtd.sum(),
        txn_amount_mtd=amount.sum(where=mtd).fill_null(0),
        spend_amount_mtd=amount.sum(where=spent).fill_null(0),
        largest_spend_mtd=amount.max(where=spent),
        last_txn_on=t._happened.max(where=t.by_customer),
        last_salary_on=t._happened.max(where=t.txn_type == "SALARY"),
    )


def _events(table: ir.Table, pairs: ir.Table) -> ir.Table:
    t = _facts(table.filter(table.event == "LOGIN"), pairs, "business_on")
    return t.group_by("customer_id", "on").agg(
        app_days_mtd=t._happened.nunique(where=(t.channel == "APP") & (t._happened >= t.first_on)),
        last_login_on=t._happened.max(),
    )


def _balances(table: ir.Table, pairs: ir.Table, policy: SegmentsPolicy | None) -> ir.Table:
    t = _facts(table.filter(table.asset_class.isin(AUM_CLASSES)), pairs, "from_on")
    weights = policy.tiers.asset_weights if policy else {}
    stop = ibis.least(t.to_on.fill_null(t.on), t.on)
    days = ibis.greatest(stop.delta(ibis.greatest(t._happened, t.first_on), unit="day"), 0)
    basis_days = ibis.greatest(stop.delta(ibis.greatest(t._happened, t.basis_on), unit="day"), 0)
    own = (t.amount - t.in_transit_amount - t.loan_proceeds_amount).cast("float64")
    named = [(t.asset_class == name, weight) for name, weight in weights.items()]
    rated = own * ibis.cases(*named, else_=1.0) if named else own
    holds = t.to_on.isnull() | (t.to_on >= t.on)
    return t.group_by("customer_id", "on").agg(
        **(_since_he_came(t, stop, named, policy) if policy else {}),
        aum_days=(own * days).sum(),
        net_days=(own * basis_days).sum(),
        rated_days=(rated * basis_days).sum(),
        aum_now=own.sum(where=holds).fill_null(0),
        rated_now=rated.sum(where=holds).fill_null(0),
    )


def _since_he_came(t: ir.Table, stop: Any, named: list[tuple[Any, float]], policy: SegmentsPolicy) -> dict[str, Any]:
    """When an account was first funded, and Σ daily balance of who may still be new, in whole numbers (minor units)."""
    minor = ((t.amount - t.in_transit_amount - t.loan_proceeds_amount) * 100).cast("int64")
    funded = t._happened.min(where=minor >= round(100 * policy.lifecycle.funded_amount))
    if not policy.tiers.newcomer_days:
        return {"funded_on": funded}
    days = ibis.greatest(stop.delta(ibis.greatest(t._happened, _newest_on(t, policy.tiers)), unit="day"), 0)
    factors = [(is_class, round(100 * weight)) for is_class, weight in named]
    rated = minor * (ibis.cases(*factors, else_=100) if factors else 100)
    return {
        "funded_on": funded,
        "new_net_days": (minor * days).sum().cast("int64"),
        "new_rated_days": (rated * days).sum().cast("int64"),
    }


def _newest_on(view: ir.Table, tiers: Tiers) -> Any:
    """The day from which on whoever came had not been here for the policy's days when the last month ended."""
    return (view.first_on - ibis.interval(days=(tiers.newcomer_days or 1) - 1)).cast("date")


def _newcomer_tier(view: ir.Table, tiers: Tiers) -> Any:
    """The tier of a new customer: Σ daily balance ≥ threshold × days since he came, once these are the policy's."""
    days = view.on.delta(view.first_product_on, unit="day")
    is_new = (view.first_product_on >= _newest_on(view, tiers)) & (days >= tiers.newcomer_days)
    (lowest, _), *between, (highest, top) = tiers.thresholds.items()
    met = [(view.new_net_days >= 100 * top * days, highest)]
    met += [(view.new_rated_days >= 10_000 * floor * days, name) for name, floor in reversed(between)]
    return ibis.ifelse(is_new.fill_null(False), ibis.cases(*met, else_=lowest), None)


def _first_contract(table: ir.Table, pairs: ir.Table, name: str) -> ir.Table:
    """The first day of any contract, whether it still runs or not."""
    t = _facts(table, pairs, "opened_on")
    return t.group_by("customer_id", "on").agg(**{_FIRSTS[name]: t._happened.min()})


def _daily(sums: Any, days: Any) -> Any:
    """Average over closed days, at least 0; null where no day has closed."""
    return ibis.ifelse(days > 0, ibis.greatest(sums.fill_null(0), 0) / days.nullif(0), None)


def _holdings(table: ir.Table, pairs: ir.Table) -> ir.Table:
    t = _held(_facts(table, pairs, "opened_on"))
    return t.group_by("customer_id", "on").agg(
        held_products=_set_of(t.product_id),
        next_maturity_on=t.matures_on.min(where=t.matures_on >= t.on),
    )


def _maturing(table: ir.Table, pairs: ir.Table, view: ir.Table) -> ir.Table:
    """Amount of the holdings that mature on the next maturity of the view."""
    t = _held(_facts(table, pairs, "opened_on"))
    first = view.filter(view.next_maturity_on.notnull()).select("customer_id", "on", matures_on=view.next_maturity_on)
    due = t.join(first, ["customer_id", "on", "matures_on"])
    return due.group_by("customer_id", "on").agg(next_maturity_amount=due.amount.cast("float64").sum())


def _loans(table: ir.Table, pairs: ir.Table) -> ir.Table:
    t = _held(_facts(table, pairs, "opened_on"))
    overdue = (t.overdue_from_on < t.on) & (t.overdue_to_on.isnull() | (t.overdue_to_on >= t.on))
    return t.group_by("customer_id", "on").agg(
        next_loan_end_on=t.ends_on.min(where=t.ends_on >= t.on),
        loan_amount=(t.amount * 100).cast("int64").sum(where=t.ends_on >= t.on) / 100,
        overdue_from_on=t.overdue_from_on.min(where=overdue),
        card_opened_on=t._happened.min(where=t.ends_on.isnull()),
    )


def _services(table: ir.Table, pairs: ir.Table) -> ir.Table:
    t = _held(_facts(table, pairs, "activated_on"))
    return t.group_by("customer_id", "on").agg(active_services=_set_of(t.service_id))


def _risk(table: ir.Table, pairs: ir.Table) -> ir.Table:
    t = _facts(table, pairs, "assessed_on")
    return t.group_by("customer_id", "on").agg(
        risk_level=t.risk_level.argmax(t._happened),
        risk_expires_on=t.expires_on.argmax(t._happened),
        investor_type=t.investor_type.argmax(t._happened),
    )


def _preapprovals(table: ir.Table, pairs: ir.Table) -> ir.Table:
    t = _facts(table, pairs, "from_on")
    t = t.filter(t.expires_on > t.on)
    return t.group_by("customer_id", "on").agg(preapproved=_set_of(t.product_id))


def _customer_facts(table: ir.Table, pairs: ir.Table) -> ir.Table:
    t = _valid(_facts(table, pairs, "from_on"))
    return t.group_by("customer_id", "on").agg(customer_facts=_set_of(t.fact))


def _consents(table: ir.Table, pairs: ir.Table) -> ir.Table:
    return allowed(_facts(table, pairs, "business_on"))


def _closed_channels(table: ir.Table, pairs: ir.Table) -> ir.Table:
    t = _valid(_facts(table, pairs, "from_on"))
    return t.group_by("customer_id", "on").agg(do_not_call=_set_of(t.channel), closed_on=t._happened.max())


def _held(t: ir.Table) -> ir.Table:
    return t.filter(t.closed_on.isnull() | (t.closed_on >= t.on))


def _valid(t: ir.Table) -> ir.Table:
    return t.filter(t.to_on.isnull() | (t.to_on > t.on))


def _set_of(codes: Any) -> Any:
    """Distinct codes, sorted and written |A|B|."""
    return ibis.literal("|") + codes.collect(distinct=True).sort().join("|") + ibis.literal("|")


_PARTS: tuple[tuple[str, Any], ...] = (
    ("txn", _txns), ("channel_event", _events), ("holding", _holdings), ("loan", _loans),
    ("service_activation", _services), ("risk_assessment", _risk), ("preapproval", _preapprovals),
    ("customer_fact", _customer_facts), ("consent", _consents), ("do_not_call", _closed_channels),
)  # fmt: skip
_FIRSTS = {"holding": "first_holding_on", "loan": "first_loan_on"}
_OF_CONTRACTS = ("holding", "loan", "service_activation", "preapproval", "customer_fact")
_NOTHING: dict[str, dict[str, Any]] = {  # what a table says of a customer of whom it has no row
    "txn": {"n_txn_mtd": 0, "txn_amount_mtd": 0, "spend_amount_mtd": 0}, "channel_event": {"app_days_mtd": 0},
    "holding": {"held_products": "|"}, "service_activation": {"active_services": "|"},
    "preapproval": {"preapproved": "|"}, "customer_fact": {"customer_facts": "|"},
    "consent": {"consented_channels": "|", "withheld_categories": "|", "has_profiling_optout": False},
    "do_not_call": {"do_not_call": "|"},
}  # fmt: skip
