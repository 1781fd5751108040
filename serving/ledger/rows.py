"""What goes into the ledger and what it answers: frozen rows, checked before they are queued."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from features.errors import BadRequest
from features.vocabulary import Outcome, Purpose
from serving.ledger.tables import micros, minor

CONTACT_STATUSES = ("sent", "delivered", "opened", "failed", "blocked")


class PlacementRow(NamedTuple):
    """One offer in one slot of a decision; `propensity` None: without chance; `cost_amount`: what contacting costs."""

    placement_id: str
    rank: int
    offer_id: str
    treatment_id: str
    channel: str
    propensity: float | None
    expires_at: datetime
    purpose: str = Purpose.SALES
    cost_amount: Decimal = Decimal(0)


class DecisionRow(NamedTuple):
    """One decision as it is kept: `answer` and `inputs` are JSON, the answer given and the inputs by value.

    Both may be given as UTF-8, which saves whoever has just made it a text that is written as bytes again; read back
    they are text. `actor` is who asked for it.
    """

    decision_id: str
    customer_id: str
    decided_at: datetime
    channel: str
    release_id: str
    prices_version: str
    segments_digest: str
    decisions_digest: str
    arm: str
    answer: str | bytes
    inputs: str | bytes
    placements: tuple[PlacementRow, ...] = ()
    repeat_of: str | None = None
    is_degraded: bool = False
    is_fallback: bool = False
    is_stale: bool = False
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision read back, with its place in the chain."""

    row: DecisionRow
    seq: int
    prev_hash: str
    row_hash: str


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """Decisions in order of time, and the cursor of those after them; None at the end."""

    rows: tuple[StoredDecision, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class StoredPlacement:
    """A placement read back, with whose it is."""

    row: PlacementRow
    decision_id: str
    customer_id: str


@dataclass(frozen=True, slots=True)
class FirstDecision:
    """The decision that a customer's later ones of the day repeat."""

    decision_id: str
    release_id: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """What came of a placement; `event_id` is the sender's own key of the event."""

    event_id: str
    placement_id: str
    outcome: str
    occurred_at: datetime
    reason_code: str | None = None
    next_contact_on: date | None = None
    note: str | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ResponseReceipt:
    """What the ledger made of a response; the same event is always answered the same."""

    event_id: str
    placement_id: str
    customer_id: str
    offer_id: str
    outcome: Outcome
    case_id: str | None
    do_not_call: str | None  # the channel that is closed until renewed consent


@dataclass(frozen=True, slots=True)
class ContactRow:
    """One step of one contact: of a placement, or of a contact made elsewhere (customer, channel and purpose).

    Steps belong together by `contact_id`; without one a placement's steps do, and any other step is its own contact.
    """

    event_id: str
    status: str
    at: datetime
    placement_id: str | None = None
    customer_id: str | None = None
    channel: str | None = None
    purpose: str | None = None
    offer_id: str | None = None
    contact_id: str | None = None
    cost_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ContactReceipt:
    """Which contact a step was counted to."""

    event_id: str
    contact_id: str
    customer_id: str


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """A change of consent; `channel`, `category` None are all of them, `proof_id` the proof of the customer's will."""

    consent_id: str
    customer_id: str
    purpose: str
    is_granted: bool
    occurred_at: datetime
    channel: str | None = None
    proof_id: str | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentReceipt:
    """A change of consent that the ledger keeps, and since when it has known it."""

    consent_id: str
    known_at: datetime


@dataclass(frozen=True, slots=True)
class BadRow:
    """Why one row of a batch is refused."""

    index: int
    key: str
    code: str
    message: str


class BadRows(BadRequest):
    """Rows of a batch are not allowed, so none of it was written; `errors` names each."""

    slug = "bad-rows"

    def __init__(self, rows: Iterable[BadRow]) -> None:
        self.rows = tuple(sorted(rows, key=lambda row: row.index))
        self.errors = [
            {"index": str(row.index), "key": row.key, "code": row.code, "message": row.message} for row in self.rows
        ]
        first = self.rows[0]
        super().__init__(
            f"{len(self.rows)} rows are not allowed and none was written; the first: {first.message}",
            value=first.key,
            todo="mend or leave out the rows listed, then send the whole batch again",
        )


_LATER = frozenset({"category"})  # fields that came later count where they are given: an older row keeps its digest


def digest(row: ResponseRow | ContactRow | ConsentRow) -> str:
    """SHA-256 over the content of a row, hexadecimal; the same instant in another zone is the same content."""
    given = {field.name: getattr(row, field.name) for field in fields(row)}
    content = [_plain(value) for name, value in given.items() if name not in _LATER or value is not None]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return micros(value)
    if isinstance(value, Decimal):
        return minor(value)
    return value.isoformat() if isinstance(value, date) else value


def check_decisions(rows: Sequence[DecisionRow]) -> None:
    """Raise BadRequest for what a decision must never carry: an empty or repeated id, an instant without a zone."""
    _check_unique("decision_id", [row.decision_id for row in rows])
    _check_unique("placement_id", [slot.placement_id for row in rows for slot in row.placements])
    for row in rows:
        if not row.customer_id:
            raise BadRequest("a decision names its customer", value=row.decision_id)
        for at in (row.decided_at, *(slot.expires_at for slot in row.placements)):
            if at.tzinfo is None:
                raise BadRequest("an instant names its zone", value=at.isoformat(), todo="pass UTC")
        for slot in row.placements:
            if slot.propensity is not None and not 0 < slot.propensity <= 1:
                raise BadRequest("a propensity is a probability above 0, or None", value=slot.propensity)


def _check_unique(name: str, ids: Sequence[str]) -> None:
    if len(set(ids)) == len(ids) and all(ids):
        return
    repeated = [key for key, n in Counter(ids).items() if n > 1 or not key]
    if repeated:
        raise BadRequest(f"a {name} is empty or given twice", value=repeated[0])
