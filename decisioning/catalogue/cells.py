"""Whether every cell is a whole plan: products, a hook with follow-up steps, a measure, a variant for each tier."""

from __future__ import annotations

from collections.abc import Iterator

from decisioning.catalogue.findings import Finding, listed
from decisioning.policy import CellCard, DecisionsPolicy
from features.policy import SegmentsPolicy
from features.vocabulary import Stage

_CARDS = ("debit card", "credit card")


def check_cells(segments: SegmentsPolicy, decisions: DecisionsPolicy) -> Iterator[Finding]:
    """Cells that lack something (B07, B08, D08), classes without variants (B08) or a card of their own (A03)."""
    classes = segments.classes.classes
    for class_id in decisions.matrix.keys() - classes.keys():
        yield Finding(f"matrix row {class_id}", "no such class", "B07", class_id, listed(classes))
    for class_id in classes:
        row = decisions.matrix.get(class_id, {})
        for stage in Stage:
            where, cell = f"cell {class_id}/{stage}", row.get(stage)
            if cell is None:
                yield Finding(where, "cell is missing", "B07")
            else:
                yield from _check_cell(where, stage, cell, decisions)
        yield from _check_variants(class_id, segments, decisions)
        yield from _check_cards(class_id, decisions)
    for tier in segments.tiers.thresholds.keys() - {
        tier for band in decisions.variants.bands.values() for tier in band
    }:
        yield Finding("variants", "a tier stands in no band", "B08", tier, listed(decisions.variants.bands))


def _check_cell(where: str, stage: Stage, cell: CellCard, decisions: DecisionsPolicy) -> Iterator[Finding]:
    if not cell.products:
        yield Finding(where, "cell has no product", "B08", allowed="one or more")
    core = [name for name in cell.products if decisions.products[name].role == "core"]
    if core and stage in decisions.arbitration.core_barred_stages:
        yield Finding(where, "core product in a stage that bars core products", "D08", listed(core))
    hook = decisions.hooks[cell.hook]
    if not hook.steps:
        yield Finding(where, "hook has no follow-up steps", "B08", cell.hook, "two or more")
    if not hook.kpi.strip():
        yield Finding(where, "hook has no measure", "B08", cell.hook)


def _check_variants(class_id: str, segments: SegmentsPolicy, decisions: DecisionsPolicy) -> Iterator[Finding]:
    rows, benefits = decisions.variants.classes.get(class_id, {}), segments.tiers.benefits
    for band, tiers in decisions.variants.bands.items():
        where = f"variant {class_id}/{band}"
        if band not in rows:
            yield Finding(where, "variant is missing", "B08")
            continue
        twins = [other for other in rows if other != band and rows[other] == rows[band]]
        if twins:
            yield Finding(where, "same channels, benefit and products as another band", "B08", listed(twins))
        for tier in tiers:
            if rows[band].benefit not in benefits.get(tier, ()):
                yield Finding(where, f"{tier} does not have this benefit", "A02", rows[band].benefit,
                              listed(benefits.get(tier, ())))  # fmt: skip


def _check_cards(class_id: str, decisions: DecisionsPolicy) -> Iterator[Finding]:
    cards = decisions.variants.cards.get(class_id, ())
    if not cards:
        yield Finding(f"cards of {class_id}", "class has no card of its own", "A03", allowed="one or more")
    for card in cards:
        if decisions.products[card.product].subcategory not in _CARDS:
            yield Finding(f"cards of {class_id}", "product is no card", "A03", card.product, listed(_CARDS))
