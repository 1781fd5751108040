"""How far features and scores have moved, month by month, as each month-end has measured it (R48)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request, Response

from features.errors import BadRequest, NotReady
from serving.console import drawing
from serving.console.heads import Plain
from serving.console.pages import PageRoute, page, visitor
from serving.desk.deciding import Desk
from serving.models.drift_history import LAST_MONTH, SCORE, history

router = APIRouter(prefix="/console/models", include_in_schema=False, route_class=PageRoute)
_STABLE, _FIRST = "STABLE", 10  # features that have not moved stand folded; where none has, the first are shown
_WATCH_FROM = 0.10  # the scale of a line reaches to it, so that a quiet month looks quiet


@router.get("/drift")
async def show_drift(request: Request) -> Response:
    """PSI of every feature and score in a month, beside its rows and what chance reaches, and the months before."""
    actor = visitor(request, "read_models")
    desk: Desk = request.app.state.desk
    release = None
    with suppress(NotReady):
        release = desk.ground().release
    told = await asyncio.to_thread(history, desk.home)
    data = {
        "release_id": release.id if release else None, "as_of": release.as_of.isoformat() if release else None,
        **_chosen(told, request.query_params.get("month"), request.query_params.get("against")),
    }  # fmt: skip
    drawn = {
        row["name"]: drawing.trail([one and one["psi"] for one in row["trail"]],
                                   [one and one.get("noise") for one in row["trail"]], least=_WATCH_FROM)
        for row in data["rows"]
    }  # fmt: skip
    rows = data["rows"]
    moved = [row for row in rows if row["band"] != _STABLE or row["name"] == SCORE] or rows[:_FIRST]
    return page(request, "drift.html", data, actor, drawn=drawn, moved=moved,
                rest=[row for row in rows if row not in moved])  # fmt: skip


def _chosen(told: dict[str, dict[str, Any]], month: str | None, against: str | None) -> Plain:
    """The rows of one month and one comparison, those that moved furthest first; raises BadRequest for none of that."""
    months = sorted(told)
    month = month or (months[-1] if months else None)
    if month is not None and month not in told:
        raise BadRequest("no month-end of this month", value=month, allowed=months, zh=f"{month} 没有月结")
    kinds = sorted({kind for one in told.values() for kind in one if kind != LAST_MONTH})
    against = against or LAST_MONTH
    if against not in (LAST_MONTH, *kinds):
        raise BadRequest("nothing was compared with this", value=against, allowed=[LAST_MONTH, *kinds],
                         zh=f"没有与 {against} 作过比较")  # fmt: skip
    found = told[month].get(against, {}) if month else {}
    before = [name for name in months if month is not None and name <= month]
    rows = [
        {"name": name, **one, "trail": [told[other].get(against, {}).get(name) for other in before]}
        for name, one in sorted(found.items(), key=lambda item: (item[0] != SCORE, -item[1]["psi"]))
    ]
    bands = {band: sum(row["band"] == band for row in rows) for band in ("ACT", "WATCH", "TOO_FEW", "STABLE")}
    return {"month": month, "months": months, "against": against, "kinds": [LAST_MONTH, *kinds],
            "trail": before, "bands": bands, "rows": rows}  # fmt: skip
