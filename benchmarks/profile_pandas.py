"""One month of profiles in pandas: the other peer of `benchmarks.profile`, over the same inputs, for the same columns.

Written as an analyst would who knows pandas: columns pruned and rows filtered while Parquet is read, days and money
as numbers, groupby with built-in aggregates, NumPy for the rules; a Python function a group only where pandas has no
other way to a set. The figures of the shipped segments policy stand in it as numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as ds

from benchmarks import profile_rules
from benchmarks.profile_contracts import Frame, contracts, incomes, known_by, read
from benchmarks.profile_peers import Asked
from features.bank.tables import ASSET_CLASSES, EVENT_CHANNELS
from features.policy import SegmentsPolicy
from features.profiles import PROFILE

KEY = ["customer_id", "month_no"]
INVESTMENTS = ["WMP", "FUND", "INS", "STRUCT", "BOND", "GOLD", "TRUST"]
VIEWS = {
    "deposit": ["P01", "P06", "P07"], "wealth": ["P02", "P03", "P09", "P10", "P11", "P12", "P16", "P17", "P18"],
    "insurance": ["P13", "P14"], "loan": ["P19", "P20", "P21", "P23"], "card": ["P04", "P05", "P22"],
}  # fmt: skip
SUMS = ["n_txn", "txn_minor", "n_out", "out_minor", "n_logins", "n_salary", "salary_minor", "n_contacts",
        "n_transfer_out_views", *(f"n_{kind}_views" for kind in VIEWS), "n_app_crashes", "n_app_failures",
        "app_latency_ms", "n_app_latencies", "n_complaints", "n_failed_steps", "n_given_up_steps"]  # fmt: skip


def run_pandas(asked: Asked, policy: SegmentsPolicy, path: Path) -> None:
    """The month's profile by pandas as a Parquet file."""
    people = _customers(asked)
    for part in (_windows(asked), *contracts(asked), incomes(asked, policy), _before(asked)):
        people = people.join(part, on="customer_id")
    profile_rules.wealth(people, asked)
    for rules in (profile_rules.activity, profile_rules.behaviour):
        rules(people)
    profile_rules.tiers(people, asked, policy)
    profile_rules.value(people)
    profile_rules.grades(people, policy)
    profile_rules.stages(people, asked)
    for rules in (profile_rules.classes, profile_rules.tags):
        rules(people)
    stamp = {name: getattr(asked.closing, name) for name in ("as_of", "as_of_at", "available_at")}
    columns = ["customer_id", *(column.name for column in PROFILE), *stamp]
    people.assign(**stamp)[columns].sort_values("customer_id").to_parquet(path, index=False)


def _fresh(asked: Asked, table: str, columns: Sequence[str]) -> Frame:
    """Rows of this month, and late rows of the months before that window still covers."""
    on, known = pc.field("business_on"), pc.field("known_at")
    fresh = (on > asked.seen_on) & (on <= asked.closing.as_of)
    late = (on >= asked.closing.months()[-1].first_on) & (on <= asked.seen_on) & (known > asked.seen_until)
    frame = read(asked, table, ["customer_id", "business_on", *columns], (fresh | late) & known_by(asked))
    frame["month_no"] = frame.business_on.dt.year * 12 + frame.business_on.dt.month - 1
    frame["day_bit"] = np.left_shift(1, frame.business_on.dt.day.to_numpy(np.int64))
    return frame


def _masks(frame: Frame, bits: Any, name: str) -> Frame:
    """Union of bits by customer and month: pandas has no such aggregate, so that distinct bits are summed."""
    distinct = frame[KEY].assign(**{name: bits}).drop_duplicates()
    return distinct.groupby(KEY)[name].sum()


def _greatest(texts: Any, *by: Any) -> Any:
    """The greatest text of each group, by its rank among all: pandas would compare objects one by one."""
    ranks, distinct = pd.factorize(texts, sort=True)
    best = pd.Series(ranks, texts.index).groupby(list(by)).max()
    return pd.Series(np.append(np.asarray(distinct, object), None)[best], best.index)


def _channel_bits(frame: Frame) -> Any:
    codes = pd.Categorical(frame.channel, EVENT_CHANNELS).codes.astype(np.int64)
    return np.where(codes >= 0, np.left_shift(1, np.maximum(codes, 0)), 0)


