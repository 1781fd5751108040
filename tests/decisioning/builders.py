"""A small bank's decisions policy, customers and inputs, with everything that a test does not name set to a default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import numpy as np

from decisioning.catalogue.catalogue import Catalogue
from decisioning.decide import decide
from decisioning.decision import Decision
from decisioning.inputs import Inputs, Recent
from decisioning.policy import DecisionsPolicy, decisions
from features.facts import FACTS
from features.vocabulary import Kind, Stage

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)  # noon in Shanghai
NIGHT = datetime(2026, 3, 10, 14, tzinfo=UTC)  # ten in the evening there
USUAL: Mapping[str, Any] = {
    "age": 40, "aum_now": 100_000, "risk_level": 3, "is_risk_valid": 1, "days_with_product": 400, "n_services_3m": 3,
    "active_days_3m": 20, "n_conversions_12m": 1, "n_open_complaints": 0, "has_marketing_optout": 0, "is_staff": 0,
    "overdue_days": 0, "customer_class": "SAVER", "stage": "GROWTH", "tier": "V2", "grade": "C", "other_classes": "|",
    "held_products": "|", "active_services": "|", "investor_type": "ORDINARY", "consented_channels": "|ALL|",
    "do_not_call": "|", "tags": "|", "first_product_on": "2025-01-01", "has_profiling_optout": 0,
}  # fmt: skip


def product(**changes: Any) -> dict[str, Any]:
    margin = {"value": changes.pop("yearly", 365.0), "unit": "amount_year"}  # 365 a year are 180 over the horizon
    usual = {
        "zh": "产品", "en": "product", "kind": "financial", "category": "存款", "subcategory": "deposit",
        "role": "hook", "risk_issuer": 0, "risk_own": 0, "min_amount": 0, "margin": margin,
        "channels": ("APP", "SMS", "RM"), "outcome_days": 30,
    }  # fmt: skip
    return usual | changes


def channel(mode: str, cost: float, **changes: Any) -> dict[str, Any]:
    return {"zh": "渠道", "en": "channel", "mode": mode, "unit_cost_amount": cost} | changes


def offer(**changes: Any) -> dict[str, Any]:
    return {"copy_zh": "文案", "copy_en": "copy"} | changes


def hook(reward: float = 0.0, **changes: Any) -> dict[str, Any]:
    given = {"kind": "POINTS" if reward else "NONE", "amount": reward, "trigger": ["TASK"] if reward else []}
    return {"zh": "钩子", "en": "hook", "reward": given, "kpi": "kept"} | changes


def small_sections() -> dict[str, Any]:
    """Sections of a bank with three classes and ten offers, one of every kind."""
    shipped = {name: getattr(decisions().view(date(2026, 1, 1)), name) for name in ("legality", "wording")}
    cell = {"goal": "keep", "goal_zh": "守住", "products": ["DEP", "SCENE"], "hook": "TASKS"}
    other = {"goal": "lend", "goal_zh": "信贷", "products": ["LOAN", "FUND"], "hook": "CAREHOOK"}
    default = {"goal": "wake", "goal_zh": "唤醒", "products": ["TOOL"], "hook": "TASKS"}
    return shipped | {
        "products": {
            "DEP": product(role="core", min_amount=50_000, is_repeatable=True),
            "FUND": product(
                role="core", category="理财", subcategory="fund", risk_issuer=2, risk_own=3, readiness_min=0.5,
                yearly=730,
            ),
            "LOAN": product(
                role="core", category="贷款", subcategory="loan", min_amount=10_000, yearly=1460,
                gate="overdue_days == 0 and age < 60",
            ),
            "PRIVATE": product(
                category="理财", subcategory="fund", risk_issuer=5, risk_own=4, is_private_placement=True,
                channels=["RM"],
            ),
            "SCENE": product(kind="platform", category="场景", subcategory="bills", role="platform", yearly=-36.5,
                             follow_on_amount=30.0),
            "TOOL": product(kind="tool", category="工具", subcategory="points", role="tool", yearly=20_000),
        },
        "services": {
            "REMEDY": {"zh": "补救", "en": "remedy", "when": "n_open_complaints >= 1", "value_amount": 4.0,
                       "retention_amount": 100.0, "channels": ["APP", "CALL", "RM"]},
        },
        "hooks": {
            "TASKS": hook(5.0, follow_on_amount=50.0),
            "CAREHOOK": hook(is_care=True, follow_on_amount=20.0, entry="stage == 'DECLINE'"),
        },
        "offers": {
            **{name: offer(product=name) for name in ("DEP", "FUND", "LOAN", "PRIVATE", "SCENE", "TOOL")},
            "DEP-TASKS": offer(product="DEP", hook="TASKS"),
            "TASKS": offer(hook="TASKS", channels=["APP", "SMS"]),
            "CAREHOOK": offer(hook="CAREHOOK", channels=["CALL", "RM"]),
            "REMEDY": offer(service="REMEDY"),
            "NEWS": offer(is_information=True, channels=["APP"]),
        },
        "channels": {
            "APP": channel("in_session", 0.0, allowed_for="customer_class != 'ELDER' or 'digital' in tags"),
            "SMS": channel("outbound", 0.05, sales_max=1, sales_window_days=7, has_quiet_hours=True),
            "CALL": channel("outbound", 5.0, sales_max=1, has_quiet_hours=True),
            "RM": channel("face_to_face", 20.0),
        },
        "matrix": {
            "SAVER": {str(stage): cell for stage in Stage},
            "ELDER": {str(stage): other for stage in Stage},
            "EVERYBODY": {str(stage): default for stage in Stage},
        },
        "variants": {
            "bands": {"LOW": ["V0", "V2"], "HIGH": ["VVIP"]},
            "classes": {
                "SAVER": {"HIGH": {"channels": ["RM", "CALL"], "benefit": "LOUNGE", "leads": ["DEP", "FUND"]}},
                "ELDER": {"LOW": {"channels": ["SMS", "APP"], "benefit": "POINTS", "leads": ["LOAN"]}},
            },
            "cards": {},
        },
        "overlays": [
            {"id": "MATURITY", "when": "days_to_maturity <= 14", "hook": "TASKS", "offers": ["FUND"], "factor": 1.9},
            {"id": "OURS", "when": "tier == 'VVIP'", "hook": "CAREHOOK", "offers": ["FUND"], "factor": 1.4},
        ],
        "exclusions": [
            {"code": "STAFF", "when": "is_staff"},
            {"code": "OVERDUE", "when": "overdue_days > 0", "keeps_care": True},
        ],
        "contact": {
            "sales_max": 4, "sales_window_days": 30, "all_max": 8, "all_window_days": 30, "survey_max": 1,
            "survey_window_days": 90, "quiet_from_hour": 21, "quiet_to_hour": 9, "refusal_days": 30,
        },
        "suitability": {"age_caps": {65: 2, 80: 1}},
        "readiness": {
            "weights": {"days": 0.3, "services": 0.3, "active_days": 0.2, "hook_done": 0.2},
            "full_days": 90, "full_services": 3, "full_active_days": 12, "stranger_days": 30,
        },
        "arbitration": {
            "reference_channel": "APP", "relevance_floor_amount": 0, "weight_listed": 1, "weight_secondary": 0.8,
            "weight_unlisted": 0.5, "core_barred_stages": ["PROSPECT", "DORMANT"], "moment_factor": 1.5,
            "lever_min": 0.8, "lever_max": 1.2, "levers": {"理财": 1.1, "贷款": 3.0}, "incremental_share": 0.3,
            "prior_p": 0.02, "lead_factor": 1.2,
            "diversity_max": 2, "diversity_top": 3, "exploration_amount": 0, "holdout_share": 0,
            "holdout_exempt_tiers": ["VVIP"], "offer_expires_days": 14,
        },
    }  # fmt: skip


def small_policy(**changes: Any) -> DecisionsPolicy:
    """The small bank's policy; a keyword replaces a section, or for a mapping some of its keys."""
    sections = small_sections()
    for name, change in changes.items():
        sections[name] = sections[name] | change if isinstance(change, dict) else change
    return DecisionsPolicy(**sections, version=date(2026, 1, 1), digest="small")


