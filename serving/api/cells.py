"""GET /v1/cells: the class × lifecycle matrix (客户行为矩阵), whole, one cell in full, and the people in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from decisioning.matrix import variant
from decisioning.policy import DecisionsPolicy
from features.policy import SegmentsPolicy
from features.vocabulary import CUSTOMER_ID, Stage
from serving.api.answers import answer
from serving.api.cursors import after, cursor_after
from serving.api.listings import CellCard, CellPeople, Cells
from serving.api.openapi import READING, problems
from serving.cell_figures import FigureBook, Figures
from serving.deciding import Desk
from serving.errors import UnknownCell
from serving.ground import Rulebook
from serving.security import Actor, asking

router = APIRouter(prefix="/v1/cells", tags=["cells"])
Reader = Annotated[Actor, Depends(asking("read_catalogue"))]


@router.get("", response_model=None, responses={200: {"model": Cells}, **problems(*READING)})
async def list_cells(request: Request, actor: Reader) -> Any:
    """Every cell with its goal, products, hook and figures; classes in order of the matrix, stages in order of life."""
    desk: Desk = request.app.state.desk
    rules, segments, figures = desk.rulebook(), desk.ground().segments, await _figures(request, actor)
    cells = [
        _cell(rules, segments, class_id, stage) | _told(figures, class_id, stage, actor)
        for class_id, row in rules.policy.matrix.items()
        for stage in Stage
        if stage in row
    ]
    return answer({"cells": cells})


@router.get(
    "/{customer_class}/{stage}", response_model=None, responses={200: {"model": CellCard}, **problems(404, *READING)}
)
async def show_cell(request: Request, actor: Reader, customer_class: str, stage: str) -> Any:
    """One cell in full: figures, products, hook with its steps, the offers they make, and what differs by tier."""
    card = card_of(request.app.state.desk, customer_class, stage)
    return answer(card | _told(await _figures(request, actor), customer_class, Stage(stage), actor))


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
    release, known = desk.ground().release, _known(desk.rulebook(), customer_class, stage)
    start = after(cursor) if cursor else ""
    found = await book.people(release, (customer_class, known), actor, after=start, limit=limit + 1)
    page, more = [row[CUSTOMER_ID] for row in found[:limit]], len(found) > limit
    next_cursor = cursor_after(page[-1]) if more else None
    return answer({"as_of": release.as_of.isoformat(), "customers": page, "next_cursor": next_cursor})


def card_of(desk: Desk, customer_class: str, stage: str) -> dict[str, Any]:
    """One cell in full but for its figures, as plain data; raises UnknownCell."""
    rules, segments = desk.rulebook(), desk.ground().segments
    return _full(rules, segments, customer_class, _known(rules, customer_class, stage))


def _known(rules: Rulebook, customer_class: str, stage: str) -> Stage:
    """The stage by its name; raises UnknownCell where the matrix has no such cell."""
    matrix = rules.policy.matrix
    if customer_class not in matrix:
        raise UnknownCell("unknown customer class", value=customer_class, allowed=matrix)
    if stage not in matrix[customer_class]:
        raise UnknownCell("unknown stage", value=stage, allowed=[str(known) for known in matrix[customer_class]])
    return Stage(stage)


async def _figures(request: Request, actor: Actor) -> Figures | None:
    """Figures of the release that answers."""
    book: FigureBook = request.app.state.figures
    desk: Desk = request.app.state.desk
    return await book.figures(desk.ground().release, actor)


def _told(figures: Figures | None, customer_class: str, stage: Stage, actor: Actor) -> dict[str, Any]:
    return {"figures": None if figures is None else figures.of(customer_class, str(stage), actor)}


def _cell(rules: Rulebook, segments: SegmentsPolicy, class_id: str, stage: Stage) -> dict[str, Any]:
    card = rules.policy.matrix[class_id][stage]
    known = segments.classes.classes.get(class_id)
    return {
        "customer_class": class_id,
        "class_name": known.zh if known else class_id,
        "stage": str(stage),
        "goal": card.goal,
        "goal_zh": card.goal_zh,
        "products": list(card.products),
        "hook": card.hook,
    }


def _full(rules: Rulebook, segments: SegmentsPolicy, class_id: str, stage: Stage) -> dict[str, Any]:
    cell = _cell(rules, segments, class_id, stage)
    policy, catalogue = rules.policy, rules.catalogue
    hook = policy.hooks[cell["hook"]]
    listed = catalogue.listed[catalogue.cells[(class_id, str(stage))]]
    return cell | {
        "products": [_product(rules, product_id) for product_id in cell["products"]],
        "hook": {
            "hook_id": cell["hook"],
            "name": {"zh": hook.zh, "en": hook.en},
            "reward": hook.reward.model_dump(mode="json"),
            "kpi": hook.kpi,
            "steps": [step.model_dump(mode="json") for step in hook.steps],
        },
        "offers": [card.offer_id for card, is_listed in zip(catalogue.cards, listed, strict=True) if is_listed],
        "variants": list(_variants(policy, class_id, stage)),
    }


def _variants(policy: DecisionsPolicy, class_id: str, stage: Stage) -> Iterator[dict[str, Any]]:
    """What differs in the cell from one band of tiers to the next."""
    for tiers in policy.variants.bands.values():
        yield {"tiers": list(tiers), **asdict(variant(policy.matrix, policy.variants, class_id, stage, tiers[0]))}


def _product(rules: Rulebook, product_id: str) -> dict[str, Any]:
    product = rules.policy.products[product_id]
    return {
        "product_id": product_id,
        "name": {"zh": product.zh, "en": product.en},
        "kind": product.kind,
        "category": product.category,
        "role": product.role,
        "risk_level": product.risk_level,
        "min_amount": product.min_amount,
    }
