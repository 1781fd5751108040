"""GET /v1/offers: the catalogue in force, page by page."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from decisioning.catalogue.cards import OfferCard
from serving.api.answers import answer
from serving.api.cursors import after, cursor_after
from serving.api.listings import OfferPage
from serving.api.openapi import READING, problems
from serving.desk.deciding import Desk
from serving.security import asking

router = APIRouter(prefix="/v1/offers", tags=["offers"], dependencies=[Depends(asking("read_catalogue"))])


@router.get("", response_model=None, responses={200: {"model": OfferPage}, **problems(*READING)})
async def list_offers(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Any:
    """The offers in order of their id, `limit` at a time; `next_cursor` is null on the last page."""
    desk: Desk = request.app.state.desk
    catalogue = desk.rulebook().catalogue
    start = after(cursor) if cursor else ""
    cards = sorted(
        (card for card in (*catalogue.cards, *catalogue.information) if card.offer_id > start),
        key=lambda card: card.offer_id,
    )
    page = cards[:limit]
    more = len(cards) > limit
    return answer({"offers": [entry(card) for card in page], "next_cursor": cursor_after(page[-1].offer_id) if more
                   else None})  # fmt: skip


def entry(card: OfferCard) -> dict[str, Any]:
    """One offer as the list shows it."""
    return {
        "offer_id": card.offer_id,
        "name": card.name.to_json(),
        "product_id": card.product_id,
        "hook_id": card.hook_id,
        "service_id": card.service_id,
        "category": card.category,
        "risk_level": card.risk_level,
        "min_amount": card.min_amount,
        "reward_amount": card.reward,
        "channels": list(card.channels),
        "copy": card.copy.to_json(),
    }
