"""The portrait (画像) of one customer: what the rows, the moment and the models say, as far as the caller may see.

A fact that is not on the caller's list (`disclosure`) is absent from its section and named in `masked`; one that the
bank does not know is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.bands import Bands
from features.facts import FACTS
from features.policy import SegmentsPolicy
from features.segments.grades import POINTS
from features.vocabulary import Kind, QualifyPath
from serving.desk.ground import Ground, Rulebook
from serving.desk.leaving import leaving_now
from serving.disclosure import seen_tags, shown_to
from serving.portrait.expectations import Expectation
from serving.security import Actor

Plain = dict[str, Any]
_WHO = (
    "age", "gender", "region", "id_doc_type", "registered_on", "first_product_on", "tenure_days",
    "acquisition_source", "is_student", "is_staff", "has_marketing_optout",
    "has_profiling_optout",
)  # fmt: skip
_TIER = {"state": "tier_state", "since": "tier_since_on", "months_below": "months_below", "near_up": "near_up",
         "next_gap": "next_tier_gap", "mda": "mda", "mda_this_month": "mtd_mda", "is_near_next": "is_near_next",
         "is_near_loss": "is_near_loss", "need_next_amount": "need_next_amount",
         "need_keep_amount": "need_keep_amount", "is_hot_money": "is_hot_money",
         "qualify_path": "qualify_path"}  # fmt: skip
_OF_HELD = (
    "state", "since", "months_below", "near_up", "next_gap", "is_near_next", "is_near_loss", "need_next_amount",
    "need_keep_amount",
)  # fmt: skip
_STAGE = {"since": "stage_entered_on", "why": "stage_reason", "previous": "previous_stage",
          "decline_signs": "decline_signs", "is_stale": "is_stale",
          "is_won_back": "is_won_back", "won_back_on": "won_back_on", "is_reactivated": "is_reactivated",
          "reactivated_on": "reactivated_on"}  # fmt: skip
_HOLDINGS = {
    "products": "held_products", "services": "active_services", "n_active_services": "n_active_services",
    "n_services_3m": "n_services_3m", "n_holdings": "n_holdings", "aum": "aum_now",
    "has_deposit": "has_deposit", "has_wealth": "has_wealth", "has_loan": "has_loan", "has_card": "has_card",
    "next_maturity_on": "next_maturity_on", "next_maturity_amount": "next_maturity_amount",
    "next_loan_end_on": "next_loan_end_on", "has_dormant_account": "has_dormant_account",
}  # fmt: skip
_CONTACTS = (
    "n_contacts_7d", "n_contacts_30d", "n_contacts_90d", "n_sales_30d", "n_refusals_90d", "n_conversions_90d",
    "days_since_contact", "n_open_complaints", "do_not_call", "consented_channels",
    "withheld_categories",
)  # fmt: skip
_STANDING = (
    "days_to_maturity", "days_to_loan_end", "days_since_salary", "days_since_txn", "days_since_login", "overdue_days",
    "days_with_product", "risk_level", "is_risk_valid", "investor_type", "age",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """One customer's facts at one moment, arrays of one row."""

    customer_id: str
    facts: Mapping[str, NDArray[Any]]
    p_best: float | None
    is_stale: bool
    bands: Bands
    next_step: Expectation
    value: Expectation


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around the facts: contact data as far as it may be seen, months past, answers to surveys, events."""

    personal: Mapping[str, str]
    history: Sequence[Plain] = ()
    surveys: Sequence[Plain] = ()
    timeline: Sequence[Plain] = ()


def portrait(known: Known, around: Around, ground: Ground, rules: Rulebook, actor: Actor) -> Plain:
    """The portrait as plain data; what is masked is absent and named in `masked`."""
    view = View(known.facts, shown_to(actor))
    segments = ground.segments
    sections = {
        "customer_id": known.customer_id,
        "release_id": ground.id,
        "as_of": ground.release.as_of.isoformat(),
        "stale": known.is_stale,
        "who": {**around.personal, **view.group(_WHO)},
        "cell": {"customer_class": view.of("customer_class"), "stage": view.of("stage")},
        "tier": _tier(view, around, segments, known.bands),
        "grade": _grade(view, around, segments),
        "customer_class": {"customer_class": view.of("customer_class"), "reason": view.of("class_reason"),
                           "also": view.of("other_classes"), "name": _class_name(view.of("customer_class"), segments)},
        "stage": {"stage": view.of("stage"), **view.group(_STAGE), "history": _moves(around.history, "stage")},
        "tags": seen_tags(view.of("tags") or [], segments, actor),
        "holdings": view.group(_HOLDINGS),
        "contacts": view.group(_CONTACTS),
        "feedback": {**view.group(("n_open_complaints",)), "surveys": [view.allowed(row) for row in around.surveys]},
        "standing": view.group(_STANDING),
        "scores": {**view.group(("p_churn",)), **_told(view, "p_next", known.next_step), "p_best": known.p_best,
                   "has_models": rules.scorer.champions.response is not None},
        "leaving": leaving_now(ground.release, ground.champions.churn, known.facts, actor),
        "value": _value(view, known),
        "timeline": [event for event in around.timeline
                     if event["kind"] != "tag_deleted" or seen_tags([event["tag"]], segments, actor)],
    }  # fmt: skip
    return sections | {"masked": sorted(view.masked)}


class View:
    """Facts as plain values, as far as they are on a list; the others are absent and remembered."""

    def __init__(self, facts: Mapping[str, NDArray[Any]], shown: frozenset[str]) -> None:
        self._facts = facts
        self._shown = shown
        self.masked: set[str] = set()

    def sees(self, name: str) -> bool:
        """Whether the fact is on the list; one that is not is remembered."""
        if name not in self._shown:
            self.masked.add(name)
        return name in self._shown

    def of(self, name: str) -> Any:
        """The value of a fact, None where it is not known or not to be seen."""
        return plain(name, self._facts.get(name)) if self.sees(name) else None

    def group(self, names: Mapping[str, str] | Sequence[str]) -> Plain:
        """The facts that may be seen, under the names they are shown by."""
        pairs = names.items() if isinstance(names, Mapping) else zip(names, names, strict=True)
        return {shown: self.of(name) for shown, name in pairs if self.sees(name)}

    def allowed(self, row: Mapping[str, Any]) -> Plain:
        """A row without what may not be seen; days and instants are no facts."""
        return {name: value for name, value in row.items() if name not in FACTS or self.sees(name)}


def plain(name: str, values: NDArray[Any] | None) -> Any:
    """The one value of a fact's array: dates as ISO, sets as lists, flags as booleans, counts as whole numbers.

    >>> plain("tags", np.array(["|a|b|"], dtype=object)), plain("age", np.array([38.0])), plain("mda", np.array([1.5]))
    (['a', 'b'], 38, 1.5)
    """
    if values is None:
        return None
    value, kind = values[0], FACTS[name].kind
    if values.dtype.kind == "M":
        return None if np.isnat(value) else str(value)
    if values.dtype == object:
        return _codes(value) if kind is Kind.SET else value
    if np.isnan(value):
        return None
    if kind is Kind.FLAG:
        return bool(value)
    return int(value) if kind is Kind.INTEGER else float(value)


def _told(view: View, name: str, expected: Expectation) -> Plain:
    """A score of the portrait's own, and why there is none where there is none."""
    return {name: expected.figure, f"{name}_absent": expected.reason} if view.sees(name) else {}


