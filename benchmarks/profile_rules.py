"""The rules of a profile in pandas and NumPy, for the peer of `benchmarks.profile`; see `profile_pandas.py`.

Each function adds its columns to the frame of customers `p`, which holds last month's profile under `b_`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.profile_peers import Asked
from features.policy import SegmentsPolicy

Frame = Any


def wealth(p: Frame, asked: Asked) -> None:
    for name in ("held_products", "active_services", "preapproved", "customer_facts"):
        p[name] = p[name].fillna("|")
    months = asked.closing.months()
    mda = [p.get(f"aum_day_{k}", pd.Series(0.0, p.index)).fillna(0).clip(lower=0) / (100 * m.last_on.day)
           for k, m in enumerate(months)]  # fmt: skip
    inside, known = p.in_window.notna(), asked.history
    p["aum_day_minor"] = p.aum_day_0.fillna(0).clip(lower=0).astype(np.int64)
    p["mda"] = mda[0]
    p["mda_mean_3m"] = np.where(inside, (mda[0] + mda[1] + mda[2]) / min(known, 3), 0)
    p["mda_mean_6m"] = np.where(inside, (mda[0] + mda[1] + mda[2] + mda[3] + mda[4] + mda[5]) / min(known, 6), 0)
    p["mda_prior_3m"] = np.where(inside & (known > 1), (mda[1] + mda[2] + mda[3]) / max(min(known - 1, 3), 1), np.nan)
    p["mda_peak_12m"] = np.maximum.reduce(mda)
    has = [p[f"has_{k}"].notna() for k in range(3)]
    three = pd.DataFrame({k: mda[k].where(has[k]) for k in range(3)})
    centre = (mda[0] + mda[1] + mda[2]) / sum(h.astype(int) for h in has).replace(0, np.nan)
    farthest = np.maximum(three.max(axis=1) - centre, centre - three.min(axis=1))
    p["mda_spread_3m"] = farthest / centre.replace(0, np.nan)
    p["has_deposit"], p["has_wealth"] = p.deposit_end > 0, p.invest_end > 0
    p["rated_mda"], p["net_mda"] = p.mda, p.mda
    assessed, end = p.aum_end_before.fillna(0) / 100, p.aum_end.fillna(0) / 100
    hot = np.minimum(assessed - mda[2], assessed - end) >= np.maximum(50_000, 0.5 * assessed)
    p["is_hot_money"] = hot.astype(object) if known > 2 else None
    p["aum_end"], p["aum_end_before"] = p.aum_end.fillna(0) / 100, p.aum_end_before / 100
    p["invest_end"] = p.invest_end.fillna(0) / 100
    p["n_asset_classes"] = _bits(p.asset_mask)
    p["n_holdings"] = p.held_products.str.count(r"\|") - 1
    p["has_loan"], p["has_card"] = p.next_loan_end_on.notna() | p.overdue_from_on.notna(), p.card_opened_on.notna()


def _bits(mask: Any) -> Any:
    return np.bitwise_count(mask.fillna(0).astype(np.int64)).astype(np.int64)


def activity(p: Frame) -> None:
    money = {"txn_amount_3m": "txn_minor_3m", "out_amount_1m": "out_minor_1m", "largest_out_1m": "largest_out_1m",
             "largest_in_3m": "largest_in_3m", "salary_amount_1m": "salary_minor_1m",
             "salary_peak_3m": "salary_peak"}  # fmt: skip
    for name, source in money.items():
        p[name] = p[source].fillna(0) / 100
    for name in ("n_txn_1m", "n_txn_3m", "n_txn_prior_3m", "n_out_1m", "n_out_before_3m", "n_logins_1m",
                 "n_logins_before_3m", "n_salary_1m", "n_salary_3m", "n_contacts_3m",
                 "n_contacts_12m", "n_conversions_12m", "n_services_3m", "n_active_services"):  # fmt: skip
        p[name] = p[name].fillna(0).astype(np.int64)
    app, days = [_bits(p[f"app_{k}"]) for k in range(6)], [_bits(p[f"days_{k}"]) for k in range(3)]
    p["app_days_1m"], p["app_days_3m"], p["app_days_prior_3m"] = app[0], sum(app[:3]), sum(app[3:])
    p["active_days_1m"], p["active_days_3m"] = days[0], sum(days)
    p["n_channels_3m"] = _bits(p.channel_mask)
    p["last_active_on"] = p[["last_txn_on", "last_login_on"]].max(axis=1).fillna(p.b_last_active_on)


def behaviour(p: Frame) -> None:
    for kind in ("transfer_out", "deposit", "wealth", "insurance", "loan", "card"):
        p[f"n_{kind}_views_3m"] = p[f"n_{kind}_views_3m"].fillna(0).astype(np.int64)
    for name in ("n_transfer_out_views_1m", "n_app_crashes_3m", "n_app_failures_3m", "n_complaints_3m",
                 "n_failed_steps_3m", "n_given_up_steps_3m"):  # fmt: skip
        p[name] = p[name].fillna(0).astype(np.int64)
    begun, done = ([p[f"{name}_{k}"].fillna(0).astype(np.int64) for k in range(3)] for name in ("begun", "done"))
    p["drop_off_days_3m"] = sum(_bits(b) - _bits(b & d) for b, d in zip(begun, done, strict=True))
    p["app_latency_ms_3m"] = p.app_latency_ms_3m / p.n_app_latencies_3m.replace(0, np.nan)
    for name in ("last_transfer_out_view_on", "last_product_view_on", "app_device"):
        p[name] = p[name].fillna(p[f"b_{name}"])
    p["app_latency_worst_ms_3m"] = p.app_latency_worst.astype(float)


def tiers(p: Frame, asked: Asked, policy: SegmentsPolicy) -> None:
    names, floors = list(policy.tiers.thresholds), np.array([*policy.tiers.thresholds.values()], np.int64)
    total, days = p.aum_day_minor.to_numpy(), asked.closing.days
    own = np.searchsorted(floors * days * 100, total, side="right") - 1
    by_loan = np.where((p.loan_amount >= 6e6) & p.overdue_from_on.isna(), 6, 0)
    earned, counted = np.maximum(own, by_loan), np.maximum(p.mda, floors[by_loan])
    before = pd.Categorical(p.b_tier, names).codes.astype(np.int64)
    age = (pd.Timestamp(asked.closing.as_of) - became(p, asked)).dt.days.to_numpy() + 1
    reached = (total[:, None] >= np.nan_to_num(age)[:, None] * floors * 100).sum(axis=1) - 1
    risen = np.where((age >= 7) & (age < days), reached, -1)
    rises = risen > np.maximum(before, earned)
    held = np.where(rises, risen, before)
    best_before = np.where(rises, 0.0, p.b_best_below.fillna(0))
    is_below = (held >= 0) & (earned < held)
    below = np.where(is_below, np.where(rises, 0, p.b_months_below.fillna(0)) + 1, 0)
    falls = is_below & (below > np.where(held >= 6, 12, 6))
    landing = np.maximum(np.searchsorted(floors, best_before, side="right") - 1, earned)
    index = np.where(falls, landing, np.where(is_below, held, earned))
    still = np.where(falls, earned < landing, is_below)
    p["months_below"] = np.where(falls, still, below).astype(np.int64)
    p["tier"] = np.array(names, object)[index]
    watched = p.months_below > np.where(index >= 6, 6, 3)
    p["tier_state"] = np.where(still & watched, "WATCH", np.where(still, "GRACE", "NORMAL"))
    p["tier_since_on"] = p.b_tier_since_on.where(index == before, pd.Timestamp(asked.closing.as_of))
    best = np.where(falls, counted, np.maximum(best_before, counted))
    p["best_below"] = np.where(still, best, np.nan)
    following = np.append(floors[1:].astype(float), np.nan)[index]
    p["near_up"] = (p.mda >= 0.8 * following) & (p.mda < following) & (index >= 2)
    p["next_tier_gap"] = np.maximum(following - p.mda, 0)
    levels = sum((p.mda >= level).astype(int) for level in policy.tiers.top_levels)
    p["tier_level"] = pd.Series(levels, p.index).where(index == 7).astype("Int64")
    p["qualify_path"] = np.select([index <= own, index <= earned, index <= risen], ["AUM", "LOAN", "NEWCOMER"], "KEPT")
    p["tier_floor"], p["family_mda"] = np.where(index <= by_loan, 0.0, floors[index]), np.nan
    p["next_floor"], p["is_next_highest"] = following, index == 6
    p["near_floor"] = np.where(index >= 2, 0.8 * following, np.nan)


def value(p: Frame) -> None:
    p["value_12m"] = p.income.fillna(0) + p.earned_12m.fillna(0) / 365e6


def grades(p: Frame, policy: SegmentsPolicy) -> None:
    aum = np.minimum(np.log10(1 + p.mda / 1e4) / np.log10(601), 1)
    business = 0.5 * np.minimum(p.n_txn_3m / 30, 1) + 0.5 * np.minimum(
        np.log10(1 + p.txn_amount_3m / 1e3) / np.log10(501), 1
    )
    channel = 0.6 * np.minimum(p.app_days_1m / 12, 1) + 0.4 * np.minimum(p.n_channels_3m / 4, 1)
    p["grade_aum"], p["grade_services"] = 35 * aum, 20 * np.minimum(p.n_services_3m / 12, 1)
    p["grade_business"], p["grade_channels"], p["grade_contribution"] = 25 * business, 20 * channel, 0.0
    points = (p.grade_aum + p.grade_services + p.grade_business + p.grade_channels).round(6)
    p["grade_score"] = points
    a, b, c, d = (policy.grades.bands[name] for name in "ABCD")
    bands = {"A": (a - 3, np.inf), "B": (b - 3, a + 3), "C": (c - 3, b + 3), "D": (d - 3, c + 3), "E": (-np.inf, d + 3)}
    keeps = np.logical_or.reduce(
        [(p.b_grade == g) & (points >= low) & (points < high) for g, (low, high) in bands.items()]
    )
    fresh = np.select([points >= a, points >= b, points >= c, points >= d], list("ABCD"), "E")
    p["grade"] = np.where(keeps, p.b_grade, fresh)


def became(p: Frame, asked: Asked) -> Any:
    told = p.first_product_on.where(p.first_product_on <= pd.Timestamp(asked.closing.as_of))
    return pd.concat([told, p.b_became_customer_on, p.funded_on, p.first_contract_on], axis=1).min(axis=1)


def stages(p: Frame, asked: Asked) -> None:
    as_of, b = pd.Timestamp(asked.closing.as_of), p.b_stage
    p["became_customer_on"] = began = became(p, asked)
    p["is_customer"] = is_customer = began.notna()
    since = began.fillna(p.registered_on).clip(lower=pd.Timestamp(asked.history_on))
    age, silent = (as_of - began).dt.days, (as_of - p.last_active_on.where(p.last_active_on > since, since)).dt.days
    closed, stayed = p.closed_on <= as_of, (as_of - p.b_stage_entered_on).dt.days
    reference = p.b_reference_mda.fillna(p.mda_prior_3m)
    fall = (p.mda <= 0.5 * p.mda_prior_3m) & (p.mda_prior_3m - p.mda >= 10_000)
    out = (
        (p.largest_out_1m >= 0.5 * p.aum_end_before)
        & (p.largest_out_1m >= 10_000)
        & (p.largest_out_1m > 1.2 * p.salary_peak_3m)
    )
    weak = {
        "AUM": (reference > 0) & (p.mda <= 0.7 * reference), "TXN": _fewer(p.n_txn_3m, p.n_txn_prior_3m, 0.7),
        "APP": _fewer(p.app_days_3m, p.app_days_prior_3m, 0.5),
        "LOGINS": _paced(p.n_logins_1m, p.n_logins_before_3m, asked, lambda now, before: now <= 0.5 * before),
        "OUTFLOW": _paced(p.n_out_1m, p.n_out_before_3m, asked, lambda now, before: now >= 3 * before)
        & (asked.history > 3) & (age >= asked.month_days + asked.quarter_days),
        "MATURED": (p.due >= 10_000) & (p.mda_prior_3m - p.aum_end >= 0.5 * p.due),
        "SALARY": (p.n_salary_3m > 0) & (p.n_salary_1m == 0),
        "DISCONTENT": p.has_old_complaint.eq(True) | (p.bad_at >= p.good_at.fillna(p.bad_at)),
    }  # fmt: skip
    p["decline_signs"] = _listed(weak, len(p))
    weakens = sum(sign.astype(int) for sign in weak.values()) - (weak["APP"] & weak["LOGINS"]) >= 2
    is_new_category = p.n_asset_classes > p.b_most_categories
    p["most_categories"] = p[["n_asset_classes", "b_most_categories"]].max(axis=1).astype(np.int64)
    steady = (
        (age > 180) & (p.n_active_services + p.n_holdings >= 3) & (p.n_asset_classes >= 2) & (p.mda_spread_3m <= 0.1)
        & ~is_new_category
    )  # fmt: skip
    signs = {
        "months_steady": steady, "months_growing": p.mda >= 1.2 * p.mda_mean_6m,
        "months_recovered": (p.mda >= 0.85 * reference) & (p.app_days_3m >= 0.8 * p.app_days_prior_3m),
        "months_lost": (p.mda <= 0.1 * p.mda_peak_12m) & (p.mda_peak_12m >= 50_000) & (p.n_txn_3m == 0),
    }  # fmt: skip
    for name, sign in signs.items():
        p[name] = np.where(sign, p[f"b_{name}"].fillna(0) + 1, 0).astype(np.int64)
    origin = np.where(p.b_previous_stage.isin(["MATURE", "GROWTH"]), p.b_previous_stage, "GROWTH")
    lost = is_customer & (((silent >= 365) & (p.aum_end < 100)) | (p.months_lost >= 3))
    woke = (p.active_days_1m >= 2) & (p.aum_end >= 100)
    won = (b == "NEW") & (p.b_previous_stage == "LOST") & (stayed <= 90)
    tests: list[tuple[Any, Any, str]] = [
        ((b == "LOST") & (p.largest_in_3m >= 1000) & (p.n_txn_1m > 0) & ~closed, "NEW", "winback"),
        (b == "LOST", "LOST", "stays"), (closed, "LOST", "all closed"),
        ((b == "PROSPECT") & is_customer, "NEW", "first product"), (lost, "LOST", "nothing left"),
        ((b == "DORMANT") & woke, "GROWTH", "reactivated"), (b == "DORMANT", "DORMANT", "stays"),
        (is_customer & (silent >= 180) & (b != "NEW"), "DORMANT", "silent"),
        ((b == "DECLINE") & (p.months_recovered >= 2), origin, "recovered"),
        ((b == "DECLINE") & (stayed >= 180), "GROWTH", "re-based"), (b == "DECLINE", "DECLINE", "stays"),
        (is_customer & (age > 30) & (fall | out), "DECLINE", "money left"),
        (is_customer & (age > 30) & weakens, "DECLINE", "several weak signs"),
        (~is_customer, "PROSPECT", "no product yet"),
        ((is_customer & (age <= 90)) | won, "NEW", "first days"),
        ((b == "MATURE") & (p.months_growing >= 2), "GROWTH", "money grew"),
        ((b == "MATURE") & is_new_category, "GROWTH", "new category"), (b == "MATURE", "MATURE", "stays"),
        (p.months_steady >= 3, "MATURE", "steady and broad"),
    ]  # fmt: skip
    conditions = [test.to_numpy(bool) for test, _, _ in tests]
    wanted = np.select(
        conditions, [np.broadcast_to(np.asarray(stage, object), len(p)) for _, stage, _ in tests], "GROWTH"
    )
    reason = np.select(conditions, [why for _, _, why in tests], "default")
    moves = {"PROSPECT": ["NEW", "LOST"], "NEW": ["GROWTH", "MATURE", "DECLINE", "LOST"],
             "GROWTH": ["MATURE", "DECLINE", "DORMANT", "LOST"], "MATURE": ["GROWTH", "DECLINE", "DORMANT", "LOST"],
             "DECLINE": ["GROWTH", "MATURE", "DORMANT", "LOST"], "DORMANT": ["GROWTH", "LOST"],
             "LOST": ["NEW"]}  # fmt: skip
    legal = b.isna() | (b == wanted)
    for held, targets in moves.items():
        legal |= (b == held) & np.isin(wanted, targets)
    p["stage"] = np.where(legal, wanted, b)
    moved = b.isna() | (p.stage != b)
    p["stage_reason"] = np.where(moved, reason, p.b_stage_reason)
    p["stage_entered_on"] = p.b_stage_entered_on.where(~moved, as_of)
    p["previous_stage"] = b.where(moved, p.b_previous_stage)
    p["reference_mda"] = np.where(p.stage == "DECLINE", np.where(moved, p.mda_prior_3m, p.b_reference_mda), np.nan)
    floor = np.minimum(0.5 * p.mda_mean_3m, p.mda_mean_3m - np.maximum(10_000, 1.2 * p.salary_peak_3m))
    p["fall_floor"] = floor.where(p.stage.isin(["NEW", "GROWTH", "MATURE"]) & (age > 30) & (floor >= 0))
    p["is_stale"] = (p.stage == "PROSPECT") & (silent >= 180)
    marks(p, asked)


def _fewer(now: Any, before: Any, share: float) -> Any:
    return (before > 0) & (now <= share * before) & ((before - now) ** 2 >= 4 * (before + now))


def _paced(now: Any, before: Any, asked: Asked, is_far: Callable[[Any, Any], Any]) -> Any:
    now, was, both = now * asked.quarter_days, before * asked.month_days, now + before
    spread = 4 * both * asked.month_days * asked.quarter_days
    return (before > 0) & is_far(now, was) & ((now - was) ** 2 >= spread)


def marks(p: Frame, asked: Asked) -> None:
    as_of = pd.Timestamp(asked.closing.as_of)
    returns = {"won_back": ("LOST", "NEW", 90), "reactivated": ("DORMANT", "GROWTH", 60)}
    for name, (origin, target, days) in returns.items():
        now = (p.b_stage == origin) & (p.stage == target)
        p[f"{name}_on"] = p[f"b_{name}_on"].where(~now, as_of)
        p[f"is_{name}"] = (as_of - p[f"{name}_on"]).dt.days <= days
    sleeps = (p.n_idle.fillna(0) > 0) & ~(p.has_loan | p.has_card | p.has_wealth)
    has_year = (asked.closing.as_of - asked.history_on).days >= 365
    p["has_dormant_account"] = sleeps if has_year else pd.Series(None, p.index, dtype="boolean")


def classes(p: Frame) -> None:
    p["wealth_months_below"] = np.where(p.mda < 150_000, p.b_wealth_months_below.fillna(0) + 1, 0).astype(np.int64)

    def holds(column: str, code: str) -> Any:
        return p[column].str.contains(f"|{code}|", regex=False)

    rich = (p.invest_end >= 50_000) | (p.mda >= 200_000) | holds("customer_facts", "DECLARED_WEALTH")
    fits: Mapping[str, Any] = {
        "SPECIAL_ID": p.id_doc_type.isin(["HK_MO_TW", "FOREIGN"]), "SILVER": p.age >= 60,
        "BIZ_OWNER": holds("customer_facts", "LICENCE") | holds("active_services", "P08")
        | holds("held_products", "P08") | holds("held_products", "P21"),
        "WEALTH": rich | ((p.b_customer_class == "WEALTH") & (p.wealth_months_below < 3)),
        "PAYROLL": (p.n_salary_3m >= 2) | holds("customer_facts", "PAYROLL_EMPLOYER"),
        "CREDIT": p.has_loan | p.has_card
        | np.logical_or.reduce([holds("preapproved", credit) for credit in ("P19", "P20", "P22", "P23")]),
        "YOUNG": (p.age >= 18) & (p.age <= 28),
    }  # fmt: skip
    fresh = np.select([fit.to_numpy(bool) for fit in fits.values()], list(fits), "MASS")
    asleep = p.stage.isin(["DORMANT", "LOST"]) & p.b_customer_class.notna()
    p["customer_class"] = np.where(asleep, p.b_customer_class, fresh)
    p["class_reason"] = np.where(asleep, "asleep: last class kept", np.where(
        fresh == "MASS", "default", np.where((fresh == "WEALTH") & ~rich, "kept", "rule")
    ))  # fmt: skip
    p["other_classes"] = _listed({name: fit & (p.customer_class != name) for name, fit in fits.items()}, len(p))
    p["cell"] = p.customer_class + "/" + p.stage


def tags(p: Frame) -> None:
    low, age = p.tier.isin(["V0", "V1", "V2"]), p.age
    p["tags"] = _listed({
        "near_up": p.near_up, "tier_kept": p.tier_state.isin(["GRACE", "WATCH"]), "long_tail": low,
        "rescue": p.tier.isin(["V4", "V5", "VIP", "VVIP"]) & p.grade.isin(["D", "E"]),
        "rising": low & p.grade.isin(["A", "B"]), "effective": (p.mda >= 1000) | (p.n_txn_3m >= 1),
        "payroll": p.n_salary_3m >= 2,
        "salary_leaves": (p.n_salary_3m >= 2) & (p.salary_kept_share_3m < 0.3),
        "hot_money": p.is_hot_money.eq(True),
        "sleeping_money": (p.aum_end >= 10_000) & (p.n_txn_3m == 0) & (p.app_days_3m == 0),
        "digital_silver": (age >= 60) & (p.app_days_1m >= 4), "life_young": (age >= 18) & (age < 35),
        "life_middle": (age >= 35) & (age < 60), "life_elder": age >= 60,
        "won_back": p.is_won_back, "reactivated": p.is_reactivated,
        "dormant_account": p.has_dormant_account.fillna(False).astype(bool),
        "looks_away": p.n_transfer_out_views_1m >= 2,
    }, len(p))  # fmt: skip


def _listed(fits: Mapping[str, Any], n: int) -> Any:
    text = np.full(n, "|", object)
    for name, fit in fits.items():
        text = text + np.where(fit.to_numpy(bool), f"{name}|", "").astype(object)
    return text
