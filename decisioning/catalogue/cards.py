"""One offer with everything its product, hook or service action says about it, resolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from decisioning.catalogue.hooks import Hook
from decisioning.catalogue.offers import Offer
from decisioning.catalogue.products import Product, ServiceAction
from decisioning.policy import DecisionsPolicy
from features.predicates import AllOf, Predicate

_CREDIT = "贷款"  # of the six categories of financial products (D01), the one whose minimum is the bank's money
_OUTCOME_DAYS = 30  # a hook alone has no product whose window counts


class Words(NamedTuple):
    """One text in both languages."""

    zh: str
    en: str

    def to_json(self) -> dict[str, str]:
        return {"zh": self.zh, "en": self.en}


@dataclass(frozen=True, slots=True)
class OfferCard:
    """An offer resolved; amounts in reporting currency, `value` over the horizon of 180 days with follow-on margin.

    `gate` is what the product's gate and the hook's entry ask together, or the service action's `when`. `department`
    is the key of the levers: the product's category, or the kind where there is none. `own_minimum` is the part of
    `min_amount` that the customer must already have at the bank: a core product's, unless it is credit; hook products
    are there to bring money in. `first_template` names the hook's first step.
    """

    offer_id: str
    product_id: str | None
    hook_id: str | None
    service_id: str | None
    kind: str
    role: str
    category: str | None
    subcategory: str | None
    name: Words
    copy: Words
    channels: tuple[str, ...]
    version: int
    value: float
    retention: float
    reward: float
    min_amount: float
    own_minimum: float
    risk_level: int
    readiness_min: float
    outcome_days: int
    needs_view: bool
    is_care: bool
    is_private: bool
    is_repeatable: bool
    is_record_required: bool
    gate: Predicate | None
    first_template: str | None

    @property
    def is_ranked(self) -> bool:
        return self.kind != "information"

    @property
    def is_service(self) -> bool:
        return self.service_id is not None

    @property
    def is_tool(self) -> bool:
        return self.kind == "tool"

    @property
    def is_core(self) -> bool:
        return self.role == "core"

    @property
    def department(self) -> str:
        return self.category or self.kind

    @classmethod
    def of(cls, offer_id: str, policy: DecisionsPolicy) -> OfferCard:
        """The card of one offer of the policy."""
        offer = policy.offers[offer_id]
        product = policy.products[offer.product] if offer.product else None
        hook = policy.hooks[offer.hook] if offer.hook else None
        service = policy.services[offer.service] if offer.service else None
        whole = product or service
        thing = whole or hook
        is_care = service is not None or (product is None and hook is not None and hook.is_care)
        reward = offer.reward_amount if offer.reward_amount is not None else (hook.reward.amount if hook else 0.0)
        return cls(
            offer_id=offer_id,
            product_id=offer.product,
            hook_id=offer.hook,
            service_id=offer.service,
            kind=_kind(offer, product),
            role=product.role if product else _role(offer, is_care=is_care),
            name=Words(offer.zh or (thing.zh if thing else offer_id), offer.en or (thing.en if thing else offer_id)),
            copy=Words(offer.copy_zh, offer.copy_en),
            channels=_channels(offer, whole, hook),
            version=offer.version,
            value=float(service.value_amount if service else _value(offer, product, hook)),
            retention=float(service.retention_amount) if service else 0.0,
            reward=float(reward),
            outcome_days=offer.outcome_days or (whole.outcome_days if whole else _OUTCOME_DAYS),
            needs_view=offer.needs_view,
            is_care=is_care,
            first_template=hook.steps[0].template if hook and hook.steps else None,
            **_of_product(offer, product),
            gate=_both(product.gate if product else None, hook.entry if hook else None)
            if service is None
            else service.when,
        )

    def row(self) -> dict[str, Any]:
        """The card as a row of the bank table `offer`, without its dates."""
        return {
            "offer_id": self.offer_id,
            "product_id": self.product_id,
            "hook_id": self.hook_id,
            "kind": self.kind,
            "category": self.category,
            "subcategory": self.subcategory,
            "role": self.role,
            "risk_level": self.risk_level,
            "min_amount": self.min_amount,
            "reward_amount": self.reward,
            "outcome_days": self.outcome_days,
            "n_channels": len(self.channels),
            "needs_view": self.needs_view,
            "is_ranked": self.is_ranked,
        }


def _kind(offer: Offer, product: Product | None) -> str:
    if product is not None:
        return product.kind
    if offer.service is not None:
        return "service"
    return "hook" if offer.hook is not None else "information"


def _role(offer: Offer, *, is_care: bool) -> str:
    if is_care:
        return "care"
    return "hook" if offer.hook is not None else "information"


def _channels(offer: Offer, thing: Product | ServiceAction | None, hook: Hook | None) -> tuple[str, ...]:
    """The offer's own channels, else those of its product or service action, else those of the hook's steps."""
    if offer.channels is not None:
        return offer.channels
    if thing is not None:
        return thing.channels
    return tuple(dict.fromkeys(name for step in hook.steps for name in step.channels)) if hook else ()


def _both(gate: Predicate | None, entry: Predicate | None) -> Predicate | None:
    if gate is None or entry is None:
        return gate or entry
    return Predicate(f"({gate.text}) and ({entry.text})", AllOf((gate.node, entry.node)))


def _value(offer: Offer, product: Product | None, hook: Hook | None) -> float:
    """Own margin over the horizon and the follow-on margin of the journey (DESIGN §5, V)."""
    own = product.margin.over_horizon() if product else 0.0
    if offer.follow_on_amount is not None:
        return own + offer.follow_on_amount
    return own + (product.follow_on_amount if product else 0.0) + (hook.follow_on_amount if hook else 0.0)


def _of_product(offer: Offer, product: Product | None) -> dict[str, Any]:
    """What only a product has, with the values of a thing that is none."""
    floor = offer.min_amount if offer.min_amount is not None else (product.min_amount if product else 0.0)
    return {
        "category": product.category if product else None,
        "subcategory": product.subcategory if product else None,
        "min_amount": floor,
        "own_minimum": floor if product and product.role == "core" and product.category != _CREDIT else 0.0,
        "risk_level": product.risk_level if product else 0,
        "readiness_min": product.readiness_min if product else 0.0,
        "is_private": product is not None and product.is_private_placement,
        "is_repeatable": product is None or product.is_repeatable,
        "is_record_required": product is not None and product.is_record_required,
    }
