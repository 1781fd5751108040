"""The pages of one cell: what the bank means to do there and how it went; and who stands in it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from insight.history import ordered
from serving.api.cells import card_of
from serving.console import drawing
from serving.console.heads import day_of, head_of, opened
from serving.console.pages import PageRoute, page, visitor
from serving.deciding import Desk
from serving.disclosure import seen_tags, shown_to
from serving.personal import personal
from serving.security import Actor

PEOPLE_A_PAGE = 50
_OF_PERSON = ("tier", "tier_state", "grade", "stage_entered_on", "mda", "tags")
router = APIRouter(prefix="/console/matrix", include_in_schema=False, route_class=PageRoute)
Plain = dict[str, Any]


@router.get("/{customer_class}/{stage}")
async def show_cell(request: Request, customer_class: str, stage: str) -> Response:
    """One cell: its goal, products and hook, what differs by tier, the tiers in it, and how it went."""
    actor = visitor(request, "read_catalogue")
    data = await cell(request, actor, (customer_class, stage))
    tiers = drawing.bars({row["tier"]: row["n_customers"] for row in data["tiers"]})
    trend = data["figures"]["trend"] if data["figures"] else []
    lines = {name: drawing.line([point[name] for point in trend]) for name in ("n_customers", "aum")}
    policy = request.app.state.desk.rulebook().policy
    channels = {name: {"zh": channel.zh, "en": channel.en} for name, channel in policy.channels.items()}
    return page(request, "cell.html", data, actor, tiers=tiers, trend=trend, lines=lines, channels=channels)


@router.get("/{customer_class}/{stage}/people")
async def show_people(request: Request, customer_class: str, stage: str) -> Response:
    """Who stands in a cell, a page at a time; a relationship manager sees those in his book."""
    actor = visitor(request, "read_customer")
    data = await people(request, actor, (customer_class, stage))
    return page(request, "people.html", data, actor, tags=request.app.state.desk.ground().segments.tags)


async def cell(request: Request, actor: Actor, key: tuple[str, str]) -> Plain:
    """One cell in full with its figures at the month that is asked for; raises UnknownCell."""
    desk, book, release = opened(request)
    card = card_of(desk, *key)
    head = await asyncio.to_thread(head_of, desk, book, release, actor, request.query_params.get("month"))
    as_of = day_of(head)
    figures = await book.figures(release, actor, as_of) if as_of else None
    tiers = await book.tiers(release, key, actor, as_of) if as_of else {}
    return head | {
        "card": card,
        "figures": figures and figures.of(*key, actor),
        "tiers": _in_order(tiers, desk),
    }


async def people(request: Request, actor: Actor, key: tuple[str, str]) -> Plain:
    """A page of those in a cell, as far as `actor` may see; raises UnknownCell."""
    desk, book, release = opened(request)
    card, asked = card_of(desk, *key), request.query_params
    head = await asyncio.to_thread(head_of, desk, book, release, actor, asked.get("month"))
    as_of, after = day_of(head), asked.get("after", "")
    rows = []
    if as_of:
        rows = await book.people(release, key, actor, _OF_PERSON, as_of=as_of, after=after, limit=PEOPLE_A_PAGE + 1)
    shown = rows[:PEOPLE_A_PAGE]
    return head | {
        "card": card,
        "people": await asyncio.to_thread(_persons, desk, actor, shown),
        "after": after,
        "next_after": shown[-1]["customer_id"] if len(rows) > PEOPLE_A_PAGE else None,
    }


def _in_order(tiers: Mapping[str, int], desk: Desk) -> list[Plain]:
    names = list(desk.ground().segments.tiers.thresholds)
    return [{"tier": tier, "n_customers": tiers[tier]} for tier in ordered(names, set(tiers))]


def _persons(desk: Desk, actor: Actor, rows: list[Plain]) -> list[Plain]:
    ids = [row["customer_id"] for row in rows]
    named_by, deleted = personal(desk.home, ids, actor, desk.clock.now()), desk.ledger.deleted_tags(ids)
    return [
        _person(desk, actor, row, deleted.get(row["customer_id"], ())) | named_by.get(row["customer_id"], {})
        for row in rows
    ]


def _person(desk: Desk, actor: Actor, row: Plain, deleted: Collection[str]) -> Plain:
    tags = [tag for tag in (row["tags"] or "").split("|") if tag and tag not in deleted]
    shown = shown_to(actor)
    told: Plain = {name: row[name] for name in ("tier", "tier_state", "grade", "mda") if name in shown}
    return {
        "customer_id": row["customer_id"], "since": row["stage_entered_on"].isoformat(), **told,
        "tags": seen_tags(tags, desk.ground().segments, actor),
    }  # fmt: skip
