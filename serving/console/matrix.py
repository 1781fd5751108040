"""The matrix page: class × lifecycle as a heat map, and who moved between the stages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from features.errors import BadRequest
from features.vocabulary import Stage
from insight.flows import Flow
from serving.console import drawing
from serving.console.heads import day_of, head_of, opened
from serving.console.pages import PageRoute, page, visitor
from serving.console.words import LANGUAGES, named
from serving.desk.deciding import Desk
from serving.matrix.cell_cards import class_ids
from serving.matrix.cell_figures import Figures
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
        raise BadRequest("unknown measure", value=measure, allowed=MEASURES, zh=f"没有 {measure} 这个指标")
    data = await matrix(request, actor, measure)
    drawn = {label: _drawn(moves) for label, moves in data["moves"].items()}
    return page(request, "matrix.html", data, actor, drawn=drawn, least=LEAST_CONTACTS)


async def matrix(request: Request, actor: Actor, measure: str) -> Plain:
    """The heat map of a month and the moves into it, as plain data; raises BadRequest for a month that is not there."""
    desk, book, release = opened(request)
    head = await asyncio.to_thread(head_of, desk, book, release, actor, request.query_params.get("month"))
    as_of = day_of(head)
    figures = await book.figures(release, actor, as_of) if as_of else None
    flows = await book.migration(release, actor, as_of) if as_of else {}
    orders = {"stage": [str(stage) for stage in Stage], "tier": list(desk.ground().segments.tiers.thresholds)}
    moves = {label: _moves(flow, orders[label]) for label, flow in sorted(flows.items())}
    return head | _heated(desk, figures, actor, measure) | {"moves": moves}


def _heated(desk: Desk, figures: Figures | None, actor: Actor, measure: str) -> Plain:
    rules, segments = desk.rulebook(), desk.ground().segments
    classes = class_ids(rules, segments, figures.classes() if figures else ())
    planned = {(class_id, stage) for class_id, row in rules.policy.matrix.items() for stage in row}
    cells: list[Plain] = [
        {"customer_class": class_id, "stage": str(stage), "is_planned": (class_id, stage) in planned}
        | _told(figures, class_id, stage, actor)
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
        "classes": [{"id": class_id, "name": segments.classes.name(class_id)} for class_id in classes],
        "stages": [_stage(stage) for stage in Stage],
        "cells": cells,
        "by_class": [{"customer_class": class_id} | _summed(cells, customer_class=class_id) for class_id in classes],
        "by_stage": [{"stage": str(stage)} | _summed(cells, stage=str(stage)) for stage in Stage],
        "all": _summed(cells),
        "n_unplanned": sum(not told["is_planned"] for told in cells),
    }


def _told(figures: Figures | None, class_id: str, stage: Stage, actor: Actor) -> Plain:
    """A cell of the heat map: its figures but for the months before."""
    if figures is None:
        return _summed(())
    told = figures.of(class_id, str(stage), actor)
    return {name: told[name] for name in ("n_customers", "aum", "response", "masked")}


def _moves(flow: Flow, names: Sequence[str]) -> Plain:
    """Who went from one of `names` to another; those who came into the bank's files or left them stood in none."""
    moves = [move for move in flow.moves if move.before is not None and move.after is not None]
    known = [*names, *(name for name in flow.names if name not in names)]
    told = [
        {"from": move.before, "to": move.after, "n": move.n, "is_better": flow.is_better(move.before, move.after)}
        for move in sorted(moves, key=lambda move: -move.n)
    ]
    moved = [row for row in told if row["from"] != row["to"]]
    return {
        "from_on": flow.from_on.isoformat(),
        "to_on": flow.to_on.isoformat(),
        "names": [{"name": name, "before": flow.before(name), "after": flow.after(name)} for name in known],
        "moves": told,
        "n_moved": sum(row["n"] for row in moved),
        "n_better": sum(row["n"] for row in moved if row["is_better"] is True),
        "n_worse": sum(row["n"] for row in moved if row["is_better"] is False),
    }


def _drawn(moves: Plain) -> drawing.Moves:
    before, after = ({row["name"]: row[when] for row in moves["names"]} for when in ("before", "after"))
    going = [drawing.Going(row["from"], row["to"], row["n"], row["is_better"]) for row in moves["moves"]]
    return drawing.moves(list(before), before, after, going)


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


def _stage(stage: Stage) -> Plain:
    return {"id": str(stage), "name": {language: named(f"stage.{stage}", language) for language in LANGUAGES}}
