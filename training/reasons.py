"""Why a customer is thought to leave: what raised his probability most, in words of the marketing floor (I01).

The features of the churn model belong to families of causes. What the features of a family add to the log-odds is
summed, and the families that add most are the reasons; what lowers p is none. How the bank served him stands apart in
three families of its own, so that bad service is named when it is the cause. A reason is what the model went by, which
need not be what moves the customer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from training.encoding import Arrays
from training.fitted import FittedModel

N_REASONS = 3
_LEAST = 0.05  # of the log-odds: below it a family has not moved p by a twentieth


class Cause(StrEnum):
    """A family of causes; those that begin with SERVICE are the bank's own doing."""

    SERVICE_COMPLAINT = "SERVICE_COMPLAINT"
    SERVICE_APP = "SERVICE_APP"
    SERVICE_WAIT = "SERVICE_WAIT"
    MONEY = "MONEY"
    SILENCE = "SILENCE"
    WAY_OUT = "WAY_OUT"
    RELATION = "RELATION"
    STANDING = "STANDING"
    PERSON = "PERSON"

    @property
    def is_service(self) -> bool:
        return self.value.startswith("SERVICE")


TEXTS: Mapping[Cause, tuple[str, str]] = {
    Cause.SERVICE_COMPLAINT: ("近三个月有投诉", "complained in the last three months"),
    Cause.SERVICE_APP: ("手机银行崩溃、报错或缓慢", "the app broke off, failed or was slow"),
    Cause.SERVICE_WAIT: ("办理环节失败、放弃或等待过久", "steps failed, were given up or took too long"),
    Cause.MONEY: ("资金减少或流出", "money has gone down or out"),
    Cause.SILENCE: ("交易与登录减少", "fewer transactions and visits"),
    Cause.WAY_OUT: ("查看转出页面", "looked at the way out"),
    Cause.RELATION: ("产品与服务少,联系少", "few products, services or contacts"),
    Cause.STANDING: ("所处生命周期与层级", "stage of life with the bank, tier and grade"),
    Cause.PERSON: ("客户自身特征", "who the customer is"),
}
_PREFIXES: tuple[tuple[str, Cause], ...] = (
    ("n_complaints", Cause.SERVICE_COMPLAINT), ("worst_complaint", Cause.SERVICE_COMPLAINT),
    ("n_app_", Cause.SERVICE_APP), ("app_latency", Cause.SERVICE_APP),
    ("n_failed_steps", Cause.SERVICE_WAIT), ("n_given_up_steps", Cause.SERVICE_WAIT),
    ("longest_step", Cause.SERVICE_WAIT),
    ("n_transfer_out", Cause.WAY_OUT),
    ("mda", Cause.MONEY), ("aum", Cause.MONEY), ("invest", Cause.MONEY), ("deposit", Cause.MONEY),
    ("out_amount", Cause.MONEY), ("n_out", Cause.MONEY), ("largest_", Cause.MONEY), ("salary", Cause.MONEY),
    ("n_salary", Cause.MONEY),
    ("is_hot_money", Cause.MONEY), ("value_", Cause.MONEY), ("reference_mda", Cause.MONEY),
    ("best_below", Cause.MONEY), ("next_tier_gap", Cause.MONEY),
    ("n_txn", Cause.SILENCE), ("txn_", Cause.SILENCE), ("app_days", Cause.SILENCE), ("n_logins", Cause.SILENCE),
    ("active_days", Cause.SILENCE),
    ("n_channels", Cause.SILENCE), ("drop_off", Cause.SILENCE), ("event_", Cause.SILENCE),
    ("n_deposit_views", Cause.SILENCE), ("n_wealth_views", Cause.SILENCE), ("n_insurance_views", Cause.SILENCE),
    ("n_loan_views", Cause.SILENCE), ("n_card_views", Cause.SILENCE),
    ("n_holdings", Cause.RELATION), ("n_asset", Cause.RELATION), ("has_", Cause.RELATION),
    ("n_services", Cause.RELATION), ("n_active_services", Cause.RELATION), ("n_contacts", Cause.RELATION),
    ("most_categories", Cause.RELATION), ("n_sales", Cause.RELATION), ("n_conversions", Cause.RELATION),
    ("tier", Cause.STANDING), ("grade", Cause.STANDING), ("stage", Cause.STANDING), ("previous_stage", Cause.STANDING),
    ("months_", Cause.STANDING), ("near_", Cause.STANDING), ("cell", Cause.STANDING),
    ("customer_class", Cause.STANDING), ("class_", Cause.STANDING), ("wealth_months", Cause.STANDING),
    ("decline_", Cause.STANDING), ("is_stale", Cause.STANDING), ("is_customer", Cause.STANDING),
    ("is_won_back", Cause.STANDING), ("is_reactivated", Cause.STANDING),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reason:
    """One family of causes and what it added to the log-odds of leaving."""

    code: Cause
    zh: str
    en: str
    weight: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def cause_of(feature: str) -> Cause:
    """The family of a feature of the churn model; what is in none describes the person.

    >>> cause_of("n_complaints_3m"), cause_of("mda_mean_3m"), cause_of("gender")
    (<Cause.SERVICE_COMPLAINT: 'SERVICE_COMPLAINT'>, <Cause.MONEY: 'MONEY'>, <Cause.PERSON: 'PERSON'>)
    """
    return next((cause for prefix, cause in _PREFIXES if feature.startswith(prefix)), Cause.PERSON)


def reasons_of(model: FittedModel, facts: Arrays, n_reasons: int = N_REASONS) -> list[tuple[Reason, ...]]:
    """For each row of `facts` the families that raise p most, greatest first; none where nothing raises it.

    The family of the single feature that adds most is always among them: where that is a service feature, the bank
    is told so even if many small signs of another family outweigh it.
    """
    added = model.trees.contributions(model.recipe.encode(facts))
    causes = [cause_of(name) for name in model.recipe.names]
    families = list(dict.fromkeys(causes))
    sums = np.column_stack([added[:, [cause is one for one in causes]].sum(axis=1) for cause in families])
    return [
        _reasons(dict(zip(families, row, strict=True)), causes[int(np.argmax(single))], single.max(), n_reasons)
        for row, single in zip(sums.tolist(), added, strict=True)
    ]


def _reasons(weights: Mapping[Cause, float], first: Cause, most: float, n_reasons: int) -> tuple[Reason, ...]:
    """The heaviest families; in the last place `first`, whose one feature added `most`, if it is not among them."""
    ranked = [cause for cause in sorted(weights, key=lambda cause: -weights[cause]) if weights[cause] >= _LEAST]
    chosen = ranked[:n_reasons]
    if most >= _LEAST and first not in chosen:
        chosen = [*ranked[: n_reasons - 1], first]
    return tuple(Reason(cause, *TEXTS[cause], weights[cause]) for cause in chosen)
