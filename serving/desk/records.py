"""How a decision is kept and told: one record, complete and without sentences that can be written again.

The record holds all that was decided. Its public part is what a caller is told; the sentences of the offers that were
left out, some forty a decision, are written when somebody asks for them.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any

import orjson

from decisioning.catalogue.catalogue import Catalogue
from decisioning.decision import Decision
from decisioning.reasons import what_would_allow
from features.vocabulary import Purpose, Sensitivity
from serving.disclosure import disclosed
from serving.ledger import PlacementRow
from serving.security import Actor

Plain = dict[str, Any]
_PRIVATE = ("suppressed", "shadow")
_GIVEN = {"decision_id", "repeat_of"}
_SERIAL = itertools.count()


@dataclass(frozen=True, slots=True)
class Kept:
    """One decision in the forms that serving needs: what is told, and what is kept beside it."""

    decision: Decision
    decision_id: str | None
    repeat_of: str | None
    public: Plain
    private: Plain
    public_text: str

    def stored_text(self) -> str:
        """The record as the ledger keeps it."""
        return f"{self.public_text[:-1]},{written(self.private)[1:]}"


def written(plain: Plain) -> str:
    """A record as compact JSON text, floats by their shortest exact form.

    >>> written({"n": 1, "名": [None, 0.1]})
    '{"n":1,"名":[null,0.1]}'
    """
    return orjson.dumps(plain).decode()


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
    public = {"decision_id": decision_id, **decision.stated(), "repeat_of": repeat_of}
    public["offers"] = [
        {"placement_id": None if decision_id is None else placement_id_of(decision_id, slot["rank"]), **_exact(slot)}
        for slot in public["offers"]
    ]
    return Kept(decision, decision_id, repeat_of, public, _private(decision), written(public))


def plain(decision: Decision) -> Plain:
    """All that was decided as plain data, reasons against an offer as (offer, filter, code, until)."""
    return decision.stated() | _private(decision)


def _private(decision: Decision) -> Plain:
    suppressed = [
        (out.offer_id, out.filter, out.code, None if out.until is None else out.until.isoformat())
        for out in decision.suppressed
    ]
    return {"suppressed": suppressed, "shadow": [slot.to_json() for slot in decision.shadow]}


def _exact(slot: Plain) -> Plain:
    """A slot whose score is a number: JSON has neither NaN nor infinity, and the writer would write null for them."""
    if not isfinite(slot["score"]):
        raise ArithmeticError(f"the score of offer {slot['offer_id']} is not a number")
    return slot


def decided_part(record: Plain) -> Plain:
    """A stored record without the ids that serving gave it: what deciding again must give to the bit."""
    offers = [{name: value for name, value in slot.items() if name != "placement_id"} for slot in record["offers"]]
    return {name: value for name, value in record.items() if name not in _GIVEN} | {"offers": offers}


def public_of(stored_text: str) -> Plain:
    """What was told of a stored decision."""
    return {name: value for name, value in json.loads(stored_text).items() if name not in _PRIVATE}


def told(kept: Kept, explain: str, actor: Actor) -> str:
    """What `actor`, who asked for `explain` (none, reasons, full), is told, as JSON text."""
    if explain == "reasons" and actor.may_see(Sensitivity.C2):
        return kept.public_text
    if explain == "reasons":
        return written(disclosed(kept.public, actor))
    if explain == "full":
        full = kept.public | {"suppressed": suppressed_in_words(kept.private["suppressed"])}
        return written(disclosed(full, actor))
    offers = [slot | {"reasons": [], "playbook": None} for slot in kept.public["offers"]]
    return written(kept.public | {"offers": offers})


def suppressed_in_words(suppressed: Iterable[Sequence[Any]]) -> list[Plain]:
    """Offers left out, with what would allow each, in both languages."""
    return [
        {"offer_id": offer_id, "filter": name, "code": code, "until": until,
         "what_would_allow_it": what_would_allow(code).to_json()}
        for offer_id, name, code, until in suppressed
    ]  # fmt: skip


def placements_of(kept: Kept, catalogue: Catalogue, costs: Mapping[str, Decimal]) -> tuple[PlacementRow, ...]:
    """The placements of a decision that has an id, at the `costs` of each channel; care is not counted as sales."""
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
            cost_amount=costs[slot.channel],
        )
        for placement_id, slot in zip(ids, kept.decision.offers, strict=True)
    )
