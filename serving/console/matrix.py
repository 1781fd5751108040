"""The matrix page: class × lifecycle as a heat map, and who moved between the stages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request, Response

from features.errors import BadRequest
from features.vocabulary import Stage
from insight.flows import Flow
from serving.cell_figures import Figures
from serving.console import drawing
from serving.console.heads import day_of, head_of, opened
from serving.console.pages import PageRoute, page, visitor
from serving.console.words import LANGUAGES, named
from serving.deciding import Desk
from serving.security import Actor

MEASURES = ("size", "aum", "response")
LEAST_CONTACTS = 30  # fewer say nothing of a rate
router = APIRouter(prefix="/console/matrix", include_in_schema=False, route_class=PageRoute)
Plain = dict[str, Any]


@router.get("")
async def show_matrix(request: Request) -> Response:
    """The heat map and the moves between the stages of the month and the one before."""
    actor = visitor(request, "read_catalogue")
    measure = request.query_params.get("measure", MEASURES[0])
    if measure not in MEASURES:
        raise BadRequest("unknown measure", value=measure, allowed=MEASURES)
    data = await matrix(request, actor, measure)
    drawn = _drawn(data["moves"]) if data["moves"] else None
    return page(request, "matrix.html", data, actor, drawn=drawn, least=LEAST_CONTACTS)


async def matrix(request: Request, actor: Actor, measure: str) -> Plain:
    """The heat map of a month and the moves into it, as plain data; raises BadRequest for a month that is not there."""
    desk, book, release = opened(request)
    head = await asyncio.to_thread(head_of, desk, book, release, actor, request.query_params.get("month"))
    as_of = day_of(head)
    figures = await book.figures(release, actor, as_of) if as_of else None
    flows = await book.migration(release, actor, as_of) if as_of else {}
    return head | _heated(desk, figures, actor, measure) | {"moves": _moves(flows["stage"]) if flows else None}


def _heated(desk: Desk, figures: Figures | None, actor: Actor, measure: str) -> Plain:
    found = figures.cells if figures else {}
    classes = list(dict.fromkeys([*desk.rulebook().policy.matrix, *sorted({key[0] for key in found})]))
    cells: list[Plain] = [
        {"customer_class": class_id, "stage": str(stage)} | _told(figures, class_id, stage, actor)
        for class_id in classes
        for stage in Stage
    ]
    most = max((_value(told, measure) or 0 for told in cells), default=0)
    power = 1.0 if measure == "response" else 0.5
    for told in cells:
        told["heat"] = drawing.heat(_value(told, measure), most, power=power)
    return {
        "measure": measure,
        "measures": list(MEASURES),
        "classes": [_class(desk, class_id) for class_id in classes],
        "stages": [_stage(stage) for stage in Stage],
        "cells": cells,
        "by_class": [{"customer_class": class_id} | _summed(cells, customer_class=class_id) for class_id in classes],
        "by_stage": [{"stage": str(stage)} | _summed(cells, stage=str(stage)) for stage in Stage],
        "all": _summed(cells),
    }


def _told(figures: Figures | None, class_id: str, stage: Stage, actor: Actor) -> Plain:
    """A cell of the heat map: its figures but for the months before."""
    if figures is None:
        return _summed(())
    told = figures.of(class_id, str(stage), actor)
    return {name: told[name] for name in ("n_customers", "aum", "response", "masked")}


def _moves(flow: Flow) -> Plain:
    """Who went from stage to stage; those who came into the bank's files or left them stood in none."""
    moves = [move for move in flow.moves if move.before is not None and move.after is not None]
    return {
        "from_on": flow.from_on.isoformat(),
        "to_on": flow.to_on.isoformat(),
        "stages": [{"stage": str(stage), "before": flow.before(stage), "after": flow.after(stage)} for stage in Stage],
        "moves": [
            {"from": move.before, "to": move.after, "n": move.n} for move in sorted(moves, key=lambda move: -move.n)
        ],
        "n_moved": sum(move.n for move in moves if move.before != move.after),
    }


def _drawn(moves: Plain) -> drawing.Moves:
    stages = [row["stage"] for row in moves["stages"]]
    before, after = ({row["stage"]: row[when] for row in moves["stages"]} for when in ("before", "after"))
    return drawing.moves(stages, before, after, {(row["from"], row["to"]): row["n"] for row in moves["moves"]})


def _summed(cells: Iterable[Plain], **of: str) -> Plain:
    """Figures of many cells as one; a sum of money of which a part is withheld is withheld, else it would tell it."""
    mine = [told for told in cells if all(told[name] == value for name, value in of.items())]
    amounts = [told["aum"] for told in mine if told["aum"] is not None]
    masked = sorted({name for told in mine for name in told["masked"]})
    n, n_yes = (sum(told["response"][name] for told in mine) for name in ("n", "n_yes"))
    return {
        "n_customers": sum(told["n_customers"] for told in mine),
        "aum": sum(amounts) if amounts and not masked else None,
        "response": {"n": n, "n_yes": n_yes, "share": n_yes / n if n else None},
        "masked": masked,
    }


def _value(told: Plain, measure: str) -> float | None:
    """What the heat of a cell tells; a rate of too few contacts tells nothing."""
    if measure == "response":
        rate: float | None = told["response"]["share"] if told["response"]["n"] >= LEAST_CONTACTS else None
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
