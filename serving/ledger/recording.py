"""Writes decisions, with their placements and their place in the chain, in the writer's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.exc import IntegrityError

from features.errors import BadRequest
from serving.ledger.chain import CHAIN, HEAD, WRITE_HEAD, Chain, Head
from serving.ledger.prepared import Prepared, Statements
from serving.ledger.rows import DecisionRow, PlacementRow
from serving.ledger.tables import decision, micros, minor, placement


class AlreadyRecorded(BadRequest):
    """A decision or placement of this id is in the ledger."""

    slug = "already-recorded"


class Recorder:
    """Appends decisions to the chain; its statements are compiled once."""

    def __init__(self, chain: Chain, dialect: Dialect) -> None:
        self._chain = chain
        self._decision = Prepared(decision.insert(), dialect)
        self._placement = Prepared(placement.insert(), dialect)
        self._head = Prepared(HEAD.with_for_update(), dialect)
        self._write_head = Prepared(WRITE_HEAD, dialect)

    def record(self, connection: Statements, rows: Sequence[DecisionRow]) -> None:
        """Append `rows` in their order; the transaction decides for all of them together; raises AlreadyRecorded."""
        if not rows:
            return
        last = Head(*self._head.run(connection, [{"of_chain": CHAIN}]).fetchone())
        decisions: list[dict[str, Any]] = []
        placements: list[dict[str, Any]] = []
        for row in rows:
            slots = [_slot(slot, row) for slot in sorted(row.placements, key=attrgetter("rank", "placement_id"))]
            values = _values(row, last)
            values["row_hash"] = self._chain.row_hash(last.row_hash, values, slots)
            last = Head(values["seq"], values["row_hash"])
            decisions.append(values)
            placements += slots
        try:
            self._decision.run(connection, decisions)
            if placements:
                self._placement.run(connection, placements)
        except IntegrityError as error:
            raise AlreadyRecorded("a decision or placement of this id is recorded already", value=rows[0].decision_id,
                                  todo="make a new id for every decision") from error  # fmt: skip
        self._write_head.run(connection, [{"of_chain": CHAIN, "new_seq": last.seq, "new_hash": last.row_hash}])


def _values(row: DecisionRow, last: Head) -> dict[str, Any]:
    return {
        "seq": last.seq + 1,
        "decision_id": row.decision_id,
        "customer_id": row.customer_id,
        "decided_at": micros(row.decided_at),
        "channel": row.channel,
        "release_id": row.release_id,
        "prices_version": row.prices_version,
        "segments_digest": row.segments_digest,
        "decisions_digest": row.decisions_digest,
        "arm": row.arm,
        "repeat_of": row.repeat_of,
        "is_degraded": bool(row.is_degraded),
        "is_fallback": bool(row.is_fallback),
        "is_stale": bool(row.is_stale),
        "answer": _text(row.answer),
        "inputs": _text(row.inputs),
        "prev_hash": last.row_hash,
        "actor": row.actor,
    }


def _text(given: str | bytes) -> str:
    return given if isinstance(given, str) else given.decode()


def _slot(slot: PlacementRow, row: DecisionRow) -> dict[str, Any]:
    return {
        "placement_id": slot.placement_id,
        "decision_id": row.decision_id,
        "customer_id": row.customer_id,
        "rank": int(slot.rank),
        "offer_id": slot.offer_id,
        "treatment_id": slot.treatment_id,
        "channel": slot.channel,
        "purpose": str(slot.purpose),
        "propensity": None if slot.propensity is None else float(slot.propensity),
        "cost_minor": minor(slot.cost_amount),
        "expires_at": micros(slot.expires_at),
    }