def _tiles(asked: Asked) -> Frame:
    t = _fresh(asked, "txn", ["txn_type", "amount", "counterparty", "channel", "by_customer"])
    mine, out = t[t.by_customer], t[t.by_customer & (t.txn_type == "OUT") & (t.counterparty != "OWN")]
    salary, paid_in = t[t.txn_type == "SALARY"], t[t.by_customer & (t.txn_type == "IN")]
    e = _fresh(asked, "channel_event", ["channel", "event", "service_id", "page", "product_id"])
    login = e[e.event == "LOGIN"]
    app = login[login.channel == "APP"]
    used = e.dropna(subset="service_id")[[*KEY, "service_id"]].drop_duplicates()
    r = _fresh(asked, "response", ["outcome"])
    a = _fresh(asked, "app_quality", ["device", "n_crashes", "n_failures", "latency_ms"])
    a["last_app_device"] = a.business_on.dt.strftime("%Y-%m-%d") + " " + a.device
    app_by, begun, done = a.groupby(KEY), e[e.event == "STEP"], e[e.event.isin(["SUBMIT", "DONE"])]
    c = _fresh(asked, "complaint", ["severity"])
    j = _fresh(asked, "journey_event", ["outcome", "started_at", "ended_at"])
    j["lasted"] = j.ended_at.dt.floor("s").sub(j.started_at.dt.floor("s")).dt.total_seconds()
    parts = {
        "n_txn": mine.groupby(KEY).size(), "txn_minor": mine.groupby(KEY).amount.sum(),
        "n_out": out.groupby(KEY).size(), "n_logins": login.groupby(KEY).size(),
        "out_minor": out.groupby(KEY).amount.sum(), "largest_out_minor": out.groupby(KEY).amount.max(),
        "largest_in_minor": paid_in.groupby(KEY).amount.max(), "n_salary": salary.groupby(KEY).size(),
        "salary_minor": salary.groupby(KEY).amount.sum(), "txn_day_mask": _masks(mine, mine.day_bit, "m"),
        "last_txn_on": mine.groupby(KEY).business_on.max(), "txn_channel_mask": _masks(mine, _channel_bits(mine), "m"),
        "app_day_mask": _masks(app, app.day_bit, "m"), "event_day_mask": _masks(e, e.day_bit, "m"),
        "event_channel_mask": _masks(e, _channel_bits(e), "m"), "last_login_on": login.groupby(KEY).business_on.max(),
        "services_used": used.groupby(KEY).service_id.agg(list),
        "n_contacts": _fresh(asked, "contact", []).groupby(KEY).size(),
        "n_conversions": r[r.outcome == "converted"].groupby(KEY).size(), **_looks(e),
        "begun_day_mask": _masks(begun, begun.day_bit, "m"), "done_day_mask": _masks(done, done.day_bit, "m"),
        "n_app_crashes": app_by.n_crashes.sum(), "n_app_failures": app_by.n_failures.sum(),
        "app_latency_ms": app_by.latency_ms.sum(), "n_app_latencies": app_by.latency_ms.count(),
        "app_latency_worst_ms": app_by.latency_ms.max(),
        "last_app_device": _greatest(a.last_app_device, a.customer_id, a.month_no),
        "n_complaints": c.groupby(KEY).size(), "worst_complaint": c.groupby(KEY).severity.max(),
        "n_failed_steps": j[j.outcome == "FAILED"].groupby(KEY).size(),
        "n_given_up_steps": j[j.outcome == "ABANDONED"].groupby(KEY).size(),
        "longest_step_s": j.groupby(KEY).lasted.max(),
    }  # fmt: skip
    seen = [frame.groupby(KEY).size() for frame in (t, e, r, a, c, j)]
    fresh = pd.concat([pd.DataFrame(parts), _balances(asked), *[one.rename("x").to_frame() for one in seen]], axis=1)
    fresh = fresh.drop(columns="x").reset_index()
    if not asked.tiles:
        return fresh
    in_window = pc.field("month_no") > asked.closing.number - 12
    old = ds.dataset([str(path) for path in asked.tiles]).to_table(filter=in_window)
    return pd.concat([old.to_pandas(date_as_object=False), fresh], ignore_index=True)


