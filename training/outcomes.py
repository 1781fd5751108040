"""What counts as converted and as churned, and which rows may be learnt from at all.

Labels are Ibis expressions over the bank tables *as known at the horizon* (`Bank.known_by(horizon)`). Every contact and
every profile stays in the answer: a row that must not be learnt from carries the rule that excludes it, so that a model
can state how many rows each rule took away.

    NO_OFFER     a contact without an offer, or with one that the catalogue of its day does not hold
    NOT_RANKED   an information: a contact only, never a row
    NOT_SALES    the bank did not mean to sell
    FAILED       failed or blocked
    DEGRADED     the decision behind it was made without a part that it counts on, or by the fallback
    DRY_RUN      asked for and never meant to be shown
    REPLAYED     decided again from what was stored
    HOLDOUT      a member of the global holdout, reached in spite of it
    IMMATURE     the window is still open at the horizon
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from features.bank.tables import TABLES
from features.vocabulary import Column, DecisionMark, Outcome, Purpose, Stage
from training.encoding import offer_features

Tables = Mapping[str, ir.Table]

GLOBAL = "GLOBAL"  # experiments of the yearly holdout begin with it: GLOBAL-2025
HOLDOUT, TREAT = "HOLDOUT", "TREAT"
_CHANCE = (0.001, 0.999)  # an arm rarer than that is an accident, and one row of it would outweigh a thousand
# where a customer's taking of a product is booked: table -> column of the product, column of the day
_TAKINGS = {
    "holding": ("product_id", "opened_on"),
    "loan": ("product_id", "opened_on"),
    "service_activation": ("service_id", "activated_on"),
}
_OFFER_COLUMNS = tuple(c for c in TABLES["offer"].columns if c.name not in ("from_on", "is_ranked", "known_at"))
OFFER_FEATURES: tuple[Column, ...] = (*offer_features(_OFFER_COLUMNS), TABLES["contact"].column("channel"))
_OFFER_NAMES = {flat.name: stored.name for flat, stored in zip(OFFER_FEATURES, _OFFER_COLUMNS, strict=False)}
_OFFER_NAMES["channel"] = "channel"
LEAST_KEPT = 100.0  # reporting currency
ARM_FEATURES = tuple(column for column in OFFER_FEATURES if column.name != "channel")  # the untold have none
_GONE = (Stage.PROSPECT, Stage.DORMANT, Stage.LOST)


def response_labels(tables: Tables, horizon: datetime) -> ir.Table:
    """Who converted: one row a contact.

    Columns: contact_id, customer_id, business_on, sent_at, closes_at (sent_at + outcome_days × 24 hours), propensity,
    OFFER_FEATURES, is_converted, excluded (the rule that forbids the row, null for a row to learn from).

    A contact is converted by an answer `converted` that cites it, from sent_at to closes_at; or by its offer's product
    being taken on one of the outcome_days days from the contact's business day on, and not known to the bank before
    the contact. Where the offer needs a view, nothing before opened_at counts. A product taken once is credited once,
    to the last contact before it, so that summed p is an expected number of conversions. The closing day itself is
    left out, so that a label of a closed window does not change when the horizon moves.
    """
    windows = _windows(tables, horizon)
    proofs = [_cited(tables, windows)] if "response" in tables else []
    takings = _takings(tables)
    if takings is not None:
        proofs.append(_credited(takings, windows))
    labelled = windows.select(
        "contact_id", "customer_id", "business_on", "sent_at", "closes_at", "propensity", "excluded",
        **{name: windows[column] for name, column in _OFFER_NAMES.items()},
    )  # fmt: skip
    if not proofs:
        return labelled.mutate(is_converted=ibis.literal(False))
    proven = (proofs[0] if len(proofs) == 1 else ibis.union(*proofs)).distinct().mutate(_is_proven=True)
    joined = labelled.left_join(proven, "contact_id")
    return joined.select(*labelled.columns, is_converted=joined._is_proven.fill_null(False))


def arm_labels(tables: Tables, horizon: datetime) -> ir.Table | None:
    """Who took the offer under test, contacted or not: one row a customer and experiment, holdouts left out.

    Columns: experiment_id, customer_id, business_on, sent_at (when chance assigned the arm), closes_at, arm,
    propensity (of that arm), is_treated, ARM_FEATURES, is_converted, excluded. Every assigned customer counts in his
    arm (intention to treat); a conversion is the product taken, or an answer `converted` for that offer, within
    outcome_days of the assignment. Excluded: NO_OFFER (a test of price or service, or an offer that the catalogue of
    its day does not hold), NOT_RANKED, NOT_SALES (a service action: of no category), NOT_RANDOM (an arm that was
    certain), IMMATURE. None where the bank has no assignments.
    """
    if not {"assignment", "offer"} <= set(tables):
        return None
    arms = tables["assignment"].filter(lambda t: ~t.experiment_id.startswith(GLOBAL) & (t.arm != HOLDOUT))
    arms = arms.select("experiment_id", "customer_id", "arm", "offer_id", "propensity", "assigned_at", "business_on")
    arms = _in_force(arms, tables["offer"], key=["experiment_id", "customer_id"])
    arms = arms.mutate(closes_at=arms.assigned_at + (arms.outcome_days * 24).as_interval("h"))
    proofs = _arm_proofs(tables, arms)
    proven = (ibis.union(*proofs) if len(proofs) > 1 else proofs[0]).distinct().mutate(_is_proven=True)
    joined = arms.left_join(proven, ["experiment_id", "customer_id"])
    excluded = ibis.cases(
        (joined.is_ranked.isnull(), "NO_OFFER"),
        (~joined.is_ranked, "NOT_RANKED"),
        (joined.category.isnull(), "NOT_SALES"),
        (~joined.propensity.between(*_CHANCE), "NOT_RANDOM"),
        (joined.closes_at > ibis.literal(horizon), "IMMATURE"),
        else_=ibis.null("string"),
    )
    return joined.select(
        "experiment_id", "customer_id", "business_on", "closes_at", "arm", "propensity", sent_at=joined.assigned_at,
        is_treated=joined.arm == TREAT, is_converted=joined._is_proven.fill_null(False), excluded=excluded,
        **{column.name: joined[_OFFER_NAMES[column.name]] for column in ARM_FEATURES},
    )  # fmt: skip


def shelf(tables: Tables, on: date) -> ir.Table:
    """The ranked offers that the catalogue holds on a day, as ARM_FEATURES, in order of their id."""
    held = tables["offer"].filter(lambda t: t.from_on <= ibis.literal(on))
    newest = ibis.row_number().over(ibis.window(group_by="offer_id", order_by=held.from_on.desc()))
    kept = held.mutate(_place=newest).filter(lambda t: (t._place == 0) & t.is_ranked)
    named = {column.name: kept[_OFFER_NAMES[column.name]] for column in ARM_FEATURES}
    return kept.select(**named).order_by("offer_id")


def arm_outcomes(tables: Tables, horizon: datetime) -> ir.Table | None:
    """The arms of each category added up: one row a category and arm, from `arm_labels`.

    Columns: category, arm (TREAT or CONTROL), n, n_effective, conversion_share; every customer is weighted by 1 ÷ the
    propensity of his arm. None where the bank has no assignments.
    """
    labels = arm_labels(tables, horizon)
    if labels is None:
        return None
    kept = labels.filter(labels.excluded.isnull())
    rows = kept.select("arm", category=kept.offer_category, weight=1 / kept.propensity, hit=kept.is_converted)
    return rows.group_by("category", "arm").aggregate(
        n=rows.count(),
        n_effective=rows.weight.sum() * rows.weight.sum() / (rows.weight * rows.weight).sum(),
        conversion_share=(rows.weight * rows.hit.cast("float64")).sum() / rows.weight.sum(),
    )


@dataclass(frozen=True, slots=True)
class ChurnFigures:
    """The policy figures of the churn label, with where they come from.

    `balance_tiers` are judged by their money, every other tier by its activity.
    """

    balance_tiers: tuple[str, ...]
    months_ahead: int = 3
    kept_share: float = 0.5
    drop_amount: float = 10_000

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def churn_labels(now: ir.Table, later: ir.Table, figures: ChurnFigures) -> ir.Table:
    """Who leaves: one row a customer of the profile `now` (month t), judged by `later` (month t + months_ahead).

    Columns: customer_id, outcome, excluded. In a balance tier: mda of the later month is at most kept_share of the
    mean of t−2 … t, and the drop at least drop_amount. In the other tiers: no day with customer-made activity in the
    months between. Excluded: AWAY (prospect, dormant or lost at t: gone already, or never there); UNSEEN (judged by
    activity, and none was ever seen: while the bank's history is short, a long dormant customer has no stage that says
    so); UNKNOWN (a figure that the rule needs is missing).
    """
    after = later.select("customer_id", mda_later=later.mda, active_later=later.active_days_3m)
    both = now.select("customer_id", "tier", "stage", "mda_mean_3m", "last_active_on").left_join(after, "customer_id")
    by_money = both.tier.isin(figures.balance_tiers)
    drop = both.mda_mean_3m - both.mda_later
    left_with_money = (both.mda_later <= figures.kept_share * both.mda_mean_3m) & (drop >= figures.drop_amount)
    churned = ibis.ifelse(by_money, left_with_money, both.active_later == 0)
    away = both.stage.isin([str(stage) for stage in _GONE])
    unseen = ~by_money & both.last_active_on.isnull()
    excluded = ibis.cases((away, "AWAY"), (unseen, "UNSEEN"), (churned.isnull(), "UNKNOWN"), else_=ibis.null("string"))
    return both.select("customer_id", outcome=churned, excluded=excluded)


def step_labels(now: ir.Table, later: ir.Table) -> ir.Table:
    """Who comes to look at a product: one row a customer of the profile `now`, judged by `later`, a month on.

    Columns: customer_id, outcome, excluded: AWAY and UNSEEN as for churn; UNKNOWN without channel events.
    """
    after = later.select("customer_id", viewed_on=later.last_product_view_on, told=later.drop_off_days_3m)
    both = now.select("customer_id", "stage", "last_active_on", "as_of").left_join(after, "customer_id")
    away = both.stage.isin([str(stage) for stage in _GONE])
    unseen = both.last_active_on.isnull()
    excluded = ibis.cases(
        (away, "AWAY"), (both.told.isnull(), "UNKNOWN"), (unseen, "UNSEEN"), else_=ibis.null("string")
    )
    comes = (both.viewed_on > both.as_of).fill_null(False)
    return both.select("customer_id", outcome=comes, excluded=excluded)


def kept_labels(now: ir.Table, later: ir.Table) -> ir.Table:
    """What stays: the share of a customer's mda that he still has in the month `later`, 0..1; more counts as 1.

    Columns: customer_id, outcome, excluded: AWAY and UNSEEN as for churn; NO_MONEY: mda below LEAST_KEPT, a share
    of which would be noise; UNKNOWN where a balance is missing.
    """
    after = later.select("customer_id", mda_later=later.mda)
    both = now.select("customer_id", "stage", "last_active_on", "mda").left_join(after, "customer_id")
    away = both.stage.isin([str(stage) for stage in _GONE])
    excluded = ibis.cases(
        (away, "AWAY"), (both.mda.isnull() | both.mda_later.isnull(), "UNKNOWN"), (both.mda < LEAST_KEPT, "NO_MONEY"),
        (both.last_active_on.isnull(), "UNSEEN"),
        else_=ibis.null("string"),
    )  # fmt: skip
    share = ibis.greatest(ibis.least(both.mda_later / both.mda.nullif(0), 1.0), 0.0)
    return both.select("customer_id", outcome=share, excluded=excluded)


def _windows(tables: Tables, horizon: datetime) -> ir.Table:
    """Contacts with their offer as it stood that day, their window, and the rule that excludes them."""
    contacts = tables["contact"].drop("known_at")
    rows = _in_force(contacts, tables["offer"], key=["contact_id"])
    rows = rows.mutate(
        closes_at=rows.sent_at + (rows.outcome_days * 24).as_interval("h"),
        counts_from_at=ibis.ifelse(rows.needs_view, rows.opened_at, rows.sent_at),
    )
    rows = _with_holdout(rows, tables)
    excluded = ibis.cases(
        (rows.is_ranked.isnull(), "NO_OFFER"),
        (~rows.is_ranked, "NOT_RANKED"),
        (rows.purpose != str(Purpose.SALES), "NOT_SALES"),
        (rows.failed_at.notnull(), "FAILED"),
        (rows.decision_mark.notnull(), rows.decision_mark),
        (rows.is_held_out, HOLDOUT),
        (rows.closes_at > ibis.literal(horizon), "IMMATURE"),
        else_=ibis.null("string"),
    )
    return rows.mutate(excluded=excluded)


def _in_force(rows: ir.Table, offers: ir.Table, *, key: list[str]) -> ir.Table:
    """`rows` with the columns of their offer as the catalogue had it on their business day; null without one."""
    held = offers.drop("known_at")
    joined = rows.left_join(held, [rows.offer_id == held.offer_id, held.from_on <= rows.business_on])
    joined = joined.drop("offer_id_right")
    newest = ibis.row_number().over(ibis.window(group_by=key, order_by=joined.from_on.desc(nulls_first=False)))
    return joined.mutate(_place=newest).filter(lambda t: t._place == 0).drop("_place", "from_on")


def _with_holdout(rows: ir.Table, tables: Tables) -> ir.Table:
    """`rows` with is_held_out: what the customer's last global assignment before the contact says."""
    if "assignment" not in tables:
        return rows.mutate(is_held_out=ibis.literal(False))
    drawn = tables["assignment"].filter(lambda t: t.experiment_id.startswith(GLOBAL))
    drawn = drawn.select("customer_id", "arm", "assigned_at")
    joined = rows.select("contact_id", "customer_id", "sent_at").inner_join(
        drawn, [rows.customer_id == drawn.customer_id, drawn.assigned_at <= rows.sent_at]
    )
    last = ibis.row_number().over(ibis.window(group_by="contact_id", order_by=joined.assigned_at.desc()))
    held = joined.mutate(_place=last).filter(lambda t: (t._place == 0) & (t.arm == HOLDOUT))
    return rows.mutate(is_held_out=rows.contact_id.isin(held.contact_id))


