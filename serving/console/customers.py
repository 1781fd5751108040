"""Customer 360: everything known of one customer that the viewer may see, and the deletion of a tag."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from serving.console import drawing
from serving.console.pages import HOME, PageRoute, form, page, to, visitor
from serving.desk.deciding import Desk
from serving.matrix.cell_cards import class_ids
from serving.portrait.portraying import delete_tag, portrayed
from serving.security import Actor, can

router = APIRouter(prefix="/console/customers", include_in_schema=False, route_class=PageRoute)


@router.get("")
async def find(request: Request) -> Response:
    """The page of the customer of that id; by id alone, so that no name stands in an address."""
    asked = request.query_params.get("id", "").strip()
    return to(f"/console/customers/{quote(asked, safe='')}" if asked else HOME)


@router.get("/{customer_id}")
async def show_customer(request: Request, customer_id: str) -> Response:
    """One customer on one page."""
    actor = visitor(request, "read_customer", customer_id)
    state = request.app.state
    data = await asyncio.to_thread(portrayed, state.desk, state.months, actor, customer_id)
    return page(
        request, "customer.html", data, actor, **_view(state.desk, data, actor, request.query_params.get("deleted"))
    )


@router.post("/{customer_id}/tags/{tag}/delete")
async def remove_tag(request: Request, customer_id: str, tag: str) -> Response:
    """The tag is deleted for good, and the page says so."""
    actor = visitor(request, "delete_tag", customer_id)
    await form(request)
    await asyncio.to_thread(delete_tag, request.app.state.desk, actor, customer_id, tag)
    return to(f"/console/customers/{quote(customer_id, safe='')}?deleted={quote(tag, safe='')}")


def _view(desk: Desk, data: dict[str, Any], actor: Actor, deleted: str | None) -> dict[str, Any]:
    """What the page draws and words besides the portrait."""
    segments, rules = desk.ground().segments, desk.rulebook()
    policy, catalogue = rules.policy, rules.catalogue
    names = {card.offer_id: {"zh": card.name.zh, "en": card.name.en} for card in catalogue.cards}
    names |= {product_id: {"zh": product.zh, "en": product.en} for product_id, product in policy.products.items()}
    way = [(row["as_of"][:7], row["tier"]) for row in data["tier"]["history"]]
    points = {name: value for name, value in data["grade"]["points"].items() if value is not None}
    return {
        "tags": segments.tags,
        "classes": {name: segments.classes.name(name) for name in class_ids(rules, segments)},
        "names": names,
        "channels": {name: {"zh": channel.zh, "en": channel.en} for name, channel in policy.channels.items()},
        "way": drawing.steps(way, list(segments.tiers.thresholds)),
        "lowest": next(iter(segments.tiers.thresholds)),
        "climbs": [next(months) for _, months in itertools.groupby(way, key=lambda month: month[1])],
        "money": drawing.line([row.get("mda") for row in data["tier"]["history"]], width=330, height=52),
        "points": drawing.bars(points),
        "deleted": deleted if deleted in segments.tags else None,
        "may_delete": can(actor, "delete_tag", data["customer_id"]),
    }
