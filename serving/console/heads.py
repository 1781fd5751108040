"""What every page over months says of itself."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import Request

from features.errors import BadRequest
from serving.desk.deciding import Desk
from serving.matrix.cell_figures import FigureBook
from serving.releases import Release
from serving.security import Actor

Plain = dict[str, Any]


def opened(request: Request) -> tuple[Desk, FigureBook, Release]:
    """The desk, the figures, and the release that answers the whole page."""
    desk: Desk = request.app.state.desk
    figures: FigureBook = request.app.state.figures
    return desk, figures, desk.ground().release


def head_of(desk: Desk, figures: FigureBook, release: Release, actor: Actor, month: str | None) -> Plain:
    """What a page says of itself: release, month, months to choose, whose customers; raises BadRequest for no month."""
    known = {f"{build.as_of:%Y-%m}": build.as_of for build in figures.months(release)}
    if month is not None and month not in known:
        raise BadRequest("no month of this name is kept", value=month, allowed=list(known) or None,
                         zh=f"没有 {month} 这个月份，现有 {'、'.join(known) or '无'}")  # fmt: skip
    as_of = known[month] if month else max(known.values(), default=None)
    return {
        "release_id": release.id,
        "as_of": as_of.isoformat() if as_of else None,
        "month": f"{as_of:%Y-%m}" if as_of else None,
        "months": list(known),
        "currency": desk.ground().segments.bank.currency,
        "is_own_book": actor.book is not None,
    }


def day_of(head: Plain) -> date | None:
    """The month end that a page is of; None where no month is kept."""
    return date.fromisoformat(head["as_of"]) if head["as_of"] else None
