"""Everything that decides which offer a customer gets, as one typed policy; a change of it cuts a release.

Sections are the files of `decisioning/policy/`. What one section names in another is checked here, so that a policy
that loads has no dangling id.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from decisioning.catalogue.hooks import Hook
from decisioning.catalogue.legality import Trigger, TriggerLaw
from decisioning.catalogue.offers import Channel, Offer
from decisioning.catalogue.products import Product, ServiceAction
from decisioning.catalogue.variants import Variants
from decisioning.catalogue.wording import Wording
from features.policy import Frozen, PolicyBook, PolicyValues, Rule, Share
from features.vocabulary import Stage

SHIPPED = Path(__file__).parent / "policy"


class CellCard(Frozen):
    """One cell of the class × lifecycle matrix: its goal, its products and its hook."""

    goal: str
    goal_zh: str
    products: tuple[str, ...]
    hook: str


class Overlay(Frozen):
    """A situation that comes on top of the cell: its hook's offers enter at weight 1 and count `factor` times.

    One that waits for an event (a concert, a match) is dated open and closed again; closed, it is not in force.
    """

    id: str
    when: Rule
    hook: str
    offers: tuple[str, ...] = ()
    factor: Annotated[float, Field(ge=1, le=2)]
    is_open: bool = True


def _open(overlays: tuple[Overlay, ...]) -> tuple[Overlay, ...]:
    return tuple(overlay for overlay in overlays if overlay.is_open)


class Exclusion(Frozen):
    """Who gets no offer at all, or no sales offer; `code` is the reason that is logged."""

    code: str
    when: Rule
    keeps_care: bool = False


class ContactPolicy(Frozen):
    """Contact caps of the whole bank; those of one channel stand with the channel."""

    sales_max: Annotated[int, Field(ge=0)]
    sales_window_days: Annotated[int, Field(ge=1)]
    all_max: Annotated[int, Field(ge=0)]
    all_window_days: Annotated[int, Field(ge=1)]
    survey_max: Annotated[int, Field(ge=0)]
    survey_window_days: Annotated[int, Field(ge=1)]
    quiet_from_hour: Annotated[int, Field(ge=0, le=23)]
    quiet_to_hour: Annotated[int, Field(ge=0, le=23)]
    refusal_days: Annotated[int, Field(ge=0)]

    def is_quiet(self, hour: int) -> bool:
        """Whether the hour lies in the quiet hours, which may span midnight; equal ends are none."""
        start, stop = self.quiet_from_hour, self.quiet_to_hour
        return start <= hour < stop if start <= stop else hour >= start or hour < stop


class Suitability(Frozen):
    """Proactive risk caps by age (R28): from `age` on, no product above `risk_level`."""

    age_caps: dict[int, int]


class Readiness(Frozen):
    """How ready a customer is for a gated core product (D08): weights over days, services, active days, hook done."""

    weights: dict[str, Share]
    full_days: int
    full_services: int
    full_active_days: int
    stranger_days: int


class Arbitration(Frozen):
    """The figures of the score, of exploration and of the holdout."""

    reference_channel: str
    relevance_floor_amount: float
    weight_listed: Share
    weight_secondary: Share
    weight_unlisted: Share
    core_barred_stages: tuple[Stage, ...]
    moment_factor: Annotated[float, Field(ge=1)]
    lead_factor: Annotated[float, Field(ge=1)] = 1.0
    lever_min: float
    lever_max: float
    levers: dict[str, float]
    incremental_share: Share
    prior_p: Share
    diversity_max: Annotated[int, Field(ge=1)]
    diversity_top: Annotated[int, Field(ge=1)]
    exploration_amount: Annotated[float, Field(ge=0)]
    holdout_share: Share
    holdout_exempt_tiers: tuple[str, ...]
    offer_expires_days: Annotated[int, Field(ge=1)]


class DecisionsPolicy(PolicyValues):
    """All of decisioning's policy in force on one day."""

    products: dict[str, Product]
    services: dict[str, ServiceAction]
    hooks: dict[str, Hook]
    offers: dict[str, Offer]
    channels: dict[str, Channel]
    matrix: dict[str, dict[Stage, CellCard]]
    variants: Variants
    overlays: Annotated[tuple[Overlay, ...], AfterValidator(_open)]
    exclusions: tuple[Exclusion, ...]
    contact: ContactPolicy
    suitability: Suitability
    readiness: Readiness
    arbitration: Arbitration
    legality: dict[Trigger, TriggerLaw]
    wording: Wording

    @model_validator(mode="after")
    def _no_dangling_id(self) -> Self:
        for owner, name, known in self._references():
            if name not in known:
                raise ValueError(f"{owner} names {name!r}, which is not there; allowed: {', '.join(sorted(known))}")
        return self

    def _references(self) -> list[tuple[str, str, Collection[str]]]:
        found: list[tuple[str, str, Collection[str]]] = []
        for offer_id, offer in self.offers.items():
            where = f"offer {offer_id}"
            found += [(where, offer.product, self.products)] if offer.product else []
            found += [(where, offer.hook, self.hooks)] if offer.hook else []
            found += [(where, offer.service, self.services)] if offer.service else []
            found += [(where, channel, self.channels) for channel in offer.channels or ()]
        for class_id, row in self.matrix.items():
            for stage, cell in row.items():
                where = f"cell {class_id}/{stage}"
                found += [(where, product, self.products) for product in cell.products]
                found.append((where, cell.hook, self.hooks))
        found += [(where, channel, self.channels) for where, channel in self.variants.channels()]
        found += [(where, product, self.products) for where, product in self.variants.products()]
        for product_id, product in self.products.items():
            found += [(f"product {product_id}", channel, self.channels) for channel in product.channels]
        for service_id, service in self.services.items():
            found += [(f"service {service_id}", channel, self.channels) for channel in service.channels]
        for overlay in self.overlays:
            found.append((f"overlay {overlay.id}", overlay.hook, self.hooks))
            found += [(f"overlay {overlay.id}", offer, self.offers) for offer in overlay.offers]
        for hook_id, hook in self.hooks.items():
            for step in hook.steps:
                where = f"hook {hook_id} step {step.no}"
                found += [(where, channel, self.channels) for channel in step.channels]
                found += [(where, offer, self.offers) for offer in step.offers]
        found.append(("arbitration", self.arbitration.reference_channel, self.channels))
        return found


@lru_cache(maxsize=8)
def decisions(*folders: Path) -> PolicyBook[DecisionsPolicy]:
    """The decisions book: the shipped one, with sections replaced by those in `folders`."""
    return PolicyBook.read(DecisionsPolicy, SHIPPED, *folders)
