"""GET /v1/customers/{id}: the portrait (客户画像) of one customer."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from serving.api.answers import answer
from serving.api.listings import Portrait
from serving.api.openapi import READING, problems
from serving.portrait.portraying import portrayed
from serving.security import Actor, asking, require

router = APIRouter(prefix="/v1/customers", tags=["customers"])


@router.get("/{customer_id}", response_model=None, responses={200: {"model": Portrait}, **problems(404, *READING)})
async def show_customer(
    request: Request, actor: Annotated[Actor, Depends(asking("read_customer"))], customer_id: str
) -> Response:
    """Who the customer is to the bank today, the way there and to the next tier, and what happened with him."""
    require(actor, "read_customer", customer_id)
    state = request.app.state
    return answer(await asyncio.to_thread(portrayed, state.desk, state.months, actor, customer_id))