def _looks(events: Frame) -> dict[str, Any]:
    """Views by kind, and the last days of them."""
    shown = events.event.isin(["VIEW", "CLICK"])
    is_transfer = (events.event == "TRANSFER_OUT_PAGE") | (events.page == "TRANSFER_OUT")
    of_kind = {kind: shown & events.product_id.isin(products) for kind, products in VIEWS.items()}
    found = {f"n_{kind}_views": events[is_it].groupby(KEY).size() for kind, is_it in of_kind.items()}
    any_product = np.logical_or.reduce([*of_kind.values()])
    return found | {
        "n_transfer_out_views": events[is_transfer].groupby(KEY).size(),
        "transfer_viewed_on": events[is_transfer].groupby(KEY).business_on.max(),
        "product_viewed_on": events[any_product].groupby(KEY).business_on.max(),
    }


def _balances(asked: Asked) -> Frame:
    closing, months = asked.closing, asked.closing.months()
    columns = ["customer_id", "asset_class", "from_on", "to_on", "amount", "in_transit_amount", "loan_proceeds_amount",
               "known_at"]  # fmt: skip
    stop = pc.field("to_on")
    here = (pc.field("from_on") <= closing.as_of) & (stop.is_null() | (stop > closing.first_on))
    late = (pc.field("known_at") > asked.seen_until) & (pc.field("from_on") < closing.first_on)
    b = read(asked, "balance", columns, (here | late) & known_by(asked))
    b["own"] = b.amount - b.in_transit_amount - b.loan_proceeds_amount
    b["counted"] = b.asset_class != "CUSTODY_3P"
    parts = []
    for back, month in enumerate(months):
        first, after = pd.Timestamp(month.first_on), pd.Timestamp(month.next_on)
        rows = b if back == 0 else b[b.known_at > pd.Timestamp(asked.seen_until)]
        rows = rows[(rows.from_on < after) & (rows.to_on.isna() | (rows.to_on > first))]
        days = (rows.to_on.fillna(after).clip(upper=after) - rows.from_on.clip(lower=first)).dt.days
        ends = rows.counted & (rows.to_on.isna() | (rows.to_on >= after))
        at_end = rows.own.where(ends, 0)
        bits = np.left_shift(1, pd.Categorical(rows.asset_class, ASSET_CLASSES).codes.astype(np.int64))
        has = rows[ends & (rows.amount > 0)].index
        found = pd.DataFrame({
            "aum_day_minor": (rows.own * days).where(rows.counted, 0), "aum_end_minor": at_end,
            "invest_end_minor": at_end.where(rows.asset_class.isin(INVESTMENTS), 0),
            "deposit_end_minor": at_end.where(rows.asset_class.isin(["DEMAND", "TIME", "LCD"]), 0),
            "earned": (rows.own * days * 8).where(rows.asset_class == "DEMAND", 0),
        }).groupby(rows.customer_id).sum()  # fmt: skip
        funded = rows[rows.counted & (rows.own >= 10_000)]
        found["first_funded_on"] = funded.groupby("customer_id").from_on.min()
        classes = pd.DataFrame({"customer_id": rows.customer_id, "bit": bits}).loc[has].drop_duplicates()
        found["asset_mask"] = classes.groupby("customer_id").bit.sum()
        found["month_no"] = month.month_no
        parts.append(found.reset_index())
    return pd.concat(parts, ignore_index=True).set_index(KEY)