def _value(view: View, known: Known) -> Plain | None:
    """What he earned the bank, and what is expected of him: an estimate, with the share of his money that stays."""
    section = view.group(("value_12m",)) | _told(view, "value_exp", known.value)
    if "value_exp" in section:
        section |= {
            "is_estimate": known.value.figure is not None,
            "stays": {str(days): share for days, share in known.value.stays},
        }
    return section or None


def _tier(view: View, around: Around, segments: SegmentsPolicy, bands: Bands) -> Plain:
    """The tier held, or that of a new customer whom no month has measured yet, and the way there and to the next."""
    held, thresholds = view.of("tier"), segments.tiers.thresholds
    tier = bands.higher(held, view.of("newcomer_tier"))
    names = list(thresholds)
    place = names.index(tier) + 1 if tier in names else len(names)
    above = names[place] if place < len(names) else None
    section = {
        "tier": tier, **view.group(_TIER), "threshold": thresholds.get(tier or ""), "next_tier": above,
        "next_threshold": thresholds[above] if above else None,
        "benefits": list(segments.tiers.benefits.get(tier or "", ())), "owner": segments.tiers.owners.get(tier or ""),
    }  # fmt: skip
    if tier != held:  # what the month and its morning say is of the tier before
        section |= {name: None for name in _OF_HELD if name in section}
        section |= {"qualify_path": QualifyPath.NEWCOMER.value} if "qualify_path" in section else {}
    section["history"] = [
        {"as_of": row["as_of"].isoformat(), "tier": row["tier"], "state": row["tier_state"]}
        | ({"mda": row["mda"]} if view.sees("mda") else {})
        for row in around.history
    ]
    return section


def _grade(view: View, around: Around, segments: SegmentsPolicy) -> Plain:
    """The grade with its score, the points of each factor, and their weights."""
    return {
        "grade": view.of("grade"),
        **view.group(("grade_score",)),
        "points": view.group(POINTS),
        "weights": dict(segments.grades.weights),
        "history": _moves(around.history, "grade"),
    }


def _moves(history: Sequence[Plain], what: str) -> list[Plain]:
    """The months at whose end it changed, and what it became; the first known month begins the list."""
    moves: list[Plain] = []
    for row in history:
        if not moves or moves[-1][what] != row[what]:
            moves.append({"as_of": row["as_of"].isoformat(), what: row[what]})
    return moves


def _codes(value: str | None) -> list[str] | None:
    return None if value is None else [code for code in value.split("|") if code]


def _class_name(class_id: str | None, segments: SegmentsPolicy) -> dict[str, str] | None:
    return segments.classes.name(class_id) if class_id else None
