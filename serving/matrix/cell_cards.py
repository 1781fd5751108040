"""The cells of the matrix as the policy plans them (客群格): goal, products, hook, offers, and what differs by tier.

A class may be there before its plan: a bank adds it in the segments policy alone, and its people stand in cells without
a card from the next build on. Such a cell is told like any other, with `is_planned` false and nothing in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from decisioning.catalogue.variants import variant
from decisioning.policy import DecisionsPolicy
from features.policy import SegmentsPolicy
from features.vocabulary import Stage
from serving.desk.deciding import Desk
from serving.desk.ground import Rulebook
from serving.errors import UnknownCell

Plain = dict[str, Any]


def class_ids(rules: Rulebook, segments: SegmentsPolicy, found: Iterable[str] = ()) -> list[str]:
    """Every class in the order of precedence, then those that only the matrix or `found`, where people stand, know."""
    ranked = [name for name, _ in segments.classes.ranked()]
    return list(dict.fromkeys([*ranked, *rules.policy.matrix, *sorted(found)]))


def entry(rules: Rulebook, segments: SegmentsPolicy, class_id: str, stage: Stage) -> Plain:
    """One cell of the matrix, its products and its hook by their ids."""
    card = rules.policy.matrix.get(class_id, {}).get(stage)
    return {
        "customer_class": class_id,
        "class_name": segments.classes.name(class_id),
        "stage": str(stage),
        "is_planned": card is not None,
        "goal": card.goal if card else None,
        "goal_zh": card.goal_zh if card else None,
        "products": list(card.products) if card else [],
        "hook": card.hook if card else None,
    }


def card_of(desk: Desk, customer_class: str, stage: str, found: Iterable[str] = ()) -> Plain:
    """One cell in full but for its figures, as plain data; raises UnknownCell.

    `found` are the classes in which people stand, whatever the policy says of them.
    """
    rules, segments = desk.rulebook(), desk.ground().segments
    known = class_ids(rules, segments, found)
    if customer_class not in known:
        raise UnknownCell("unknown customer class", value=customer_class, allowed=known,
                          zh=f"没有 {customer_class} 这个客户分类")  # fmt: skip
    if stage not in list(Stage):
        raise UnknownCell("unknown stage", value=stage, allowed=[str(name) for name in Stage],
                          zh=f"没有 {stage} 这个生命周期阶段")  # fmt: skip
    return _full(rules, segments, customer_class, Stage(stage))


def _full(rules: Rulebook, segments: SegmentsPolicy, class_id: str, stage: Stage) -> Plain:
    cell = entry(rules, segments, class_id, stage)
    catalogue = rules.catalogue
    place = catalogue.cells.get((class_id, str(stage)))
    listed = [] if place is None else zip(catalogue.cards, catalogue.listed[place], strict=True)
    return cell | {
        "products": [_product(rules, product_id) for product_id in cell["products"]],
        "hook": _hook(rules.policy, cell["hook"]) if cell["hook"] else None,
        "offers": [card.offer_id for card, is_listed in listed if is_listed],
        "variants": list(_variants(rules.policy, class_id, stage)) if cell["is_planned"] else [],
    }


def _hook(policy: DecisionsPolicy, hook_id: str) -> Plain:
    hook = policy.hooks[hook_id]
    return {
        "hook_id": hook_id,
        "name": {"zh": hook.zh, "en": hook.en},
        "reward": hook.reward.model_dump(mode="json"),
        "kpi": hook.kpi,
        "kpi_zh": hook.kpi_zh,
        "steps": [step.model_dump(mode="json") for step in hook.steps],
    }


def _variants(policy: DecisionsPolicy, class_id: str, stage: Stage) -> Iterator[Plain]:
    """What differs in the cell from one band of tiers to the next; a band without a row is left out."""
    told = policy.variants.classes.get(class_id, {})
    for band, tiers in policy.variants.bands.items():
        if band in told:
            yield {"tiers": list(tiers), **variant(policy.matrix, policy.variants, class_id, stage, tiers[0])._asdict()}


def _product(rules: Rulebook, product_id: str) -> Plain:
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
