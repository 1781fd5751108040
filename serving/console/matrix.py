"""The matrix page: class × lifecycle as a heat map, and who moved between the stages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi import APIRouter, Request, Response

from features.errors import BadRequest, NotAllowed
from features.vocabulary import Stage
from serving.console import drawing, figures
from serving.console.figures import NOBODY, Book, Standing
from serving.console.heads import head_of, opened, sees_money, told_to
from serving.console.pages import PageRoute, page, visitor
from serving.console.words import LANGUAGES, named
from serving.deciding import Desk
from serving.months import Months
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
    if measure == "aum" and not sees_money(actor):
        raise NotAllowed("amounts are not for the caller's clearance or network")
    desk, months = opened(request)
    data = await asyncio.to_thread(matrix, desk, months, actor, measure, asked.get("month"))
    drawn = _drawn(data["moves"]) if data["moves"] else None
    return page(request, "matrix.html", data, actor, drawn=drawn, least=LEAST_CONTACTS)


def matrix(desk: Desk, months: Months, actor: Actor, measure: str, month: str | None) -> Plain:
    """The heat map of a month and the moves into it, as plain data; raises BadRequest for a month that is not there."""
    head = head_of(desk, months, actor, month)
    as_of = date.fromisoformat(head["as_of"]) if head["as_of"] else None
    standing = figures.standings(months, actor.book)[as_of] if as_of else {}
    classes = list(dict.fromkeys([*desk.rulebook().policy.matrix, *sorted({key[0] for key in standing})]))
    cells: list[Plain] = [
        {"customer_class": class_id, "stage": str(stage)} | told_to(standing.get((class_id, stage), NOBODY), actor)
        for class_id in classes
        for stage in Stage
    ]
    most = max((_value(told, measure) or 0 for told in cells), default=0)
    power = 1.0 if measure == "response" else 0.5
    for told in cells:
        told["heat"] = drawing.heat(_value(told, measure), most, power=power)
    return head | {
        "measure": measure,
        "measures": [name for name in MEASURES if name != "aum" or sees_money(actor)],
        "classes": [_class(desk, class_id) for class_id in classes],
        "stages": [_stage(stage) for stage in Stage],
        "cells": cells,
        "by_class": [_summed(cells, actor, customer_class=class_id) for class_id in classes],
        "by_stage": [_summed(cells, actor, stage=str(stage)) for stage in Stage],
        "all": _summed(cells, actor),
        "moves": _moves(months, as_of, actor.book) if as_of else None,
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


def _summed(cells: list[Plain], actor: Actor, **of: str) -> Plain:
    mine = [told for told in cells if all(told[name] == value for name, value in of.items())]
    amounts = [told["aum"] for told in mine if told.get("aum") is not None]
    total = Standing(
        sum(told["n_customers"] for told in mine), sum(amounts) if amounts else None,
        sum(told["n_contacts"] for told in mine), sum(told["n_conversions"] for told in mine),
    )  # fmt: skip
    return of | told_to(total, actor)


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
