"""生命周期 Lifecycle: seven stages from first contact to loss, by a state machine with hysteresis and legal moves only.

Grain: a customer, a month. Uses: wealth, activity. Nulls: never the stage; a test whose figures are not known does not
hold. In the first month of history nobody has a past, so the stage is seeded from the facts of that month alone. Who
registered is a user; a customer he becomes once, with the first funded account or product (B06). A dormant *account*
(睡眠账户) is a flag beside the stage, not the stage DORMANT. Tests are tried in the order LOST, DORMANT, DECLINE,
PROSPECT, NEW, MATURE, GROWTH. Rules: R17, R20, R21, B01.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from features.decline import weak_signs
from features.month import Month, declared, first_day
from features.policy import Lifecycle, SegmentsPolicy
from features.vocabulary import Column, Kind, Stage

_NO_ACCOUNTS = "the bank has no accounts, balances or transactions, or less than the rule's days of history"
COLUMNS = (
    Column("is_customer", Kind.FLAG, "has had a funded account or product; a registered user has not"),
    Column("became_customer_on", Kind.DATE, "first funded account or product", "a user only"),
    Column("stage", Kind.CODE, "lifecycle stage", allowed=tuple(Stage)),
    Column("stage_entered_on", Kind.DATE, "month end at which the stage was entered"),
    Column("stage_reason", Kind.CODE, "test that led into the stage, told for as long as it lasts"),
    Column("previous_stage", Kind.CODE, "stage before this one", "no other stage so far", allowed=tuple(Stage)),
    Column("reference_mda", Kind.NUMBER, "mda that a decline is measured against", "not in decline, or no balances"),
    Column("months_steady", Kind.INTEGER, "month ends in a row at which the test of MATURE held"),
    Column("months_growing", Kind.INTEGER, "month ends in a row at which AUM stood far above its half-year mean"),
    Column("months_recovered", Kind.INTEGER, "month ends in a row at which AUM and app days were back"),
    Column("months_lost", Kind.INTEGER, "month ends in a row at which AUM was a remnant of its peak"),
    Column("most_categories", Kind.INTEGER, "most asset classes with money in them at one month's end so far"),
    Column("decline_signs", Kind.SET, "soft signs of decline in this month"),
    Column("fall_floor", Kind.NUMBER, "AUM at or below which money has left at once", "no AUM to lose, or not settled"),
    Column("is_stale", Kind.FLAG, "a prospect silent for long, whom only what he opens himself reaches"),
    Column("won_back_on", Kind.DATE, "month end of the last return from LOST (挽回)", "never lost and won back"),
    Column("is_won_back", Kind.FLAG, "won back within the policy's days"),
    Column("reactivated_on", Kind.DATE, "month end of the last waking from DORMANT (唤醒)", "never slept and woke"),
    Column("is_reactivated", Kind.FLAG, "woken within the policy's days, to be nurtured"),
    Column("has_dormant_account", Kind.FLAG, "an account that nobody moves (睡眠账户)", _NO_ACCOUNTS),
)
uses = ("wealth", "activity")
carries = (
    "stage", "stage_entered_on", "stage_reason", "previous_stage", "reference_mda", "months_steady", "months_growing",
    "months_recovered", "months_lost", "most_categories", "became_customer_on", "won_back_on", "reactivated_on",
)  # fmt: skip
needs: tuple[str, ...] = ()
_STAYS = "stays"  # never told: a stage that lasts keeps the test that led into it
_CAN_FALL = (Stage.NEW.value, Stage.GROWTH.value, Stage.MATURE.value)
inputs = {"account": ("has_dormant_account",), "balance": ("fall_floor",)}


def family(month: Month, before: ir.Table, policy: SegmentsPolicy) -> ir.Table:
    """Stage of every customer after this month's closing, with the counters that the next month needs."""
    figures = policy.lifecycle
    people = month.people.mutate(became_customer_on=_first_day(month.people))
    people = people.mutate(**_ages(people, month))
    people = people.mutate(**_signs(people, figures), **weak_signs(people, figures))
    people = people.mutate(**_counters(people, figures))
    people = people.mutate(**_wanted(people, figures))
    people = people.mutate(stage=_legal(people, figures))
    moved = people.held_stage.isnull() | (people.stage != people.held_stage)
    enters_decline = moved & (people.stage == Stage.DECLINE)
    stays_declining = ~moved & (people.stage == Stage.DECLINE)
    people = people.mutate(
        stage_entered_on=ibis.ifelse(moved, people.as_of, people.held_stage_entered_on),
        stage_reason=ibis.ifelse(moved, _reason(people), people.held_stage_reason),
        previous_stage=ibis.ifelse(moved, people.held_stage, people.held_previous_stage),
        reference_mda=ibis.ifelse(
            enters_decline, people.mda_prior_3m, ibis.ifelse(stays_declining, people.held_reference_mda, None)
        ),
    )
    people = people.mutate(**_returned(people))
    return declared(people.mutate(**_marks(people, figures, month)), COLUMNS)


