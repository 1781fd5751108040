"""Whether anybody follows what the models advise: from advised to opened, acted on and converted (X11)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi import APIRouter, Request, Response

from features.errors import NotReady
from serving.console import drawing
from serving.console.heads import Plain
from serving.console.pages import PageRoute, page, visitor
from serving.desk.deciding import Desk
from serving.models.advice_use import use_of

STEPS = ("n_advised", "n_opened", "n_acted", "n_converted")
router = APIRouter(prefix="/console/models", include_in_schema=False, route_class=PageRoute)


@router.get("/idle")
async def show_idleness(request: Request) -> Response:
    """The use of each model's advice over thirty days, with the alert where nobody follows it."""
    actor = visitor(request, "read_models")
    data = await idleness(request.app.state.desk)
    drawn = {row["model"]: drawing.bars({step: row[step] for step in STEPS}) for row in data["models"]}
    return page(request, "idle.html", data, actor, drawn=drawn)


async def idleness(desk: Desk) -> Plain:
    """The use of each model of the current release, and of rules alone where they decided."""
    release = None
    with suppress(NotReady):
        release = desk.ground().release
    models = list(release.manifest["champions"]) if release else []
    rows = await asyncio.to_thread(use_of, desk.ledger.advice, models, desk.clock.now())
    return {
        "release_id": release.id if release else None, "as_of": release.as_of.isoformat() if release else None,
        "has_models": bool(models), "models": rows,
    }  # fmt: skip
