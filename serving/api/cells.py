"""GET /v1/cells: the class × lifecycle matrix (客户行为矩阵), whole, one cell in full, and the people in it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from features.vocabulary import CUSTOMER_ID, Stage
from serving.api.answers import answer
from serving.api.cursors import after, cursor_after
from serving.api.listings import CellCard, CellPeople, Cells
from serving.api.openapi import READING, problems
from serving.desk.deciding import Desk
from serving.matrix.cell_cards import card_of, class_ids, entry
from serving.matrix.cell_figures import FigureBook, Figures
from serving.security import Actor, asking

router = APIRouter(prefix="/v1/cells", tags=["cells"])
Reader = Annotated[Actor, Depends(asking("read_catalogue"))]


@router.get("", response_model=None, responses={200: {"model": Cells}, **problems(*READING)})
async def list_cells(request: Request, actor: Reader) -> Any:
    """Every cell with its goal, products, hook and figures; classes in order of precedence, stages in order of life.

    A cell for which the bank has no plan yet has `is_planned` false, and its people and figures all the same.
    """
    desk: Desk = request.app.state.desk
    rules, segments, figures = desk.rulebook(), desk.ground().segments, await _figures(request, actor)
    cells = [
        entry(rules, segments, class_id, stage) | _told(figures, class_id, stage, actor)
        for class_id in class_ids(rules, segments, _found(figures))
        for stage in Stage
    ]
    return answer({"cells": cells})


@router.get(
    "/{customer_class}/{stage}", response_model=None, responses={200: {"model": CellCard}, **problems(404, *READING)}
)
async def show_cell(request: Request, actor: Reader, customer_class: str, stage: str) -> Any:
    """One cell in full: figures, products, hook with its steps, the offers they make, and what differs by tier."""
    figures = await _figures(request, actor)
    card = card_of(request.app.state.desk, customer_class, stage, _found(figures))
    return answer(card | _told(figures, customer_class, Stage(stage), actor))


@router.get(
    "/{customer_class}/{stage}/customers",
    response_model=None,
    responses={200: {"model": CellPeople}, **problems(404, *READING)},
)
async def list_people(
    request: Request,
    actor: Annotated[Actor, Depends(asking("read_customer"))],
    customer_class: str,
    stage: str,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Any:
    """Who stands in the cell at the month of the release, by id, `limit` at a time; of a book its own people alone."""
    desk: Desk = request.app.state.desk
    book: FigureBook = request.app.state.figures
    card_of(desk, customer_class, stage, _found(await _figures(request, actor)))
    release, start = desk.ground().release, after(cursor) if cursor else ""
    found = await book.people(release, (customer_class, stage), actor, after=start, limit=limit + 1)
    page, more = [row[CUSTOMER_ID] for row in found[:limit]], len(found) > limit
    next_cursor = cursor_after(page[-1]) if more else None
    return answer({"as_of": release.as_of.isoformat(), "customers": page, "next_cursor": next_cursor})


async def _figures(request: Request, actor: Actor) -> Figures | None:
    """Figures of the release that answers."""
    book: FigureBook = request.app.state.figures
    desk: Desk = request.app.state.desk
    return await book.figures(desk.ground().release, actor)


def _found(figures: Figures | None) -> set[str]:
    """The classes in which anybody stands or stood."""
    return figures.classes() if figures else set()


def _told(figures: Figures | None, customer_class: str, stage: Stage, actor: Actor) -> dict[str, Any]:
    return {"figures": None if figures is None else figures.of(customer_class, str(stage), actor)}