def _windows(asked: Asked) -> Frame:
    t = _tiles(asked)
    for name in ("txn_day_mask", "txn_channel_mask", "app_day_mask", "event_day_mask", "event_channel_mask",
                 "begun_day_mask", "done_day_mask"):  # fmt: skip
        t[name] = t[name].fillna(0).astype(np.int64)
    t["back"] = asked.closing.number - t.month_no
    by = t.groupby("customer_id")
    found: dict[str, Any] = {
        "in_window": by.size() > 0,
        "last_txn_on": by.last_txn_on.max(),
        "last_login_on": by.last_login_on.max(),
        "last_transfer_out_view_on": by.transfer_viewed_on.max(),
        "last_product_view_on": by.product_viewed_on.max(),
        "funded_on": by.first_funded_on.min(),
        "app_device": _greatest(t.last_app_device, t.customer_id).str[11:],
    }
    found |= {
        "n_contacts_12m": by.n_contacts.sum(),
        "n_conversions_12m": by.n_conversions.sum(),
        "earned_12m": by.earned.sum(),
    }
    months = {k: part.groupby("customer_id") for k, part in t.groupby("back")}
    for k in range(12):
        if k in months:
            found[f"aum_day_{k}"] = months[k].aum_day_minor.sum()
    recent = {
        "1m": t[t.back == 0],
        "before_3m": t[(t.back > 0) & (t.back < 4)],
        "3m": t[t.back < 3],
        "prior_3m": t[(t.back >= 3) & (t.back < 6)],
    }
    sums = {name: part.groupby("customer_id")[SUMS].sum() for name, part in recent.items()}
    for name, part in sums.items():
        found |= {f"{column}_{name}": part[column] for column in part}
    now, last, three = months[0], months.get(1), recent["3m"].groupby("customer_id")
    found |= {"largest_out_1m": now.largest_out_minor.max(), "largest_in_3m": three.largest_in_minor.max(),
              "aum_end": now.aum_end_minor.sum(min_count=1), "invest_end": now.invest_end_minor.sum(),
              "deposit_end": now.deposit_end_minor.sum(), "asset_mask": now.asset_mask.max()}  # fmt: skip
    found["salary_peak"] = pd.concat([months[k].salary_minor.sum() for k in range(3) if k in months], axis=1).max(
        axis=1
    )
    found["app_latency_worst"] = three.app_latency_worst_ms.max()
    found |= {"worst_complaint_3m": three.worst_complaint.max(), "longest_step_s_3m": three.longest_step_s.max()}
    if last is not None:
        found["aum_end_before"] = last.aum_end_minor.sum(min_count=1)
    for k in range(3):
        if k in months:
            found[f"has_{k}"] = months[k].size() > 0
    channels = recent["3m"].txn_channel_mask | recent["3m"].event_channel_mask
    found["channel_mask"] = _ors(recent["3m"].customer_id, channels)
    for k in range(6):
        part = t[t.back == k]
        found[f"app_{k}"] = _ors(part.customer_id, part.app_day_mask)
        if k < 3:
            found[f"days_{k}"] = _ors(part.customer_id, part.txn_day_mask | part.event_day_mask)
            found[f"begun_{k}"] = _ors(part.customer_id, part.begun_day_mask)
            found[f"done_{k}"] = _ors(part.customer_id, part.done_day_mask)
    used = recent["3m"].dropna(subset="services_used")[["customer_id", "services_used"]].explode("services_used")
    found["n_services_3m"] = used.groupby("customer_id").services_used.nunique()
    return pd.DataFrame(found)


def _ors(ids: Any, masks: Any) -> Any:
    """Union of masks by customer, over rows in the order of customers."""
    order = np.argsort(ids.to_numpy(), kind="stable")
    keys, values = ids.to_numpy()[order], masks.to_numpy()[order]
    if not len(keys):
        return pd.Series(dtype=np.int64)
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    return pd.Series(np.bitwise_or.reduceat(values, starts), index=keys[starts])


def _customers(asked: Asked) -> Frame:
    as_of = asked.closing.as_of
    where = (pc.field("registered_on") <= as_of) & known_by(asked)
    rows = ds.dataset(asked.home / "bank" / "customer").to_table(filter=where)
    p = rows.to_pandas(date_as_object=False)
    p["tenure_days"] = (pd.Timestamp(as_of) - p.registered_on).dt.days
    p["declared_income"] = rows["declared_income_amount"].cast("float64").to_numpy()
    birthday = p.birth_on.dt.month * 100 + p.birth_on.dt.day
    p["age"] = as_of.year - p.birth_on.dt.year - (birthday > as_of.month * 100 + as_of.day)
    return p


def _before(asked: Asked) -> Frame:
    columns = ["last_active_on", "tier", "tier_since_on", "months_below", "best_below", "grade", "customer_class",
               "wealth_months_below", "stage", "stage_entered_on", "stage_reason", "previous_stage", "reference_mda",
               "months_steady", "months_growing", "months_recovered", "months_lost", "became_customer_on",
               "won_back_on", "reactivated_on", "most_categories", "last_transfer_out_view_on", "last_product_view_on",
               "app_device"]  # fmt: skip
    frame = ds.dataset(asked.before).to_table(columns=["customer_id", *columns]).to_pandas(date_as_object=False)
    return frame.set_index("customer_id").add_prefix("b_")
