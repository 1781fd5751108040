"""The pages of one cell: what the bank means to do there and how it went; and who stands in it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from insight.history import ordered
from insight.people import in_cell
from serving.console import drawing
from serving.console.heads import Plain, day_of, head_of, opened
from serving.console.pages import PageRoute, page, visitor
from serving.console.people import listed
from serving.desk.deciding import Desk
from serving.matrix.cell_cards import card_of
from serving.matrix.cell_figures import Figures
from serving.security import Actor

router = APIRouter(prefix="/console/matrix", include_in_schema=False, route_class=PageRoute)


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
    products = {product["product_id"]: product["name"] for product in data["card"]["products"]}
    return page(
        request, "cell.html", data, actor, tiers=tiers, trend=trend, lines=lines, channels=channels, products=products
    )


@router.get("/{customer_class}/{stage}/people")
async def show_people(request: Request, customer_class: str, stage: str) -> Response:
    """Who stands in a cell, a page at a time; a relationship manager sees those in his book."""
    actor = visitor(request, "read_customer")
    data = await people(request, actor, (customer_class, stage))
    return page(request, "people.html", data, actor, tags=request.app.state.desk.ground().segments.tags)


async def cell(request: Request, actor: Actor, key: tuple[str, str]) -> Plain:
    """One cell in full with its figures at the month that is asked for; raises UnknownCell."""
    desk, book, release = opened(request)
    head, figures = await _planned(request, actor, key)
    as_of = day_of(head)
    tiers = await book.tiers(release, key, actor, as_of) if as_of else {}
    return head | {"figures": figures and figures.of(*key, actor), "tiers": _in_order(tiers, desk)}


async def people(request: Request, actor: Actor, key: tuple[str, str]) -> Plain:
    """A page of those in a cell, as far as `actor` may see; raises UnknownCell."""
    head, _ = await _planned(request, actor, key)
    return head | await listed(request, actor, head, in_cell(*key))


async def _planned(request: Request, actor: Actor, key: tuple[str, str]) -> tuple[Plain, Figures | None]:
    """The head of a cell's page with its card, and the figures of the month that is asked for; raises UnknownCell."""
    desk, book, release = opened(request)
    head = await asyncio.to_thread(head_of, desk, book, release, actor, request.query_params.get("month"))
    as_of = day_of(head)
    figures = await book.figures(release, actor, as_of) if as_of else None
    return head | {"card": card_of(desk, *key, figures.classes() if figures else ())}, figures


def _in_order(tiers: Mapping[str, int], desk: Desk) -> list[Plain]:
    names = list(desk.ground().segments.tiers.thresholds)
    return [{"tier": tier, "n_customers": tiers[tier]} for tier in ordered(names, set(tiers))]
