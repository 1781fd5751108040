"""GET /v1/cells: the class × lifecycle matrix (客户行为矩阵), whole or one cell in full."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from features.policy import SegmentsPolicy
from features.vocabulary import Stage
from serving.api.answers import answer
from serving.api.listings import CellCard, Cells
from serving.api.openapi import READING, problems
from serving.deciding import Desk
from serving.errors import UnknownCell
from serving.ground import Rulebook
from serving.security import asking

router = APIRouter(prefix="/v1/cells", tags=["cells"], dependencies=[Depends(asking("read_catalogue"))])


@router.get("", response_model=None, responses={200: {"model": Cells}, **problems(*READING)})
async def list_cells(request: Request) -> Any:
    """Every cell with its goal, products and hook; classes in order of the matrix, stages in order of life."""
    desk: Desk = request.app.state.desk
    rules, segments = desk.rulebook(), desk.ground().segments
    cells = [
        _cell(rules, segments, class_id, stage)
        for class_id, row in rules.policy.matrix.items()
        for stage in Stage
        if stage in row
    ]
    return answer({"cells": cells})


@router.get(
    "/{customer_class}/{stage}", response_model=None, responses={200: {"model": CellCard}, **problems(404, *READING)}
)
async def show_cell(request: Request, customer_class: str, stage: str) -> Any:
    """One cell in full: products, hook with its follow-up steps, and the offers they make."""
    return answer(card_of(request.app.state.desk, customer_class, stage))


def card_of(desk: Desk, customer_class: str, stage: str) -> dict[str, Any]:
    """One cell in full, as plain data; raises UnknownCell."""
    rules, segments = desk.rulebook(), desk.ground().segments
    matrix = rules.policy.matrix
    if customer_class not in matrix:
        raise UnknownCell("unknown customer class", value=customer_class, allowed=matrix)
    if stage not in matrix[customer_class]:
        raise UnknownCell("unknown stage", value=stage, allowed=[str(known) for known in matrix[customer_class]])
    return _full(rules, segments, customer_class, Stage(stage))


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
    }


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
