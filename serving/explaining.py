"""Why a decision came out as it did: from what was stored with it, for eyes of a given clearance."""

from __future__ import annotations

import json
from typing import Any

from features.vocabulary import Sensitivity
from serving.ledger import DecisionRow
from serving.records import suppressed_in_words
from serving.security import Actor

# Amounts, age and risk tolerance are C2: a caller without clearance, or from outside, does not see them (R33).
C2_FACTS = frozenset(
    {
        "age", "declared_income", "mda", "mda_mean_3m", "mda_mean_6m", "mda_prior_3m", "mda_peak_12m", "aum_end",
        "aum_end_before", "invest_end", "txn_amount_3m", "out_amount_1m", "largest_out_1m", "largest_in_3m",
        "salary_amount_1m", "salary_peak_3m", "best_below", "next_tier_gap", "reference_mda", "mtd_mda", "aum_now",
        "txn_amount_mtd",
        "spend_amount_mtd", "largest_spend_mtd", "next_maturity_amount", "risk_level", "aum_day_minor",
        "rated_mda", "net_mda", "rated_to_date", "net_to_date", "rated_now", "need_next_amount", "need_keep_amount",
        "value_12m", "value_exp", "grade_aum", "grade_contribution",
    }
)  # fmt: skip


def explanation(row: DecisionRow, actor: Actor) -> dict[str, Any]:
    """What was offered and why, what was not and what would allow it, and the facts, as far as `actor` may see."""
    record = json.loads(row.answer)
    return {
        "decision_id": row.decision_id,
        "customer_id": row.customer_id,
        "decided_at": row.decided_at.isoformat(),
        "release_id": row.release_id,
        "segments_digest": row.segments_digest,
        "decisions_digest": row.decisions_digest,
        "no_action": record["no_action"],
        "no_action_reason": record["no_action_reason"],
        "marks": record["marks"],
        "offers": record["offers"],
        "suppressed": suppressed_in_words(record["suppressed"]),
        "facts": _facts(json.loads(row.inputs), actor),
    }


def _facts(inputs: dict[str, Any], actor: Actor) -> dict[str, Any]:
    """Facts that were known, by name; those above the actor's clearance are left out."""
    cleared = actor.may_see(Sensitivity.C2)
    every = {**inputs["numbers"], **inputs["codes"], **inputs["dates"]}
    return {
        name: value for name, value in sorted(every.items()) if value is not None and (cleared or name not in C2_FACTS)
    }
