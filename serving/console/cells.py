"""The pages of one cell: what the bank means to do there and how it went; and who stands in it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import date
from typing import Any

from fastapi import APIRouter, Request, Response

from serving.api.cells import card_of
from serving.console import drawing, figures
from serving.console.figures import NOBODY, PEOPLE_A_PAGE
from serving.console.heads import head_of, opened, told_to
from serving.console.pages import PageRoute, page, visitor
from serving.deciding import Desk
from serving.disclosure import shown_to
from serving.months import Months
from serving.personal import personal
from serving.portraits import seen_tags
from serving.security import Actor

router = APIRouter(prefix="/console/matrix", include_in_schema=False, route_class=PageRoute)
Plain = dict[str, Any]


@router.get("/{customer_class}/{stage}")
async def show_cell(request: Request, customer_class: str, stage: str) -> Response:
    """One cell: its goal, products and hook, the tiers in it, and how it went."""
    actor = visitor(request, "read_catalogue")
    desk, months = opened(request)
    month = request.query_params.get("month")
    data = await asyncio.to_thread(cell, desk, months, actor, (customer_class, stage), month)
    tiers = drawing.bars({row["tier"]: row["n_customers"] for row in data["tiers"]})
    lines = {
        name: drawing.line([point[name] for point in data["trend"]])
        for name in ("n_customers", "aum")
        if data["trend"] and name in data["trend"][0]
    }
    return page(request, "cell.html", data, actor, tiers=tiers, lines=lines)


@router.get("/{customer_class}/{stage}/people")
async def show_people(request: Request, customer_class: str, stage: str) -> Response:
    """Who stands in a cell, a page at a time; a relationship manager sees those in his book."""
    actor = visitor(request, "read_customer")
    desk, months = opened(request)
    asked = request.query_params
    data = await asyncio.to_thread(
        people, desk, months, actor, (customer_class, stage), asked.get("month"), asked.get("after", "")
    )
    return page(request, "people.html", data, actor, tags=desk.ground().segments.tags)


def cell(desk: Desk, months: Months, actor: Actor, key: figures.Cell, month: str | None) -> Plain:
    """One cell in full with its figures; raises UnknownCell."""
    card = card_of(desk, *key)
    head = head_of(desk, months, actor, month)
    if not head["as_of"]:
        return head | {"card": card, "figures": None, "tiers": [], "trend": []}
    as_of = date.fromisoformat(head["as_of"])
    every = figures.standings(months, actor.book)
    tiers = figures.tiers_of(months, as_of, key, actor.book)
    trend = [
        {"as_of": day.isoformat()} | told_to(cells.get(key, NOBODY), actor)
        for day, cells in every.items()
        if day <= as_of
    ]
    return head | {
        "card": card,
        "figures": trend[-1],
        "tiers": [
            {"tier": tier, "n_customers": tiers[tier]}
            for tier in desk.ground().segments.tiers.thresholds
            if tier in tiers
        ],
        "trend": trend,
    }


def people(desk: Desk, months: Months, actor: Actor, key: figures.Cell, month: str | None, after: str) -> Plain:
    """A page of those in a cell, as far as `actor` may see; raises UnknownCell."""
    card = card_of(desk, *key)
    head = head_of(desk, months, actor, month)
    rows = []
    if head["as_of"]:
        rows = figures.people_of(months, date.fromisoformat(head["as_of"]), key, actor.book, after)
    ids = [row["customer_id"] for row in rows[:PEOPLE_A_PAGE]]
    named_by = personal(desk.home, ids, actor, desk.clock.now())
    deleted = desk.ledger.deleted_tags(ids)
    return head | {
        "card": card,
        "people": [
            _person(desk, actor, row, deleted.get(row["customer_id"], ())) | named_by.get(row["customer_id"], {})
            for row in rows[:PEOPLE_A_PAGE]
        ],
        "after": after,
        "next_after": ids[-1] if len(rows) > PEOPLE_A_PAGE else None,
    }


def _person(desk: Desk, actor: Actor, row: Plain, deleted: Collection[str]) -> Plain:
    tags = [tag for tag in (row["tags"] or "").split("|") if tag and tag not in deleted]
    shown = shown_to(actor)
    told: Plain = {name: row[name] for name in ("tier", "tier_state", "grade", "mda") if name in shown}
    return {
        "customer_id": row["customer_id"], "since": row["stage_entered_on"].isoformat(), **told,
        "tags": seen_tags(tags, desk.ground().segments, actor),
    }  # fmt: skip