def _first_day(people: ir.Table) -> Any:
    """The first day as a customer, told or of the first money or contract; a later one moves it no more."""
    told = ibis.ifelse(people.first_product_on <= people.as_of, people.first_product_on, None)
    return first_day(told, people.held_became_customer_on, people.funded_on, people.first_contract_on)


def _returned(people: ir.Table) -> dict[str, Any]:
    """When a customer last came back from LOST, and when he last woke from DORMANT."""
    won = (people.held_stage == Stage.LOST) & (people.stage == Stage.NEW)
    woke = (people.held_stage == Stage.DORMANT) & (people.stage == Stage.GROWTH)
    return {
        "won_back_on": ibis.ifelse(_holds(won), people.as_of, people.held_won_back_on),
        "reactivated_on": ibis.ifelse(_holds(woke), people.as_of, people.held_reactivated_on),
    }


def _marks(people: ir.Table, figures: Lifecycle, month: Month) -> dict[str, Any]:
    """Flags beside the stage: come back lately, and accounts that sleep while no loan, card or investment is linked."""
    p = people
    marks = {
        "is_won_back": _holds(p.as_of.delta(p.won_back_on, unit="day") <= figures.winback_days),
        "is_reactivated": _holds(p.as_of.delta(p.reactivated_on, unit="day") <= figures.reactivated_days),
        "is_stale": (p.stage == Stage.PROSPECT) & (p.silent_days >= figures.stale_days),
        "fall_floor": _fall_floor(p, figures),
    }
    if {"account", "balance", "txn"} <= month.has:
        is_linked = _holds(p.has_loan) | _holds(p.has_card) | _holds(p.has_wealth)
        is_told = p.as_of.delta(p.history_on, unit="day") >= figures.account_idle_days
        sleeps = (p.n_idle_accounts.fill_null(0) > 0) & ~is_linked
        marks["has_dormant_account"] = ibis.ifelse(is_told, sleeps, None)
    return marks


def _fall_floor(people: ir.Table, figures: Lifecycle) -> Any:
    """AUM of a morning from which money has left at once, beyond the payday; null where the stage cannot fall."""
    p, mean = people, people.mda_mean_3m
    beyond_payday = mean - figures.payday_share * p.salary_peak_3m.fill_null(0)
    floor = ibis.least(figures.decline_hard_share * mean, mean - figures.decline_hard_amount, beyond_payday)
    can_fall = p.stage.isin(_CAN_FALL) & _holds(p.customer_days > figures.new_settles_days) & _holds(floor >= 0)
    return ibis.ifelse(can_fall, floor, None)


def _ages(people: ir.Table, month: Month) -> dict[str, Any]:
    """Days since first product and since last activity; silence before the bank's history began is not known.

    Who takes a first product is not silent on that day, whatever he did before it.
    """
    as_of, came_on = people.as_of, ibis.coalesce(people.became_customer_on, people.registered_on)
    last = ibis.greatest(people.last_active_on, came_on, people.history_on)
    sees_activity = "txn" in month.has or "channel_event" in month.has
    return {
        "is_customer": people.became_customer_on.notnull(),
        "customer_days": as_of.delta(people.became_customer_on, unit="day"),
        "silent_days": as_of.delta(last, unit="day") if sees_activity else ibis.literal(0, "int64"),
        "is_closed": (people.closed_on <= as_of).fill_null(False),
    }


