"""GET /v1/decisions?from=&to=: what was decided, page by page, as the frame that a scientist learns from."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime
from starlette.responses import Response

from serving.api.answers import answer
from serving.api.listings import LoggedDecisions
from serving.api.openapi import READING, problems
from serving.desk.deciding import Desk
from serving.ledger import DecisionPage, PlacementRow, StoredDecision
from serving.security import Actor, asking, can

router = APIRouter(prefix="/v1/decisions", tags=["decisions"])
Reader = Annotated[Actor, Depends(asking("read_decision"))]
MOST_DECISIONS = 1_000


@router.get("", response_model=None, responses={200: {"model": LoggedDecisions}, **problems(*READING)})
async def list_decisions(
    request: Request,
    actor: Reader,
    start: Annotated[AwareDatetime, Query(alias="from", description="first instant")],
    end: Annotated[AwareDatetime, Query(alias="to", description="instant after the last")],
    limit: Annotated[int, Query(ge=1, le=MOST_DECISIONS)] = 500,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Decisions with from ≤ decided_at < to in order of time, with what each slot held and how probable that was.

    Of an actor with a book his own customers alone, so that a page may be short; `next_cursor` is null on the last.
    """
    page = await asyncio.to_thread(_page, request.app.state.desk, start, end, cursor, limit)
    told = [_told(stored) for stored in page.rows if can(actor, "read_decision", stored.row.customer_id)]
    return answer({"decisions": told, "next_cursor": page.next_cursor})


def _page(desk: Desk, start: datetime, end: datetime, cursor: str | None, limit: int) -> DecisionPage:
    return desk.ledger.decisions(start, end, cursor, limit)


def _told(stored: StoredDecision) -> dict[str, Any]:
    row = stored.row
    return {
        "decision_id": row.decision_id,
        "decided_at": row.decided_at.isoformat(),
        "customer_id": row.customer_id,
        "channel": row.channel,
        "arm": row.arm,
        "repeat_of": row.repeat_of,
        "release_id": row.release_id,
        "prices_version": row.prices_version,
        "degraded": row.is_degraded,
        "fallback": row.is_fallback,
        "stale": row.is_stale,
        "placements": [_slot(placement) for placement in row.placements],
    }


def _slot(placement: PlacementRow) -> dict[str, Any]:
    return {
        "placement_id": placement.placement_id,
        "rank": placement.rank,
        "offer_id": placement.offer_id,
        "treatment_id": placement.treatment_id,
        "channel": placement.channel,
        "purpose": placement.purpose,
        "propensity": placement.propensity,
    }
