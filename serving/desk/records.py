"""How a decision is kept and told: one record, complete and without sentences that can be written again.

The record holds all that was decided. Its public part is what a caller is told; the sentences of the offers that were
left out, some forty a decision, are written when somebody asks for them.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from decisioning.decision import Decision
from decisioning.reasons import what_would_allow
from features.vocabulary import Purpose, Sensitivity
from serving.desk.statements import beside, placement_id_of, statement
from serving.disclosure import disclosed
from serving.ledger import PlacementRow
from serving.security import Actor

Plain = dict[str, Any]
_PRIVATE = ("suppressed", "shadow")
_GIVEN = {"decision_id", "repeat_of"}
_SERIAL = itertools.count()


class Kept(NamedTuple):
    """One decision in the forms that serving needs: what was decided, and what of it is told, as JSON."""

    decision: Decision
    decision_id: str | None
    repeat_of: str | None
    written: bytes

    @property
    def public(self) -> Plain:
        """What is told as plain data."""
        told: Plain = orjson.loads(self.written)
        return told

    def stored_text(self) -> bytes:
        """The record as the ledger keeps it, in UTF-8."""
        return b"".join((self.written[:-1], b",", beside(self.decision)[1:]))


def written(plain: Plain) -> bytes:
    """A record as compact JSON in UTF-8, floats by their shortest exact form.

    >>> written({"n": 1, "名": [None, 0.1]}).decode()
    '{"n":1,"名":[null,0.1]}'
    """
    return orjson.dumps(plain)


def new_decision_id(now: datetime) -> str:
    """An id that sorts by time and that no other process gives.

    >>> at = datetime(2025, 12, 31, 4)
    >>> new_decision_id(at) < new_decision_id(at)
    True
    """
    micros = int(now.timestamp() * 1_000_000)
    return f"d{micros:014x}{next(_SERIAL) & 0xFFFFF:05x}{secrets.token_hex(5)}"


def kept_of(decision: Decision, decision_id: str | None, repeat_of: str | None) -> Kept:
    """The record of a decision; without an id (a dry run) its slots have no placement."""
    return Kept(decision, decision_id, repeat_of, statement(decision, decision_id, repeat_of))


def plain(decision: Decision) -> Plain:
    """All that was decided as plain data, reasons against an offer as [offer, filter, code, until]."""
    return decided_part(json.loads(kept_of(decision, None, None).stored_text()))


def decided_part(record: Plain) -> Plain:
    """A stored record without the ids that serving gave it: what deciding again must give to the bit."""
    offers = [{name: value for name, value in slot.items() if name != "placement_id"} for slot in record["offers"]]
    decided = {name: value for name, value in record.items() if name not in _GIVEN}
    return decided | {"offers": offers, "suppressed": left_out_of(record)}


def left_out_of(record: Plain) -> list[list[Any]]:
    """The offers that a stored record left out as [offer, filter, code, until], in order of their id.

    Older records have them so; later ones say each filter, code and end once, with the offers that it put out.

    >>> left_out_of({"suppressed": [["eligibility", "GATE", None, ["P01", "P09"]]]})
    [['P01', 'eligibility', 'GATE', None], ['P09', 'eligibility', 'GATE', None]]
    """
    entries = record["suppressed"]
    if entries and isinstance(entries[0][3], list):
        entries = [[name, *reason] for *reason, names in entries for name in names]
    return sorted(entries, key=itemgetter(0))


def public_of(stored_text: str | bytes) -> Plain:
    """What was told of a stored decision."""
    return {name: value for name, value in json.loads(stored_text).items() if name not in _PRIVATE}


def told(kept: Kept, explain: str, actor: Actor) -> bytes:
    """What `actor`, who asked for `explain` (none, reasons, full), is told, as JSON."""
    if explain == "reasons" and actor.may_see(Sensitivity.C2):
        return kept.written
    public = kept.public
    if explain == "reasons":
        return orjson.dumps(disclosed(public, actor))
    if explain == "full":
        left_out = left_out_of(orjson.loads(kept.stored_text()))
        return orjson.dumps(disclosed(public | {"suppressed": suppressed_in_words(left_out)}, actor))
    return orjson.dumps(public | {"offers": [slot | {"reasons": [], "playbook": None} for slot in public["offers"]]})


def suppressed_in_words(suppressed: Iterable[Iterable[Any]]) -> list[Plain]:
    """Offers left out, each as (offer, filter, code, until), with what would allow it, in both languages."""
    return [
        {"offer_id": offer_id, "filter": name, "code": code, "until": until,
         "what_would_allow_it": what_would_allow(code).to_json()}
        for offer_id, name, code, until in suppressed
    ]  # fmt: skip


def placements_of(kept: Kept, costs: Mapping[str, Decimal]) -> tuple[PlacementRow, ...]:
    """The placements of a decision that has an id, at the `costs` of each channel; care is not counted as sales."""
    decision_id = str(kept.decision_id)
    return tuple([
        PlacementRow(
            placement_id_of(decision_id, slot.rank),
            slot.rank,
            slot.treatment.offer_id,
            slot.treatment.treatment_id,
            slot.treatment.channel,
            slot.propensity,
            slot.expires_at,
            Purpose.SERVICE if slot.treatment.is_care else Purpose.SALES,
            costs[slot.treatment.channel],
        )
        for slot in kept.decision.offers
    ])  # fmt: skip