def _candidates(windows: ir.Table) -> ir.Table:
    """Windows that may hold a conversion: rows to learn from, now or when they have closed, and what a degraded
    decision brought about, which is not credited to the contact before it."""
    return windows.filter(windows.excluded.isnull() | windows.excluded.isin(["IMMATURE", str(DecisionMark.DEGRADED)]))


def _cited(tables: Tables, windows: ir.Table) -> ir.Table:
    """Contacts that an answer `converted` cites, by contact or, where it knows none, by placement."""
    said = tables["response"].filter(lambda t: t.outcome == str(Outcome.CONVERTED))
    said = said.select(cited_contact=said.contact_id, cited_placement=said.placement_id, occurred_at=said.occurred_at)
    open_windows = _candidates(windows).select("contact_id", "placement_id", "counts_from_at", "closes_at")
    by_placement = said.filter(said.cited_contact.isnull() & said.cited_placement.notnull())
    hits = [
        open_windows.inner_join(said, open_windows.contact_id == said.cited_contact),
        open_windows.inner_join(by_placement, open_windows.placement_id == by_placement.cited_placement),
    ]
    inside = [hit.filter(hit.occurred_at.between(hit.counts_from_at, hit.closes_at)) for hit in hits]
    return ibis.union(*[hit.select("contact_id") for hit in inside])


