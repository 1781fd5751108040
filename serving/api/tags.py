"""DELETE /v1/customers/{id}/tags/{tag}: a customer may have a tag deleted (R32), and it stays deleted."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from serving.api.answers import answer
from serving.api.listings import TagDeletion
from serving.api.openapi import READING, problems
from serving.portrait.portraying import delete_tag
from serving.security import Actor, asking, require

router = APIRouter(prefix="/v1/customers", tags=["customers"])


@router.delete(
    "/{customer_id}/tags/{tag}",
    response_model=None,
    responses={200: {"model": TagDeletion}, **problems(404, *READING)},
)
async def remove_tag(
    request: Request, actor: Annotated[Actor, Depends(asking("delete_tag"))], customer_id: str, tag: str
) -> Response:
    """The tag is gone from portrait, decisions and whatever later builds say; once more gives the same answer."""
    require(actor, "delete_tag", customer_id)
    at = await asyncio.to_thread(delete_tag, request.app.state.desk, actor, customer_id, tag)
    return answer({"customer_id": customer_id, "tag": tag, "deleted_at": at.isoformat()})
