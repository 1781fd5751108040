"""A list of people as a page shows it: how many, in the order asked for, and named for those who may see names."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any

from fastapi import Request

from features.errors import BadRequest
from features.segments.tags import age_days, alive
from features.vocabulary import Sensitivity
from insight.people import ORDERS, Choice, Listing, Order
from serving.console.heads import Plain, day_of, opened
from serving.desk.deciding import Desk
from serving.disclosure import seen_tags, shown_to
from serving.portrait.personal import names
from serving.security import Actor

A_PAGE = 50
MOST_BY_NAME = 2000  # names stand apart from the profile, so that a list in their order is read whole
_NAME = "name"
_COLUMNS = ("customer_class", "stage", "stage_entered_on", "tier", "tier_state", "grade", "mda", "value_12m", "tags")
_TOLD = ("tier", "tier_state", "grade", "mda", "value_12m")


async def listed(request: Request, actor: Actor, head: Plain, choose: Choice, *, usual: Order | None = "tier") -> Plain:
    """The page of a list that the address asks for, as plain data: `n` people, `people`, order and place of the page.

    `usual` is the order where none is asked for, None that of the list itself. Raises BadRequest for an order that the
    caller may not see, or a page that is not there.
    """
    asked, orders = request.query_params, _orders(actor)
    by = asked.get("by") or usual
    if by is not None and by not in orders:
        raise BadRequest("unknown order", value=by, allowed=orders, zh=f"不能按 {by} 排序")
    as_of, page = day_of(head), _page(asked.get("page", "1"))
    n, rows = (0, []) if as_of is None else await _rows(request, actor, choose, as_of, by, page)
    if page > 1 and not rows:
        raise BadRequest("the list has no such page", value=page, allowed=[1, max(1, math.ceil(n / A_PAGE))],
                         zh=f"名单没有第 {page} 页，共 {max(1, math.ceil(n / A_PAGE))} 页")  # fmt: skip
    return {
        "n": n, "by": by, "orders": [order for order in orders if order != _NAME or n <= MOST_BY_NAME],
        "page": page, "n_pages": max(1, math.ceil(n / A_PAGE)), "people": rows,
        "sees_names": actor.clearance >= Sensitivity.C2, "sees_money": "mda" in shown_to(actor),
    }  # fmt: skip


async def _rows(
    request: Request, actor: Actor, choose: Choice, as_of: date, by: str | None, page: int
) -> tuple[int, list[Plain]]:
    desk, figures, release = opened(request)
    tiers, start = list(desk.ground().segments.tiers.thresholds), A_PAGE * (page - 1)

    async def of(order: Order | None, start: int, limit: int) -> Listing:
        return await figures.listing(
            release, actor, as_of, choose, _COLUMNS, tiers, order=order, start=start, limit=limit
        )

    if by != _NAME:
        found = await of(_known_order(by), start, A_PAGE)
        return found.n, await asyncio.to_thread(_persons, desk, actor, as_of, found.rows)
    found = await of("id", 0, MOST_BY_NAME + 1)
    if found.n > MOST_BY_NAME:
        raise BadRequest(
            "a list so long is not put in the order of names", value=found.n, allowed=f"up to {MOST_BY_NAME} people",
            zh=f"名单有 {found.n} 位客户，超过 {MOST_BY_NAME} 位时不能按姓名排序",
        )  # fmt: skip
    ids = [row["customer_id"] for row in found.rows]
    named = await asyncio.to_thread(names, desk.home, ids, actor, desk.clock.now())
    rows = sorted(found.rows, key=lambda row: (named[row["customer_id"]] == "", named[row["customer_id"]]))
    return found.n, await asyncio.to_thread(_persons, desk, actor, as_of, rows[start : start + A_PAGE])


def _orders(actor: Actor) -> list[str]:
    """Orders that `actor` may ask for: one by what he may not see would tell it."""
    orders = [str(order) for order in ORDERS if order != "aum" or "mda" in shown_to(actor)]
    return [*orders, _NAME] if actor.clearance >= Sensitivity.C2 else orders


def _known_order(by: str | None) -> Order | None:
    return next((order for order in ORDERS if order == by), None)


def _page(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise BadRequest("a page is a number from 1 on", value=text, zh=f"页码应是从 1 起的数字，而不是 {text}")
    return int(text[:9])


def _persons(desk: Desk, actor: Actor, as_of: date, rows: Iterable[Mapping[str, Any]]) -> list[Plain]:
    found = list(rows)
    ids = [row["customer_id"] for row in found]
    now, who = desk.clock.now(), desk.ground().segments
    named, deleted = names(desk.home, ids, actor, now), desk.ledger.deleted_tags(ids)
    age = age_days(as_of, now, who.bank)
    return [
        _person(desk, actor, row, named[row["customer_id"]], deleted.get(row["customer_id"], ()), age) for row in found
    ]


def _person(desk: Desk, actor: Actor, row: Mapping[str, Any], name: str, deleted: Collection[str], age: float) -> Plain:
    who, shown = desk.ground().segments, shown_to(actor)
    living = alive(row["tags"] or "|", age, who.tags).split("|")
    told: Plain = {column: row[column] for column in _TOLD if column in shown}
    return {
        "customer_id": row["customer_id"], "name": name or None, "customer_class": row["customer_class"],
        "stage": row["stage"], "since": row["stage_entered_on"].isoformat(), **told,
        "tags": seen_tags([tag for tag in living if tag and tag not in deleted], who, actor),
    }  # fmt: skip