def _takings(tables: Tables) -> ir.Table | None:
    """Every product taken: customer_id, product_id, taken_on, learnt_at; None where the bank books none."""
    parts = [
        tables[name].select("customer_id", product_id=product, taken_on=day, learnt_at="known_at")
        for name, (product, day) in _TAKINGS.items()
        if name in tables
    ]
    if not parts:
        return None
    taken = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return taken.filter(taken.product_id.notnull())


def _credited(takings: ir.Table, windows: ir.Table) -> ir.Table:
    """Contacts whose product was taken in their window, each taking credited to the last such contact."""
    sold = _candidates(windows).filter(lambda t: t.product_id.notnull())
    sold = sold.select(
        "contact_id", "customer_id", "product_id", "business_on", "outcome_days", "sent_at", "counts_from_at"
    )
    joined = sold.inner_join(takings, ["customer_id", "product_id"])
    joined = joined.filter(
        (joined.taken_on >= joined.business_on)
        & (joined.taken_on < joined.business_on + joined.outcome_days.as_interval("D"))
        & (joined.learnt_at >= joined.counts_from_at)
    )
    last = ibis.window(
        group_by=["customer_id", "product_id", "taken_on", "learnt_at"],
        order_by=[joined.sent_at.desc(), joined.contact_id],
    )
    return joined.mutate(_place=ibis.row_number().over(last)).filter(lambda t: t._place == 0).select("contact_id")


def _arm_proofs(tables: Tables, arms: ir.Table) -> list[ir.Table]:
    """Assignments followed by a conversion inside their window, by each kind of evidence the bank has."""
    proofs = [arms.filter(False).select("experiment_id", "customer_id")]
    takings = _takings(tables)
    if takings is not None:
        met = arms.inner_join(takings, ["customer_id", "product_id"])
        met = met.filter(
            (met.taken_on >= met.business_on)
            & (met.taken_on < met.business_on + met.outcome_days.as_interval("D"))
            & (met.learnt_at >= met.assigned_at)
        )
        proofs.append(met.select("experiment_id", "customer_id"))
    if "response" in tables:
        said = tables["response"].filter(lambda t: t.outcome == str(Outcome.CONVERTED))
        heard = arms.inner_join(said.select("customer_id", "offer_id", "occurred_at"), ["customer_id", "offer_id"])
        heard = heard.filter(heard.occurred_at.between(heard.assigned_at, heard.closes_at))
        proofs.append(heard.select("experiment_id", "customer_id"))
    return proofs