def _signs(people: ir.Table, figures: Lifecycle) -> dict[str, Any]:
    """Hard signs of decline, and signs of growth, steadiness, recovery and loss, in this month alone."""
    p = people
    drop = p.mda_prior_3m - p.mda
    hard_fall = (p.mda <= figures.decline_hard_share * p.mda_prior_3m) & (drop >= figures.decline_hard_amount)
    beyond_payday = p.largest_out_1m > figures.payday_share * p.salary_peak_3m.fill_null(0)
    outflow = (
        (p.largest_out_1m >= figures.decline_hard_share * p.aum_end_before)
        & (p.largest_out_1m >= figures.decline_hard_amount)
        & beyond_payday
    )
    reference = ibis.coalesce(p.held_reference_mda, p.mda_prior_3m)
    services = ibis.coalesce(p.n_active_services, p.n_services_3m, 0) + p.n_holdings.fill_null(0)
    return {
        "is_falling": _holds(hard_fall) | _holds(outflow),
        "has_new_category": _holds(p.n_asset_classes > p.held_most_categories),
        "is_steady": (p.customer_days > figures.mature_days)
        & (services >= figures.mature_services)
        & (p.n_asset_classes.fill_null(0) >= figures.mature_categories)
        & _holds(p.mda_spread_3m <= figures.mature_spread_share)
        & ~_holds(p.n_asset_classes > p.held_most_categories),
        "is_growing": _holds(p.mda >= (1 + figures.growth_aum_share) * p.mda_mean_6m),
        "is_recovered": _holds(p.mda >= figures.recover_aum_share * reference)
        & (p.app_days_3m.fill_null(0) >= figures.recover_app_share * p.app_days_prior_3m.fill_null(0)),
        "is_remnant": _holds(p.mda <= figures.lost_peak_share * p.mda_peak_12m)
        & _holds(p.mda_peak_12m >= figures.lost_peak_amount)
        & (p.n_txn_3m.fill_null(0) == 0),
    }


def _counters(people: ir.Table, figures: Lifecycle) -> dict[str, Any]:
    """Month ends in a row; one that breaks the row starts again at 0."""

    def row(sign: str, counter: str) -> Any:
        return ibis.ifelse(people[sign].fill_null(False), people[f"held_{counter}"].fill_null(0) + 1, 0)

    return {
        "months_steady": row("is_steady", "months_steady"),
        "months_growing": row("is_growing", "months_growing"),
        "months_recovered": row("is_recovered", "months_recovered"),
        "months_lost": row("is_remnant", "months_lost"),
        "most_categories": ibis.greatest(people.n_asset_classes, people.held_most_categories).fill_null(0),
    }


def _wanted(people: ir.Table, figures: Lifecycle) -> dict[str, Any]:
    """The stage that the tests ask for and the test that asked, before legality."""
    branches = _returns(people, figures) + _tests(people, figures)
    return {
        "wanted": ibis.cases(*[(test, stage) for test, stage, _ in branches], else_=Stage.GROWTH.value),
        "wanted_reason": ibis.cases(*[(test, reason) for test, _, reason in branches], else_="default"),
    }


