"""What contracts and the last days say of a customer, in pandas, for the peer of `benchmarks.profile`.

See `profile_pandas.py`; whatever asks for days and not for months is read from the bank's tables here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as ds

from benchmarks.profile_peers import Asked
from features.policy import SegmentsPolicy

Frame = Any


def read(asked: Asked, table: str, columns: Sequence[str], where: Any) -> Frame:
    rows = ds.dataset(asked.home / "bank" / table).to_table(columns=list(columns), filter=where)
    frame = rows.to_pandas(date_as_object=False)
    for name in columns:
        if name.endswith("amount"):
            frame[name] = pc.multiply(rows[name].cast("float64"), 100.0).to_numpy().round()
    return frame


def known_by(asked: Asked) -> Any:
    return pc.field("known_at") <= asked.closing.available_at


def contracts(asked: Asked) -> list[Frame]:
    as_of, morning = asked.closing.as_of, asked.closing.months()[0].next_on
    on = pd.Timestamp(morning)

    def rows(table: str, happened: str, columns: Sequence[str]) -> Frame:
        return read(asked, table, ["customer_id", happened, *columns], (pc.field(happened) <= as_of) & known_by(asked))

    def sets(frame: Frame, code: str, name: str) -> Frame:
        distinct = frame[["customer_id", code]].drop_duplicates().sort_values(["customer_id", code])
        return ("|" + distinct.groupby("customer_id")[code].agg("|".join) + "|").rename(name)

    h = rows("holding", "opened_on", ["product_id", "closed_on"])
    s = rows("service_activation", "activated_on", ["service_id", "closed_on"])
    loan = rows("loan", "opened_on", ["ends_on", "closed_on", "overdue_from_on", "overdue_to_on", "amount"])
    h, s, loan = (frame[frame.closed_on.isna() | (frame.closed_on >= on)] for frame in (h, s, loan))
    a = rows("preapproval", "from_on", ["product_id", "expires_on"])
    f = rows("customer_fact", "from_on", ["fact", "to_on"])
    is_overdue = (loan.overdue_from_on < on) & (loan.overdue_to_on.isna() | (loan.overdue_to_on >= on))
    loans = pd.DataFrame({
        "next_loan_end_on": loan[loan.ends_on >= on].groupby("customer_id").ends_on.min(),
        "overdue_from_on": loan[is_overdue].groupby("customer_id").overdue_from_on.min(),
        "card_opened_on": loan[loan.ends_on.isna()].groupby("customer_id").opened_on.min(),
        "loan_amount": loan[loan.ends_on >= on].groupby("customer_id").amount.sum() / 100,
    })  # fmt: skip
    return [sets(h, "product_id", "held_products"), loans, sets(s, "service_id", "active_services"),
            sets(a[a.expires_on > on], "product_id", "preapproved"),
            sets(f[f.to_on.isna() | (f.to_on > on)], "fact", "customer_facts"), _in_use(asked, on),
            _idle(asked, on), _salaries(asked), *_signs(asked)]  # fmt: skip


def _signs(asked: Asked) -> list[Frame]:
    """First contracts, money that came due in sixty days, complaints open for two weeks, and the last words said."""
    as_of, known = pd.Timestamp(asked.closing.as_of), known_by(asked)
    begun = pc.field("opened_on") <= asked.closing.as_of
    h = read(asked, "holding", ["customer_id", "opened_on", "matures_on", "closed_on", "amount"], begun & known)
    came = (h.matures_on > as_of - pd.Timedelta(days=60)) & (h.matures_on <= as_of)
    h["due"] = (h.amount / 100).where(came & (h.closed_on.isna() | (h.closed_on >= h.matures_on)), 0)
    loan = read(asked, "loan", ["customer_id", "opened_on"], begun & known).assign(due=0)
    by = pd.concat([h[["customer_id", "opened_on", "due"]], loan]).groupby("customer_id")
    day = pc.field("business_on")
    c = read(asked, "complaint", ["customer_id", "closed_at"],
              (day < asked.closing.as_of - timedelta(days=14)) & known)  # fmt: skip
    c = c[c.closed_at.isna() | (c.closed_at >= pd.Timestamp(asked.closing.as_of_at))]
    s = read(asked, "survey_response", ["customer_id", "nps", "occurred_at"], pc.field("nps").is_valid() & known
              & (day > asked.closing.as_of - timedelta(days=90)) & (day <= asked.closing.as_of))  # fmt: skip
    said = {name: s[rows].groupby("customer_id").occurred_at.max()
            for name, rows in (("bad_at", s.nps <= 6), ("good_at", s.nps > 6))}  # fmt: skip
    return [pd.DataFrame({"first_contract_on": by.opened_on.min(), "due": by.due.sum()}), pd.DataFrame(said),
            c[["customer_id"]].drop_duplicates().assign(has_old_complaint=True).set_index("customer_id")]  # fmt: skip


def _in_use(asked: Asked, on: Any) -> Any:
    """Services that are on and were used, or switched on, in ninety days."""
    as_of, day = asked.closing.as_of, pc.field("business_on")
    since = as_of - timedelta(days=90)
    s = read(asked, "service_activation", ["customer_id", "service_id", "activated_on", "closed_on"],
              (pc.field("activated_on") <= as_of) & known_by(asked))  # fmt: skip
    s = s[s.closed_on.isna() | (s.closed_on >= on)]
    used = read(asked, "channel_event", ["customer_id", "service_id"],
                 pc.field("service_id").is_valid() & (day >= since) & (day <= as_of) & known_by(asked))  # fmt: skip
    s = s.merge(used.drop_duplicates().assign(is_used=True), how="left", on=["customer_id", "service_id"])
    s = s[s.is_used.notna() | (s.activated_on >= pd.Timestamp(since))]
    return s.groupby("customer_id").service_id.nunique().rename("n_active_services")


def _idle(asked: Asked, on: Any) -> Any:
    """Accounts with at most ten left, open for a year, that nobody moved in it."""
    as_of, known = asked.closing.as_of, known_by(asked)
    since = as_of - timedelta(days=365)
    a = read(asked, "account", ["customer_id", "account_id", "closed_on", "is_social_security"],
              (pc.field("opened_on") <= since) & known)  # fmt: skip
    a = a[(a.closed_on.isna() | (a.closed_on >= on)) & (a.is_social_security != True)]  # noqa: E712  # null is not true
    b = read(asked, "balance", ["customer_id", "account_id", "amount", "asset_class", "to_on"],
              (pc.field("from_on") <= as_of) & known)  # fmt: skip
    b = b[b.to_on.isna() | (b.to_on >= on)]
    left = b.groupby("account_id").amount.sum()
    custody = b[(b.asset_class == "CUSTODY_3P") & (b.amount > 0)].customer_id
    a = a[~a.account_id.isin(left[left > 1000].index) & ~a.customer_id.isin(custody)]
    day = pc.field("business_on")
    t = read(asked, "txn", ["customer_id", "account_id"],
              pc.field("by_customer") & (day > since) & (day <= as_of) & known)  # fmt: skip
    moved = a.account_id.isin(t.account_id) | a.customer_id.isin(t[t.account_id.isna()].customer_id)
    return a[~moved].groupby("customer_id").size().rename("n_idle")


def _salaries(asked: Asked) -> Any:
    """Share of the salaries of three months that stayed seven days after pay day."""
    as_of, day = pd.Timestamp(asked.closing.as_of), pc.field("business_on")
    since = asked.closing.months()[2].first_on - timedelta(days=7)
    t = read(asked, "txn", ["customer_id", "business_on", "txn_type", "counterparty", "amount"],
              (day >= since) & (day <= asked.closing.as_of) & known_by(asked))  # fmt: skip
    key = ["customer_id", "business_on"]
    paid = (
        t[t.txn_type == "SALARY"].groupby(key, as_index=False).amount.sum().sort_values(["business_on", "customer_id"])
    )
    left = t[t.txn_type.isin(["CONSUME", "BILL", "REPAY"]) | ((t.txn_type == "OUT") & (t.counterparty != "OWN"))]
    left = left[left.customer_id.isin(paid.customer_id)].sort_values("business_on")
    after = pd.merge_asof(left, paid.assign(paid_on=paid.business_on)[[*key, "paid_on"]], on="business_on",
                          by="customer_id", tolerance=pd.Timedelta(days=7))  # fmt: skip
    paid = paid[paid.business_on <= as_of - pd.Timedelta(days=7)].set_index(key).amount
    gone = after.groupby(["customer_id", "paid_on"]).amount.sum().rename_axis(key)
    kept = (paid - gone.reindex(paid.index, fill_value=0)).clip(lower=0)
    return (kept.groupby("customer_id").sum() / paid.groupby("customer_id").sum()).rename("salary_kept_share_3m")


def incomes(asked: Asked, policy: SegmentsPolicy) -> Frame:
    """What contracts earned in the twelve months, by customer."""
    tables = {"holding": ("product_id", "opened_on"), "loan": ("product_id", "opened_on"),
              "service_activation": ("service_id", "activated_on")}  # fmt: skip
    frames = {}
    for table, (product, began) in tables.items():
        amount = ["amount"] if table != "service_activation" else []
        rows = read(asked, table, ["customer_id", product, began, "closed_on", *amount], known_by(asked))
        frames[table] = rows.rename(columns={product: "product_id", began: "began_on"})
    held = pd.MultiIndex.from_frame(frames["holding"][["customer_id", "product_id"]])
    loan = frames["loan"]
    frames["loan"] = loan[~pd.MultiIndex.from_frame(loan[["customer_id", "product_id"]]).isin(held)]
    c = pd.concat(frames.values(), ignore_index=True)
    margins = pd.DataFrame.from_dict(
        {name: m.model_dump() for name, m in policy.value.products.items()}, orient="index"
    )
    c = c.join(margins, on="product_id", how="inner")
    first, after = pd.Timestamp(asked.closing.months()[-1].first_on), pd.Timestamp(asked.closing.months()[0].next_on)
    c = c[(c.began_on < after) & (c.closed_on.isna() | (c.closed_on > first))]
    days = (c.closed_on.fillna(after).clip(upper=after) - c.began_on.clip(lower=first)).dt.days.clip(lower=0)
    amount = c.amount.fillna(0) / 100
    income = (amount * c.bp_balance / 10_000 + c.amount_year) * days / 365
    income += (amount * c.pct_first_premium / 100).where(c.began_on >= first, 0)
    exact = np.floor(income * 1_000_000 + 0.5).astype("int64")  # half away from zero, as databases round
    return exact.groupby(c.customer_id).sum().div(1_000_000).rename("income")
