"""How a decision is kept and told: one record, complete and without sentences that can be written again.

The record holds all that was decided. Its public part is what a caller is told; the sentences of the offers that were
left out, some forty a decision, are written when somebody asks for them.
"""

from __future__ import annotations

import itertools
import json
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from decisioning.catalogue.catalogue import Catalogue
from decisioning.decision import Decision
from decisioning.policy import DecisionsPolicy
from decisioning.reasons import what_would_allow
from features.vocabulary import Purpose
from serving.api.answers import text_of
from serving.ledger import PlacementRow

Plain = dict[str, Any]
_PRIVATE = ("suppressed", "shadow")
_GIVEN = {"decision_id", "repeat_of"}
_SERIAL = itertools.count()


@dataclass(frozen=True, slots=True)
class Kept:
    """One decision in the forms that serving needs: what is told, and what is kept beside it."""

    decision: Decision
    public: Plain
    private: Plain
    public_text: str

    def stored_text(self) -> str:
        """The record as the ledger keeps it."""
        return f"{self.public_text[:-1]},{text_of(self.private)[1:]}"


def new_decision_id(now: datetime) -> str:
    """An id that sorts by time and that no other process gives.

    >>> at = datetime(2025, 12, 31, 4)
    >>> new_decision_id(at) < new_decision_id(at)
    True
    """
    micros = int(now.timestamp() * 1_000_000)
    return f"d{micros:014x}{next(_SERIAL) & 0xFFFFF:05x}{secrets.token_hex(5)}"


def placement_id_of(decision_id: str, rank: int) -> str:
    """Id of the placement in slot `rank` of a decision."""
    return f"p{decision_id[1:]}-{rank}"


def kept_of(decision: Decision, decision_id: str | None, repeat_of: str | None) -> Kept:
    """The record of a decision; without an id (a dry run) its slots have no placement."""
    body = plain(decision)
    private = {name: body.pop(name) for name in _PRIVATE}
    body["offers"] = [
        {"placement_id": None if decision_id is None else placement_id_of(decision_id, slot["rank"]), **slot}
        for slot in body["offers"]
    ]
    public = {"decision_id": decision_id, **body, "repeat_of": repeat_of}
    return Kept(decision, public, private, text_of(public))


def plain(decision: Decision) -> Plain:
    """All that was decided as plain data, reasons against an offer as (offer, filter, code, until)."""
    body = replace(decision, suppressed=()).to_json()
    body["suppressed"] = [
        [out.offer_id, out.filter, out.code, None if out.until is None else out.until.isoformat()]
        for out in decision.suppressed
    ]
    return body


def decided_part(record: Plain) -> Plain:
    """A stored record without the ids that serving gave it: what deciding again must give to the bit."""
    offers = [{name: value for name, value in slot.items() if name != "placement_id"} for slot in record["offers"]]
    return {name: value for name, value in record.items() if name not in _GIVEN} | {"offers": offers}


def public_of(stored_text: str) -> Plain:
    """What was told of a stored decision."""
    return {name: value for name, value in json.loads(stored_text).items() if name not in _PRIVATE}


def told(kept: Kept, explain: str) -> str:
    """What a caller who asked for `explain` (none, reasons, full) is told, as JSON text."""
    if explain == "reasons":
        return kept.public_text
    if explain == "full":
        return text_of(kept.public | {"suppressed": suppressed_in_words(kept.private["suppressed"])})
    offers = [slot | {"reasons": [], "playbook": None} for slot in kept.public["offers"]]
    return text_of(kept.public | {"offers": offers})


def suppressed_in_words(suppressed: list[list[Any]]) -> list[Plain]:
    """Offers left out, with what would allow each, in both languages."""
    return [
        {"offer_id": offer_id, "filter": name, "code": code, "until": until,
         "what_would_allow_it": what_would_allow(code).to_json()}
        for offer_id, name, code, until in suppressed
    ]  # fmt: skip


def placements_of(kept: Kept, catalogue: Catalogue, policy: DecisionsPolicy) -> tuple[PlacementRow, ...]:
    """The placements of a decision that has an id; care is not counted as sales."""
    ids = [slot["placement_id"] for slot in kept.public["offers"]]
    return tuple(
        PlacementRow(
            placement_id=placement_id,
            rank=slot.rank,
            offer_id=slot.offer_id,
            treatment_id=slot.treatment_id,
            channel=slot.channel,
            propensity=slot.propensity,
            expires_at=slot.expires_at,
            purpose=Purpose.SERVICE if catalogue.is_care[catalogue.index[slot.offer_id]] else Purpose.SALES,
            cost_amount=Decimal(str(policy.channels[slot.channel].unit_cost_amount)),
        )
        for placement_id, slot in zip(ids, kept.decision.offers, strict=True)
    )
