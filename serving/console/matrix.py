"""The matrix page: class × lifecycle as a heat map, what stands in a cell, who stands in it, and who moved."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi import APIRouter, Request, Response

from features.errors import BadRequest, NotAllowed
from features.vocabulary import Stage
from serving.api.cells import card_of
from serving.console import drawing, figures
from serving.console.figures import NOBODY, PEOPLE_A_PAGE, Book, Standing
from serving.console.pages import PageRoute, page, visitor
from serving.console.words import LANGUAGES, named
from serving.deciding import Desk
from serving.disclosure import shown_to
from serving.months import Months
from serving.personal import personal
from serving.portraits import seen_tags
from serving.security import Actor

MEASURES = ("size", "aum", "response")
LEAST_CONTACTS = 30  # fewer say nothing of a rate
router = APIRouter(prefix="/console/matrix", include_in_schema=False, route_class=PageRoute)
Plain = dict[str, Any]


@router.get("")
async def show_matrix(request: Request) -> Response:
    """The heat map and the moves between the stages of the month and the one before."""
    actor = visitor(request, "read_catalogue")
    asked = request.query_params
    measure = asked.get("measure", MEASURES[0])
    if measure not in MEASURES:
        raise BadRequest("unknown measure", value=measure, allowed=MEASURES)
    if measure == "aum" and not _sees_money(actor):
        raise NotAllowed("amounts are not for the caller's clearance or network")
    desk, months = _open(request)
    data = await asyncio.to_thread(matrix, desk, months, actor, measure, asked.get("month"))
    drawn = _drawn(data["moves"]) if data["moves"] else None
    return page(request, "matrix.html", data, actor, drawn=drawn, least=LEAST_CONTACTS)


@router.get("/{customer_class}/{stage}")
async def show_cell(request: Request, customer_class: str, stage: str) -> Response:
    """One cell: its goal, products and hook, the tiers in it, and how it went."""
    actor = visitor(request, "read_catalogue")
    desk, months = _open(request)
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
    desk, months = _open(request)
    asked = request.query_params
    data = await asyncio.to_thread(
        people, desk, months, actor, (customer_class, stage), asked.get("month"), asked.get("after", "")
    )
    return page(request, "people.html", data, actor, tags=desk.ground().segments.tags)


def matrix(desk: Desk, months: Months, actor: Actor, measure: str, month: str | None) -> Plain:
    """The heat map of a month and the moves into it, as plain data; raises BadRequest for a month that is not there."""
    head = _head(desk, months, actor, month)
    as_of = date.fromisoformat(head["as_of"]) if head["as_of"] else None
    standing = figures.standings(months, actor.book)[as_of] if as_of else {}
    classes = list(dict.fromkeys([*desk.rulebook().policy.matrix, *sorted({key[0] for key in standing})]))
    cells: list[Plain] = [
        {"customer_class": class_id, "stage": str(stage)} | _told(standing.get((class_id, stage), NOBODY), actor)
        for class_id in classes
        for stage in Stage
    ]
    most = max((_value(told, measure) or 0 for told in cells), default=0)
    power = 1.0 if measure == "response" else 0.5
    for told in cells:
        told["heat"] = drawing.heat(_value(told, measure), most, power=power)
    return head | {
        "measure": measure,
        "measures": [name for name in MEASURES if name != "aum" or _sees_money(actor)],
        "classes": [_class(desk, class_id) for class_id in classes],
        "stages": [_stage(stage) for stage in Stage],
        "cells": cells,
        "by_class": [_summed(cells, actor, customer_class=class_id) for class_id in classes],
        "by_stage": [_summed(cells, actor, stage=str(stage)) for stage in Stage],
        "all": _summed(cells, actor),
        "moves": _moves(months, as_of, actor.book) if as_of else None,
    }


def cell(desk: Desk, months: Months, actor: Actor, key: figures.Cell, month: str | None) -> Plain:
    """One cell in full with its figures; raises UnknownCell."""
    card = card_of(desk, *key)
    head = _head(desk, months, actor, month)
    if not head["as_of"]:
        return head | {"card": card, "figures": None, "tiers": [], "trend": []}
    as_of = date.fromisoformat(head["as_of"])
    every = figures.standings(months, actor.book)
    tiers = figures.tiers_of(months, as_of, key, actor.book)
    trend = [
        {"as_of": day.isoformat()} | _told(cells.get(key, NOBODY), actor)
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
    head = _head(desk, months, actor, month)
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


def _person(desk: Desk, actor: Actor, row: Plain, deleted: Any) -> Plain:
    tags = [tag for tag in (row["tags"] or "").split("|") if tag and tag not in deleted]
    shown = shown_to(actor)
    told: Plain = {name: row[name] for name in ("tier", "tier_state", "grade", "mda") if name in shown}
    return {
        "customer_id": row["customer_id"], "since": row["stage_entered_on"].isoformat(), **told,
        "tags": seen_tags(tags, desk.ground().segments, actor),
    }  # fmt: skip


def _open(request: Request) -> tuple[Desk, Months]:
    desk: Desk = request.app.state.desk
    months: Months = request.app.state.months.of(desk.ground().release)
    return desk, months


def _head(desk: Desk, months: Months, actor: Actor, month: str | None) -> Plain:
    """What every page of the matrix says of itself: release, month, months to choose, whose customers."""
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


def _moves(months: Months, as_of: date, book: Book) -> Plain | None:
    before = max((day for day in months.builds if day < as_of), default=None)
    if before is None:
        return None
    found = figures.stage_moves(months, before, as_of, book)
    every = figures.standings(months, book)
    return {
        "from_on": before.isoformat(),
        "to_on": as_of.isoformat(),
        "stages": [
            {"stage": str(stage), "before": _people(every[before], stage), "after": _people(every[as_of], stage)}
            for stage in Stage
        ],
        "moves": [{"from": a, "to": b, "n": n} for (a, b), n in sorted(found.items(), key=lambda item: -item[1])],
        "n_moved": sum(n for (a, b), n in found.items() if a != b),
    }  # fmt: skip


def _people(standing: Mapping[figures.Cell, Standing], stage: str) -> int:
    return sum(told.n_customers for (_, at), told in standing.items() if at == stage)


def _drawn(moves: Plain) -> drawing.Moves:
    stages = [row["stage"] for row in moves["stages"]]
    before, after = ({row["stage"]: row[when] for row in moves["stages"]} for when in ("before", "after"))
    return drawing.moves(stages, before, after, {(row["from"], row["to"]): row["n"] for row in moves["moves"]})


def _told(standing: Standing, actor: Actor) -> Plain:
    money = {"aum": standing.aum} if _sees_money(actor) else {}
    return {
        "n_customers": standing.n_customers, **money, "n_contacts": standing.n_contacts,
        "n_conversions": standing.n_conversions, "response": standing.response,
    }  # fmt: skip


def _summed(cells: list[Plain], actor: Actor, **of: str) -> Plain:
    mine = [told for told in cells if all(told[name] == value for name, value in of.items())]
    amounts = [told["aum"] for told in mine if told.get("aum") is not None]
    total = Standing(
        sum(told["n_customers"] for told in mine), sum(amounts) if amounts else None,
        sum(told["n_contacts"] for told in mine), sum(told["n_conversions"] for told in mine),
    )  # fmt: skip
    return of | _told(total, actor)


def _value(told: Plain, measure: str) -> float | None:
    """What the heat of a cell tells; a rate of too few contacts tells nothing."""
    if measure == "response":
        rate: float | None = told["response"] if told["n_contacts"] >= LEAST_CONTACTS else None
        return rate
    value: float | None = told["n_customers"] if measure == "size" else told["aum"]
    return value


def _class(desk: Desk, class_id: str) -> Plain:
    known = desk.ground().segments.classes.classes.get(class_id)
    fallback = {"zh": known.zh if known else class_id, "en": class_id}
    return {
        "id": class_id,
        "name": {language: named(f"class.{class_id}", language, fallback[language]) for language in LANGUAGES},
    }


def _stage(stage: Stage) -> Plain:
    return {"id": str(stage), "name": {language: named(f"stage.{stage}", language) for language in LANGUAGES}}


def _sees_money(actor: Actor) -> bool:
    return "mda" in shown_to(actor)
