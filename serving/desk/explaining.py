"""Why a decision came out as it did: from what was stored with it, for eyes of a given clearance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from decisioning.stored import facts_told
from features.policy import SegmentsPolicy
from serving.desk.leaving import leaving
from serving.desk.records import left_out_of, suppressed_in_words
from serving.disclosure import disclosed, seen_tags, shown_to
from serving.ledger import DecisionRow
from serving.security import Actor


def explanation(row: DecisionRow, home: Path, segments: SegmentsPolicy, actor: Actor) -> dict[str, Any]:
    """Who asked, what was offered and why, what was not and what would allow it, why the customer was thought to leave,
    and the facts, as far as `actor` may see."""
    record, inputs = json.loads(row.answer), json.loads(row.inputs)
    record = disclosed(record | {"suppressed": suppressed_in_words(left_out_of(record))}, actor)
    return {
        "decision_id": row.decision_id,
        "customer_id": row.customer_id,
        "decided_at": row.decided_at.isoformat(),
        "asked_by": row.actor,
        "release_id": row.release_id,
        "segments_digest": row.segments_digest,
        "decisions_digest": row.decisions_digest,
        "no_action": record["no_action"],
        "no_action_reason": record["no_action_reason"],
        "marks": record["marks"],
        "offers": record["offers"],
        "suppressed": record["suppressed"],
        "leaving": leaving(home, row.release_id, inputs, actor),
        "facts": _facts(inputs, segments, actor),
    }


def _facts(inputs: dict[str, Any], segments: SegmentsPolicy, actor: Actor) -> dict[str, Any]:
    """Facts that were known, by name; those that are not on the actor's list are left out, and so are such tags."""
    shown = shown_to(actor)
    every = facts_told(inputs)
    if "tags" in every:
        tags = seen_tags([tag for tag in str(every["tags"]).split("|") if tag], segments, actor)
        every["tags"] = f"|{'|'.join(tags)}|" if tags else "|"
    return {name: value for name, value in sorted(every.items()) if name in shown}
