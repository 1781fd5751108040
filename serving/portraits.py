"""The portrait of one customer: what the rows, the moment and the models say, as far as the caller may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.policy import SegmentsPolicy
from features.vocabulary import Sensitivity
from serving.explaining import C2_FACTS
from serving.ground import Ground, Rulebook
from serving.security import Actor

_TIER = {"state": "tier_state", "since": "tier_since_on", "months_below": "months_below", "near_up": "near_up",
         "next_gap": "next_tier_gap", "mda": "mda", "mda_this_month": "mtd_mda"}  # fmt: skip
_STAGE = {"since": "stage_entered_on", "why": "stage_reason", "previous": "previous_stage"}
_HOLDINGS = {
    "products": "held_products", "services": "active_services", "n_holdings": "n_holdings", "aum": "aum_now",
    "has_deposit": "has_deposit", "has_wealth": "has_wealth", "has_loan": "has_loan", "has_card": "has_card",
    "next_maturity_on": "next_maturity_on", "next_maturity_amount": "next_maturity_amount",
    "next_loan_end_on": "next_loan_end_on",
}  # fmt: skip
_CONTACTS = {
    "n_contacts_7d": "n_contacts_7d", "n_contacts_30d": "n_contacts_30d", "n_contacts_90d": "n_contacts_90d",
    "n_sales_30d": "n_sales_30d", "n_refusals_90d": "n_refusals_90d", "n_conversions_90d": "n_conversions_90d",
    "days_since_contact": "days_since_contact", "n_open_complaints": "n_open_complaints",
    "do_not_call": "do_not_call", "consented_channels": "consented_channels",
}  # fmt: skip
_STANDING = {
    "days_to_maturity": "days_to_maturity", "days_to_loan_end": "days_to_loan_end",
    "days_since_salary": "days_since_salary", "days_since_txn": "days_since_txn",
    "days_since_login": "days_since_login", "overdue_days": "overdue_days", "days_with_product": "days_with_product",
    "risk_level": "risk_level", "is_risk_valid": "is_risk_valid", "investor_type": "investor_type", "age": "age",
}  # fmt: skip
_SETS = {"held_products", "active_services", "do_not_call", "consented_channels", "other_classes", "tags"}
_FLAGS = {"near_up", "has_deposit", "has_wealth", "has_loan", "has_card", "is_risk_valid"}
_COUNTS = ("n_", "months_", "days_", "overdue_days", "risk_level", "age")


@dataclass(frozen=True, slots=True)
class Known:
    """One customer's facts at one moment, arrays of one row."""

    customer_id: str
    facts: Mapping[str, NDArray[Any]]
    p_best: float | None
    is_stale: bool


def portrait(known: Known, ground: Ground, rules: Rulebook, actor: Actor) -> dict[str, Any]:
    """The portrait as plain data; values above the caller's clearance are null and named in `masked`."""
    view = _View(known.facts, cleared=actor.may_see(Sensitivity.C2))
    tier, segments = view.of("tier"), ground.segments
    return {
        "customer_id": known.customer_id,
        "release_id": ground.id,
        "as_of": ground.release.as_of.isoformat(),
        "stale": known.is_stale,
        "cell": {"customer_class": view.of("customer_class"), "stage": view.of("stage")},
        "tier": {"tier": tier, **view.group(_TIER), "next_tier": _next_tier(tier, segments),
                 "benefits": list(segments.tiers.benefits.get(tier or "", ()))},
        "grade": {"grade": view.of("grade")},
        "customer_class": {"customer_class": view.of("customer_class"), "reason": view.of("class_reason"),
                           "also": view.of("other_classes"), "name": _class_name(view.of("customer_class"), segments)},
        "stage": {"stage": view.of("stage"), **view.group(_STAGE)},
        "tags": _tags(view.of("tags") or [], segments, cleared=view.cleared),
        "holdings": view.group(_HOLDINGS),
        "contacts": view.group(_CONTACTS),
        "standing": view.group(_STANDING),
        "scores": {"p_churn": view.of("p_churn"), "p_best": known.p_best,
                   "has_models": rules.scorer.champions.response is not None},
        "masked": sorted(view.masked),
    }  # fmt: skip


class _View:
    """Facts as plain values; those that may not be seen come out as None and are remembered."""

    def __init__(self, facts: Mapping[str, NDArray[Any]], *, cleared: bool) -> None:
        self._facts = facts
        self.cleared = cleared
        self.masked: set[str] = set()

    def of(self, name: str) -> Any:
        value = _plain(name, self._facts.get(name))
        if value is not None and name in C2_FACTS and not self.cleared:
            self.masked.add(name)
            return None
        return value

    def group(self, names: Mapping[str, str]) -> dict[str, Any]:
        return {shown: self.of(name) for shown, name in names.items()}


def _plain(name: str, values: NDArray[Any] | None) -> Any:
    """The one value of an array: dates as ISO, sets as lists, flags as booleans, counts as whole numbers."""
    if values is None:
        return None
    value = values[0]
    if values.dtype.kind == "M":
        return None if np.isnat(value) else str(value)
    if values.dtype == object:
        return _codes(value) if name in _SETS else value
    if np.isnan(value):
        return None
    if name in _FLAGS:
        return bool(value)
    return int(value) if name.startswith(_COUNTS) and float(value).is_integer() else float(value)


def _codes(value: str | None) -> list[str] | None:
    return None if value is None else [code for code in value.split("|") if code]


def _next_tier(tier: str | None, segments: SegmentsPolicy) -> str | None:
    names = list(segments.tiers.thresholds)
    place = names.index(tier) + 1 if tier in names else len(names)
    return names[place] if place < len(names) else None


def _class_name(class_id: str | None, segments: SegmentsPolicy) -> str | None:
    known = segments.classes.classes.get(class_id or "")
    return known.zh if known else class_id


def _tags(tags: list[str], segments: SegmentsPolicy, *, cleared: bool) -> list[str]:
    """Tags that may be seen; one that the policy no longer defines counts as C2."""
    defined = segments.tags
    return [tag for tag in tags if cleared or (tag in defined and defined[tag].sensitivity == Sensitivity.C1)]
