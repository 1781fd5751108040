"""Shapes of what is read: catalogue, matrix, portrait, health; for the OpenAPI document, as `documents.py` says."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from features.vocabulary import Stage
from serving.api.documents import Cell, Document, Name


class Page(Document):
    """One page of a list; `next_cursor` is null on the last."""

    next_cursor: str | None


class OfferEntry(Document):
    offer_id: str
    name: Name
    product_id: str | None
    hook_id: str | None
    service_id: str | None
    category: str | None
    risk_level: int
    min_amount: float
    reward_amount: float
    channels: list[str]
    copy_text: Annotated[Name, Field(alias="copy")]


class OfferPage(Page):
    offers: list[OfferEntry]


class LoggedPlacement(Document):
    """One slot of a decision; `propensity` is its probability given the slots above, null where nothing was drawn."""

    placement_id: str
    rank: int
    offer_id: str
    treatment_id: str
    channel: str
    purpose: str
    propensity: float | None


class LoggedDecision(Document):
    decision_id: str
    decided_at: datetime
    customer_id: str
    channel: str
    arm: str
    repeat_of: str | None
    release_id: str
    prices_version: str
    degraded: bool
    fallback: bool
    stale: bool
    placements: list[LoggedPlacement]


class LoggedDecisions(Page):
    decisions: list[LoggedDecision]


class CellPoint(Document):
    """A cell at one month end; money is null where nobody has any, or where the caller may not see it."""

    as_of: date
    n_customers: int
    aum: float | None
    value: float | None


class CellResponse(Document):
    """How contacts with people of the cell ended: taken of all, with the interval of the share."""

    n: int
    n_yes: int
    share: float | None
    low: float | None
    high: float | None


class CellFigures(CellPoint):
    """A cell in figures at the month of the release, and month by month before; `masked` names what is withheld."""

    response: CellResponse
    trend: list[CellPoint]
    masked: list[str]


class CellEntry(Document):
    """A cell of the matrix; where `is_planned` is false the bank has not said yet what it means to do there."""

    customer_class: str
    class_name: Name
    stage: Stage
    is_planned: bool
    goal: str | None
    goal_zh: str | None
    products: list[str]
    hook: str | None
    figures: CellFigures | None


class Cells(Document):
    cells: list[CellEntry]


class CellVariant(Document):
    """A cell as one band of tiers sees it: channels in order, the benefit, products with those that lead first."""

    band: str
    tiers: list[str]
    channels: list[str]
    benefit: str
    products: list[str]
    hook: str


class CellCard(Document):
    """One cell of the matrix in full: products, hook with the steps, the offers they make, what differs by tier."""

    customer_class: str
    class_name: Name
    stage: Stage
    is_planned: bool
    goal: str | None
    goal_zh: str | None
    products: list[dict[str, Any]]
    hook: dict[str, Any] | None
    offers: list[str]
    variants: list[CellVariant]
    figures: CellFigures | None


class CellPeople(Page):
    """Ids of the people in a cell."""

    as_of: date
    customers: list[str]


class Portrait(Document):
    """A customer as the engine knows him; what the caller may not see is absent and named in `masked`.

    `who` holds name and telephone token for cleared callers inside, the masked name for cleared callers outside.
    """

    customer_id: str
    release_id: str
    as_of: date | None
    stale: bool
    who: dict[str, Any]
    cell: Cell
    tier: dict[str, Any]
    grade: dict[str, Any]
    customer_class: dict[str, Any]
    stage: dict[str, Any]
    tags: list[str]
    holdings: dict[str, Any]
    contacts: dict[str, Any]
    feedback: dict[str, Any]
    standing: dict[str, Any]
    scores: dict[str, Any]
    leaving: dict[str, Any] | None
    value: dict[str, Any] | None
    timeline: list[dict[str, Any]]
    masked: list[str]


class TagDeletion(Document):
    """A tag that a customer had deleted; `deleted_at` is the first time it was asked for."""

    customer_id: str
    tag: str
    deleted_at: datetime


class Health(Document):
    status: Literal["ok"]


class Ready(Document):
    status: Literal["ready"]
    release_id: str


class DataHealth(Document):
    """What serving stands on, and how old it is."""

    release_id: str
    lineage: str
    as_of: date
    age_days: int
    stale: bool
    segments_digest: str
    decisions_digest: str
    code_version: str
    champions: list[str]
    degraded: bool
    views: list[dict[str, Any]]
    clock: dict[str, Any]
    home: dict[str, Any]