@cache
def shipped_policy() -> DecisionsPolicy:
    return decisions().view(date(2026, 1, 1))


def objects(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def facts(*customers: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of the usual customer with each one's changes."""
    rows = [{**USUAL, **customer} for customer in customers]
    names = dict.fromkeys([*USUAL, "p_churn", "days_to_maturity", *(name for row in rows for name in row)])
    return {name: column(name, [row.get(name) for row in rows]) for name in names}


def column(name: str, values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Values of one fact as an array of the fact's kind."""
    kind = FACTS[name].kind
    if kind is Kind.DATE:
        return np.array([value or "NaT" for value in values], dtype="datetime64[D]")
    if kind in (Kind.CODE, Kind.SET):
        return objects(values)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def inputs(
    *customers: Mapping[str, Any],
    catalogue: Catalogue,
    ids: Sequence[str] | None = None,
    p: Any = 0.1,
    share: float = 0.3,
    recent: Iterable[Mapping[str, Any]] = (),
    **changes: Any,
) -> Inputs:
    """Inputs of one usual customer, or of those given; `p` is one figure, an (n, m) array, a mapping, or None."""
    customers = customers or ({},)
    n, m = len(customers), catalogue.m
    usual: dict[str, Any] = {
        "customer_ids": tuple(ids or (f"C{i}" for i in range(n))),
        "facts": facts(*customers),
        "recent": Recent.of(recent),
        "p": _p(p, n, catalogue),
        "p_channel": None,
        "uplift_share": np.full(m, share),
        "uplift_is_assumed": np.ones(m, dtype=bool),
        "channel": "",
        "limit": 3,
        "now": NOON,
        "zone": "Asia/Shanghai",
        "consent_basis": "opt_in",
        "release_id": "R1",
        "epoch": "E1",
        "prices_version": "0",
    }
    return Inputs(**(usual | changes))


def _p(p: Any, n: int, catalogue: Catalogue) -> Any:
    if p is None:
        return None
    if isinstance(p, Mapping):
        row = [p.get(offer_id, 0.0) for offer_id in catalogue.offer_ids]
        return np.tile(np.array(row, dtype=np.float64), (n, 1))
    return np.full((n, catalogue.m), p, dtype=np.float64) if np.isscalar(p) else p


def decided(*customers: Mapping[str, Any], policy: DecisionsPolicy | None = None, **changes: Any) -> Decision:
    """The decision of the first customer."""
    policy = policy or small_policy()
    catalogue = Catalogue.of(policy)
    return decide(inputs(*customers, catalogue=catalogue, **changes), catalogue, policy)[0]


def codes(decision: Decision) -> dict[str, str]:
    """Reason code of every offer that is out."""
    return {out.offer_id: out.code for out in decision.suppressed}


def ids(decision: Decision) -> list[str]:
    """Offers in the order of the list."""
    return [slot.offer_id for slot in decision.offers]
