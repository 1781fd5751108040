"""Whether the server lives, whether it can answer, and what it stands on."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from serving.api.answers import answer
from serving.api.listings import DataHealth, Health, Ready
from serving.api.openapi import READING, problems
from serving.customer_reader import MONTH_VIEW
from serving.desk.deciding import Desk
from serving.security import asking
from serving.settings import home_facts

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=None, responses={200: {"model": Health}})
async def live() -> Any:
    """The process answers. Nothing else is asked, so that a missing release does not get it killed."""
    return answer({"status": "ok"})


@router.get("/readyz", response_model=None, responses={200: {"model": Ready}, **problems(503)})
async def ready(request: Request) -> Any:
    """A release is pinned, so that decisions can be answered; else 503 with what is missing."""
    desk: Desk = request.app.state.desk
    return answer({"status": "ready", "release_id": desk.ground().id})


@router.get(
    "/v1/health/data",
    response_model=None,
    dependencies=[Depends(asking("read_health"))],
    responses={200: {"model": DataHealth}, **problems(*READING)},
)
async def data(request: Request) -> Any:
    """Release, build, policies and models that answers stand on, and how old the data are."""
    desk: Desk = request.app.state.desk
    ground = desk.ground()
    release, now = ground.release, desk.clock.now()
    age_days = (ground.business_day(now) - release.as_of).days
    lifetimes = ground.reader.views
    views = [{"name": name, "lifetime_days": days} for name, days in sorted(lifetimes.items())]
    champions = list(release.manifest["champions"])
    return answer(
        {
            "release_id": release.id,
            "lineage": release.lineage,
            "as_of": release.as_of.isoformat(),
            "age_days": age_days,
            "stale": age_days > lifetimes.get(MONTH_VIEW, age_days),
            "segments_digest": release.manifest["segments_digest"],
            "decisions_digest": release.manifest["decisions_digest"],
            "code_version": release.manifest["code_version"],
            "champions": champions,
            "degraded": "response" not in champions,
            "views": views,
            "clock": {"now": now.isoformat(), "is_live": desk.clock.is_live},
            "home": home_facts(desk.home),
        }
    )
