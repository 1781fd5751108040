"""GET /v1/customers/{id}: the portrait (客户画像) of one customer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from serving.api.answers import answer
from serving.api.listings import Portrait
from serving.api.openapi import READING, problems
from serving.deciding import Desk, unknown_customer
from serving.portraits import portrait
from serving.security import Actor, asking, require

router = APIRouter(prefix="/v1/customers", tags=["customers"])


@router.get("/{customer_id}", response_model=None, responses={200: {"model": Portrait}, **problems(404, *READING)})
async def show_customer(
    request: Request, actor: Annotated[Actor, Depends(asking("read_customer"))], customer_id: str
) -> Response:
    """Who the customer is to the bank today: tier, grade, class, stage, tags, holdings, contacts, scores."""
    require(actor, "read_customer", customer_id)
    desk: Desk = request.app.state.desk
    now: datetime = desk.clock.now()
    known = desk.known(customer_id, now)
    if known is None:
        raise unknown_customer(customer_id)
    ground = desk.ground()
    return answer(portrait(known, ground, ground.rulebook(ground.business_day(now)), actor))
