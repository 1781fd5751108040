"""What every page over months says of itself, and how figures are told to whom."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from features.errors import BadRequest
from serving.console.figures import Standing
from serving.deciding import Desk
from serving.disclosure import shown_to
from serving.months import Months
from serving.security import Actor

Plain = dict[str, Any]


def opened(request: Request) -> tuple[Desk, Months]:
    """The desk, and the months of its release."""
    desk: Desk = request.app.state.desk
    months: Months = request.app.state.months.of(desk.ground().release)
    return desk, months


def head_of(desk: Desk, months: Months, actor: Actor, month: str | None) -> Plain:
    """What a page says of itself: release, month, months to choose, whose customers; raises BadRequest for no month."""
    known = {f"{day:%Y-%m}": day for day in months.builds}
    if month is not None and month not in known:
        raise BadRequest("no month of this name is kept", value=month, allowed=list(known) or None)
    as_of = known[month] if month else max(known.values(), default=None)
    return {
        "release_id": desk.ground().id,
        "as_of": as_of.isoformat() if as_of else None,
        "month": f"{as_of:%Y-%m}" if as_of else None,
        "months": list(known),
        "currency": desk.ground().segments.bank.currency,
        "is_own_book": actor.book is not None,
    }


def told_to(standing: Standing, actor: Actor) -> Plain:
    """Figures of a cell as plain data; without amounts for who may not see them."""
    money = {"aum": standing.aum} if sees_money(actor) else {}
    return {
        "n_customers": standing.n_customers, **money, "n_contacts": standing.n_contacts,
        "n_conversions": standing.n_conversions, "response": standing.response,
    }  # fmt: skip


def sees_money(actor: Actor) -> bool:
    """Whether `actor` may see amounts where he is."""
    return "mda" in shown_to(actor)
