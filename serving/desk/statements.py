"""A decision under the names of POST /v1/decisions; what many decisions have in common is written once."""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import Any

import orjson
from orjson import Fragment

from decisioning.catalogue.variants import Variant
from decisioning.decision import Decision, Slot
from decisioning.reasons import Reason


def placement_id_of(decision_id: str, rank: int) -> str:
    """Id of the placement in slot `rank` of a decision."""
    return f"p{decision_id[1:]}-{rank}"


def statement(decision: Decision, decision_id: str | None, repeat_of: str | None) -> bytes:
    """What a caller is told, as JSON; without an id (a dry run) the slots have no placement.

    Floats stand in their shortest exact form. Raises ArithmeticError for a score that is not a number.
    """
    return orjson.dumps({
        "decision_id": decision_id,
        "decided_at": decision.decided_at,
        "customer_id": decision.customer_id,
        "cell": {"customer_class": decision.customer_class, "stage": decision.stage},
        "tier": decision.tier,
        "grade": decision.grade,
        "benefits": decision.benefits,
        "variant": _variant(decision.variant),
        "release_id": decision.release_id,
        "prices_version": decision.prices_version,
        "arm": {"name": decision.arm.name, "holdout": decision.arm.holdout},
        "offers": [_slot(slot, decision_id) for slot in decision.offers],
        "no_action": decision.no_action is not None,
        "no_action_reason": _reason(decision.no_action),
        "end_propensity": decision.end_propensity,
        "marks": _marks(decision.marks),
        "degraded": decision.degraded,
        "stale": decision.stale,
        "fallback": decision.fallback,
        "repeat_of": repeat_of,
    })  # fmt: skip


def beside(decision: Decision) -> bytes:
    """What is kept beside it: the offers left out, each reason as (filter, code, until, offers), and the shadow."""
    return orjson.dumps({
        "suppressed": [tuple(out) for out in decision.left_out],
        "shadow": [slot._asdict() for slot in decision.shadow],
    })  # fmt: skip


def _slot(slot: Slot, decision_id: str | None) -> dict[str, Any]:
    """A slot; JSON has neither NaN nor infinity, and the writer would write null for a score that is one."""
    rank, treatment, score, components, p_channel, propensity, reasons, expires_at = slot
    if not isfinite(score):
        raise ArithmeticError(f"the score of offer {treatment.offer_id} is not a number")
    p, uplift, is_assumed, value, reward, cost, context, lever, shadow_price = components
    return {
        "placement_id": None if decision_id is None else placement_id_of(decision_id, rank),
        "rank": rank,
        **treatment.named,
        "score": score,
        "components": {
            "p": p, "uplift": uplift, "uplift_is_assumed": is_assumed, "value": value, "reward": reward, "cost": cost,
            "context": context, "lever": lever, "shadow_price": shadow_price,
        },
        "p_channel": p_channel,
        "propensity": propensity,
        "reasons": reasons.told,
        "playbook": {"why": reasons.why, **treatment.said},
        "expires_at": expires_at,
    }  # fmt: skip


@lru_cache(1 << 12)
def _variant(seen: Variant | None) -> Fragment | None:
    return None if seen is None else Fragment(orjson.dumps(seen.to_json()))


@lru_cache
def _reason(code: str | None) -> Fragment | None:
    return None if code is None else Fragment(orjson.dumps(Reason(code).to_json()))


@lru_cache
def _marks(codes: tuple[str, ...]) -> Fragment:
    return Fragment(orjson.dumps([Reason(code).to_json() for code in codes]))
