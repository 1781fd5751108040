"""PUT /v1/customers/{id}/consents: what a customer said on consent, which counts from the next decision on (R32)."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.responses import Response

from serving.api.answers import answer
from serving.api.documents import ConsentAnswer, ConsentChanges
from serving.api.openapi import WRITING, body_of, problems
from serving.errors import invalid_fields
from serving.ledger import ConsentRow
from serving.portrait.wishes import change_consents
from serving.security import Actor, asking, require

router = APIRouter(prefix="/v1/customers", tags=["customers"])


@router.put(
    "/{customer_id}/consents",
    response_model=None,
    responses={200: {"model": ConsentAnswer}, **problems(404, *WRITING)},
    openapi_extra=body_of("ConsentChanges"),
)
async def put_consents(
    request: Request, actor: Annotated[Actor, Depends(asking("change_consent"))], customer_id: str
) -> Response:
    """The receipt of each word and how the customer stands with them; sent again, they change nothing.

    A withdrawal needs no proof, a grant does, and a proven grant ends an earlier request not to be called (R40).
    """
    require(actor, "change_consent", customer_id)
    rows = _read(await request.body(), customer_id)
    return answer(await asyncio.to_thread(change_consents, request.app.state.desk, actor, customer_id, rows))


def _read(body: bytes, customer_id: str) -> list[ConsentRow]:
    try:
        said = ConsentChanges.model_validate_json(body).consents
    except ValidationError as error:
        raise invalid_fields(error.errors(include_url=False, include_context=False, include_input=False)) from None
    return [ConsentRow(customer_id=customer_id, **word.model_dump()) for word in said]
