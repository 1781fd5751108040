"""Lists to work through (名单): where tier and grade disagree, and who went from one stage or tier to another."""

from __future__ import annotations

import asyncio
from typing import cast, get_args

import ibis.expr.types as ir
from fastapi import APIRouter, Request, Response

from features.vocabulary import Stage
from insight.history import UNKNOWN, History, Label
from insight.people import who_moved
from serving.console.heads import Plain, day_of, head_of, opened
from serving.console.pages import HOME, PageRoute, page, to, visitor
from serving.console.people import listed
from serving.desk.deciding import Desk
from serving.disclosure import seen_tags
from serving.errors import NoRoute
from serving.matrix.cell_cards import class_ids
from serving.matrix.rosters import ROSTERS, RosterName, is_living, roster, tag_of
from serving.security import Actor

router = APIRouter(prefix="/console", include_in_schema=False, route_class=PageRoute)


@router.get("/lists")
async def show_lists(request: Request) -> Response:
    """The first of the lists, in the language and month that were asked for."""
    asked = request.url.query
    return to(f"/console/lists/{ROSTERS[0]}{f'?{asked}' if asked else ''}")


@router.get("/lists/{name}")
async def show_roster(request: Request, name: str) -> Response:
    """High tier and low grade, or low tier and high grade; a relationship manager sees those in his book."""
    actor = visitor(request, "read_customer")
    if name not in ROSTERS:
        raise NoRoute("no such list", value=name, allowed=ROSTERS, zh=f"没有 {name} 这份名单")
    data = await named(request, actor, name)
    segments = request.app.state.desk.ground().segments
    return page(request, "list.html", data, actor, tags=segments.tags, classes=_classes(request))


@router.get("/moves/{label}/{before}/{after}")
async def show_moved(request: Request, label: str, before: str, after: str) -> Response:
    """Who went from one stage or tier to another in a month; a relationship manager sees those in his book."""
    actor = visitor(request, "read_customer")
    segments = request.app.state.desk.ground().segments
    places = {"stage": [str(stage) for stage in Stage], "tier": [*segments.tiers.thresholds, UNKNOWN]}
    if label not in get_args(Label) or before not in places[label] or after not in places[label] or before == after:
        raise NoRoute("no such move", value=f"{label} {before} {after}", todo=f"{HOME} shows the moves of a month",
                      zh=f"没有从 {before} 到 {after} 的变动")  # fmt: skip
    desk, book, release = opened(request)
    head = await asyncio.to_thread(head_of, desk, book, release, actor, request.query_params.get("month"))
    chosen = who_moved(cast(Label, label), before, after)
    data = head | {"label": label, "before": before, "after": after} | await listed(request, actor, head, chosen)
    return page(request, "moved.html", data, actor, tags=segments.tags, classes=_classes(request))


async def named(request: Request, actor: Actor, name: RosterName) -> Plain:
    """A page of one list with its rule; nobody is on it for whom may not see its tag, which `is_masked` says.

    `is_expired` says that its month is too long ago: what was true then is not told as true.
    """
    desk, book, release = opened(request)
    who, now = desk.ground().segments, desk.clock.now()
    head = await asyncio.to_thread(head_of, desk, book, release, actor, request.query_params.get("month"))
    as_of, tag = day_of(head), who.tags.get(tag_of(name))
    may_see = bool(seen_tags([tag_of(name)], who, actor))

    def chosen(history: History) -> ir.Table:
        found = roster(name, history, who, now, desk.ledger.deleted_tags)
        return found if may_see else found.limit(0)

    return head | await listed(request, actor, head, chosen, usual=None) | {
        "list": name, "lists": list(ROSTERS), "tag": tag_of(name), "rule": tag.rule.text if tag else None,
        "owner": {"zh": tag.owner_zh or tag.owner, "en": tag.owner} if tag else None,
        "lives_days": tag.expires_days if tag else None,
        "is_masked": not may_see, "is_expired": as_of is not None and not is_living(name, as_of, who, now),
    }  # fmt: skip


def _classes(request: Request) -> Plain:
    desk: Desk = request.app.state.desk
    segments = desk.ground().segments
    return {name: segments.classes.name(name) for name in class_ids(desk.rulebook(), segments)}
