"""POST /v1/responses: what came of placements, a batch at a time, all or nothing."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field, TypeAdapter, ValidationError

from features.errors import NotAllowed
from serving.api.answers import answer
from serving.api.documents import MOST_EVENTS, Receipts, Response
from serving.api.openapi import WRITING, body_of, problems
from serving.desk.deciding import Desk
from serving.errors import invalid_fields
from serving.ledger import BadRow, BadRows, ResponseReceipt, ResponseRow
from serving.security import Actor, asking, can

router = APIRouter(prefix="/v1/responses", tags=["responses"])
_BATCH: TypeAdapter[list[Response]] = TypeAdapter(
    Annotated[list[Response], Field(min_length=1, max_length=MOST_EVENTS)]
)
_SKEW = timedelta(minutes=5)  # clocks of tellers' devices run ahead; a bank whose clock stands has none that do


@router.post(
    "",
    response_model=None,
    responses={200: {"model": Receipts}, **problems(*WRITING)},
    openapi_extra=body_of("Response", is_list=True),
)
async def take_responses(request: Request, actor: Annotated[Actor, Depends(asking("respond"))]) -> Any:
    """The receipt of each response. An event sent again is answered as before; one bad row refuses the batch.

    A request not to be called closes its channel and a complaint opens a case, in the same transaction.
    """
    rows = _read(await request.body())
    desk: Desk = request.app.state.desk
    receipts = await asyncio.to_thread(_keep, desk, rows, actor)
    return answer({"responses": [asdict(receipt) for receipt in receipts]})


def _read(body: bytes) -> list[Response]:
    try:
        return _BATCH.validate_json(body)
    except ValidationError as error:
        raise invalid_fields(error.errors(include_url=False, include_context=False, include_input=False)) from None


def _keep(desk: Desk, rows: list[Response], actor: Actor) -> list[ResponseReceipt]:
    now = desk.clock.now()
    latest = now + _SKEW if desk.clock.is_live else now
    early = [
        BadRow(index, row.event_id, "IN_FUTURE", f"occurred_at lies after the server's {now.isoformat()}")
        for index, row in enumerate(rows)
        if row.occurred_at > latest
    ]
    if early:
        raise BadRows(early)
    if actor.book is not None:
        slots = desk.ledger.placements([row.placement_id for row in rows])
        if not all(can(actor, "respond", slot.customer_id) for slot in slots.values()):
            raise NotAllowed("a placement is of a customer outside the caller's book")
    return desk.ledger.responses([_row(row) for row in rows], actor=_name(actor, rows))


def _row(row: Response) -> ResponseRow:
    return ResponseRow(
        event_id=row.event_id,
        placement_id=row.placement_id,
        outcome=row.outcome,
        occurred_at=row.occurred_at,
        reason_code=row.reason_code,
        next_contact_on=row.next_contact_on,
        note=row.note,
    )


def _name(actor: Actor, rows: list[Response]) -> str:
    """Who says so: the key's holder, and the person it names if all rows of the batch name one."""
    people = {row.actor for row in rows}
    person = people.pop() if len(people) == 1 else None
    return f"{actor.name}:{person}" if person else actor.name