def _returns(people: ir.Table, figures: Lifecycle) -> list[tuple[Any, Any, str]]:
    """Ways out of LOST, DORMANT and DECLINE, which hold the stage until they are met."""
    p = people
    held = p.held_stage
    paid_in = _holds(p.largest_in_3m >= figures.winback_amount) & (p.n_txn_1m > 0)
    woke = (p.active_days_1m >= figures.wake_active_days) & _holds(p.aum_end >= figures.wake_amount)
    recovered = p.months_recovered >= figures.recover_months
    declining_days = _days_in_stage(p)
    may_sleep = [origin for origin, targets in figures.legal_moves.items() if Stage.DORMANT in targets]
    goes_silent = (p.silent_days >= figures.dormant_days) & (held.isnull() | held.isin(may_sleep))
    origin = ibis.ifelse(
        p.held_previous_stage.isin([Stage.MATURE.value, Stage.GROWTH.value]), p.held_previous_stage, Stage.GROWTH.value
    )
    return [
        (_holds((held == Stage.LOST) & paid_in & ~p.is_closed), Stage.NEW.value, "winback"),
        (_holds(held == Stage.LOST), Stage.LOST.value, _STAYS),
        (p.is_closed, Stage.LOST.value, "all closed"),
        (_holds(held == Stage.PROSPECT) & p.is_customer, Stage.NEW.value, "first product"),
        (_is_lost(p, figures), Stage.LOST.value, "nothing left"),
        (_holds((held == Stage.DORMANT) & woke), Stage.GROWTH.value, "reactivated"),
        (_holds(held == Stage.DORMANT), Stage.DORMANT.value, _STAYS),
        (p.is_customer & goes_silent, Stage.DORMANT.value, "silent"),
        (_holds((held == Stage.DECLINE) & recovered), origin, "recovered"),
        (_holds((held == Stage.DECLINE) & (declining_days >= figures.decline_days)), Stage.GROWTH.value, "re-based"),
        (_holds(held == Stage.DECLINE), Stage.DECLINE.value, _STAYS),
    ]


def _tests(people: ir.Table, figures: Lifecycle) -> list[tuple[Any, Any, str]]:
    p = people
    settled = _holds(p.customer_days > figures.new_settles_days)
    is_new = p.is_customer & _holds(p.customer_days <= figures.new_days)
    grown = p.months_growing >= figures.growth_months
    was_mature = _holds(p.held_stage == Stage.MATURE)
    return [
        (p.is_customer & settled & p.is_falling, Stage.DECLINE.value, "money left"),
        (p.is_customer & settled & p.is_weakening, Stage.DECLINE.value, "several weak signs"),
        (~p.is_customer, Stage.PROSPECT.value, "no product yet"),
        (is_new | _winback_is_fresh(p, figures), Stage.NEW.value, "first days"),
        (was_mature & grown, Stage.GROWTH.value, "money grew"),
        (was_mature & p.has_new_category, Stage.GROWTH.value, "new category"),
        (was_mature, Stage.MATURE.value, _STAYS),
        (p.months_steady >= figures.mature_months, Stage.MATURE.value, "steady and broad"),
    ]


def _winback_is_fresh(people: ir.Table, figures: Lifecycle) -> Any:
    """A customer won back counts as NEW for as long as a first customer does."""
    won_back = (people.held_stage == Stage.NEW) & (people.held_previous_stage == Stage.LOST)
    return _holds(won_back & (_days_in_stage(people) <= figures.new_days))


def _is_lost(people: ir.Table, figures: Lifecycle) -> Any:
    silent = (people.silent_days >= figures.lost_days) & (people.aum_end.fill_null(0) < figures.lost_amount)
    return people.is_customer & (silent | (people.months_lost >= figures.lost_peak_months))


def _days_in_stage(people: ir.Table) -> Any:
    return people.as_of.delta(people.held_stage_entered_on, unit="day")


def _legal(people: ir.Table, figures: Lifecycle) -> Any:
    """The wanted stage if the move to it is legal, else the stage held."""
    legal = ibis.literal(False)
    for origin, targets in figures.legal_moves.items():
        legal = legal | ((people.held_stage == origin) & people.wanted.isin([origin, *targets]))
    return ibis.ifelse(people.held_stage.isnull() | legal, people.wanted, people.held_stage)


def _reason(people: ir.Table) -> Any:
    return ibis.ifelse(people.has_past, people.wanted_reason, ibis.literal("seeded: ") + people.wanted_reason)


def _holds(test: Any) -> Any:
    """A test whose figures are not known does not hold."""
    return test.fill_null(False)
