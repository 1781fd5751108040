"""What `tiercel policy check` runs: whether two policies that load also make sense, to a bank and to the law.

Every complaint is a `Finding`; an empty list is a policy that may go live. Rules are named by the promise they
keep (B07: the cells, C01: the map, D01 and D02: the catalogue, D08: readiness, E01: rewards, E03: journeys) or by the
legal rule (R..).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from decisioning.catalogue.cards import OfferCard
from decisioning.catalogue.cells import check_cells
from decisioning.catalogue.copy_lint import lint
from decisioning.catalogue.findings import Finding, listed
from decisioning.catalogue.journeys import check_journeys
from decisioning.catalogue.legality import judge
from decisioning.policy import DecisionsPolicy
from features.bank.tables import EVENT_CHANNELS, TABLES
from features.errors import BadPredicate
from features.policy import EVENT_COLUMNS, SegmentsPolicy
from features.predicates import AllOf, AnyOf, Compare, Contains, Node, Not, OneOf, Predicate
from features.vocabulary import Column, Stage

__all__ = ["Finding", "check"]

FINANCIAL_CATEGORIES = ("存款", "理财", "保险", "贷款", "账户", "支付")
KINDS = ("financial", "platform", "user", "tool")
_ASSET_CATEGORIES = {"存款": "R35", "理财": "R36", "保险": "R37"}  # a reward on buying one of these is unlawful
_READINESS = {"days", "services", "active_days", "hook_done"}


def check(segments: SegmentsPolicy, decisions: DecisionsPolicy, columns: Mapping[str, Column]) -> list[Finding]:
    """All that is wrong with the two policies in force on one day, `columns` being what a rule may ask of a customer.

    An empty list means that every rule can be answered, every cell is filled, every reward is lawful or signed for,
    every text is clean and every id leads somewhere.
    """
    return [
        *_check_rules(segments, decisions, columns),
        *check_cells(segments, decisions),
        *_check_products(decisions),
        *_check_offers(decisions),
        *_check_rewards(decisions),
        *_check_channels(decisions),
        *check_journeys(decisions),
        *_check_labels(segments, decisions),
        *lint(decisions),
    ]


def rules_of(segments: SegmentsPolicy, decisions: DecisionsPolicy) -> Iterator[tuple[str, Predicate]]:
    """Every rule of both policies, with where it stands."""
    named: list[tuple[str, Predicate | None]] = []
    for class_id, card in segments.classes.classes.items():
        named += [(f"class {class_id}", card.rule), (f"class {class_id} keep", card.keep)]
    named += [(f"tag {tag_id}", tag.rule) for tag_id, tag in segments.tags.items()]
    named += [(f"product {product_id}", product.gate) for product_id, product in decisions.products.items()]
    named += [(f"service {service_id}", service.when) for service_id, service in decisions.services.items()]
    named += [(f"channel {name}", channel.allowed_for) for name, channel in decisions.channels.items()]
    named += [(f"overlay {overlay.id}", overlay.when) for overlay in decisions.overlays]
    named += [(f"exclusion {exclusion.code}", exclusion.when) for exclusion in decisions.exclusions]
    for hook_id, hook in decisions.hooks.items():
        named.append((f"hook {hook_id}", hook.entry))
        for step in hook.steps:
            where = f"hook {hook_id} step {step.no}"
            named += [(where, step.condition), (f"{where} stop", step.stop)]
    return ((where, rule) for where, rule in named if rule is not None)


def _check_rules(
    segments: SegmentsPolicy, decisions: DecisionsPolicy, columns: Mapping[str, Column]
) -> Iterator[Finding]:
    labels = _labels(segments, decisions, columns)
    for where, rule in rules_of(segments, decisions):
        try:
            rule.check(columns)
        except BadPredicate as error:
            yield Finding(where, error.what, "A11", rule.text, error.allowed or "")
            continue
        yield from _unknown_labels(where, rule, labels)
    of_events = {name: column.allowed for name, column in EVENT_COLUMNS.items() if column.allowed}
    for kind, rule in segments.activity.events.items():
        yield from _unknown_labels(f"events {kind}", rule, of_events | {"product_id": decisions.products.keys()})


def _unknown_labels(where: str, rule: Predicate, labels: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    for column, label in _labels_in(rule.node):
        if column in labels and label not in labels[column]:
            yield Finding(where, f"{column} is never {label!r}", "A11", rule.text, listed(labels[column]))


def _labels(
    segments: SegmentsPolicy, decisions: DecisionsPolicy, columns: Mapping[str, Column]
) -> Mapping[str, Collection[str]]:
    """Codes that a column may hold, where the policy or the bank's contract closes the list."""
    channels = {*EVENT_CHANNELS, "ALL"}
    closed = {name: column.allowed for name, column in columns.items() if column.allowed}
    return closed | {
        "customer_class": segments.classes.classes.keys(),
        "other_classes": segments.classes.classes.keys(),
        "tier": segments.tiers.thresholds.keys(),
        "grade": segments.grades.bands.keys(),
        "stage": set(Stage),
        "previous_stage": set(Stage),
        "tags": segments.tags.keys(),
        "held_products": decisions.products.keys(),
        "preapproved": decisions.products.keys(),
        "consented_channels": channels,
        "do_not_call": channels,
        "withheld_categories": {
            f"{category}{channel}"
            for category in {product.category for product in decisions.products.values()}
            for channel in ("", *(f"/{name}" for name in EVENT_CHANNELS))
        },
        "customer_facts": TABLES["customer_fact"].column("fact").allowed,
        "id_doc_type": TABLES["customer"].column("id_doc_type").allowed,
        "investor_type": TABLES["risk_assessment"].column("investor_type").allowed,
    }


def _labels_in(node: Node) -> Iterator[tuple[str, str]]:
    """Each (column, code) that a rule compares."""
    if isinstance(node, AllOf | AnyOf):
        for part in node.parts:
            yield from _labels_in(part)
    elif isinstance(node, Not):
        yield from _labels_in(node.part)
    elif isinstance(node, Contains):
        yield node.column, node.code
    elif isinstance(node, OneOf):
        yield from ((node.column, literal) for literal in node.literals if isinstance(literal, str))
    elif isinstance(node, Compare) and isinstance(node.literal, str):
        yield node.column, node.literal


def _check_products(decisions: DecisionsPolicy) -> Iterator[Finding]:
    in_cells = {name for row in decisions.matrix.values() for cell in row.values() for name in cell.products}
    overlaid = {decisions.offers[offer].product for overlay in decisions.overlays for offer in overlay.offers}
    for product_id, product in decisions.products.items():
        if product_id not in in_cells | overlaid:
            yield Finding(f"product {product_id}", "stands in no cell and no overlay", "C01")
        is_known = product.category in FINANCIAL_CATEGORIES
        if is_known != (product.kind == "financial"):
            allowed = listed(FINANCIAL_CATEGORIES) if product.kind == "financial" else "a category of its own"
            yield Finding(f"product {product_id}", f"category of a {product.kind} product", "D01",
                          product.category, allowed)  # fmt: skip
        if product.role == "core" and product.gate is not None and product.readiness_min <= 0:
            yield Finding(f"product {product_id}", "gated core product asks for no readiness", "D08", allowed="> 0")
    present = {product.kind for product in decisions.products.values()}
    for kind in KINDS:
        if kind not in present:
            yield Finding("products", "no product of a kind", "D02", kind)
    if not decisions.services:
        yield Finding("services", "no service action", "D02")


def _check_offers(decisions: DecisionsPolicy) -> Iterator[Finding]:
    plain = {(offer.product, offer.hook, offer.service) for offer in decisions.offers.values()}
    for product_id in decisions.products:
        if (product_id, None, None) not in plain:
            yield Finding(f"product {product_id}", "has no offer of its own", "C01")
    for service_id in decisions.services:
        if (None, None, service_id) not in plain:
            yield Finding(f"service {service_id}", "has no offer of its own", "C01")
    for class_id, row in decisions.matrix.items():
        for stage, cell in row.items():
            for product_id in cell.products:
                if decisions.hooks[cell.hook].follow_on_amount and (product_id, cell.hook, None) not in plain:
                    yield Finding(f"cell {class_id}/{stage}", "pair of hook and product is no offer", "C01",
                                  f"{cell.hook}-{product_id}")  # fmt: skip


def _check_rewards(decisions: DecisionsPolicy) -> Iterator[Finding]:
    for trigger in [trigger for hook in decisions.hooks.values() for trigger in hook.reward.trigger]:
        if trigger not in decisions.legality:
            yield Finding("legality", "no row for a trigger that a hook uses", "E01", trigger)
            return
    for hook_id, hook in decisions.hooks.items():
        where, reward = f"hook {hook_id}", hook.reward
        ruling = judge(reward, decisions.legality)
        got = f"{reward.kind} on {' + '.join(reward.trigger)}"
        if ruling.verdict == "reject":
            yield Finding(where, "reward is not lawful", ruling.rule, got, "a reward that hangs on a task")
        elif ruling.verdict == "sign_off" and not reward.sign_off:
            yield Finding(where, "reward needs a recorded sign-off", ruling.rule, got, "sign_off: who, by which rule")
        if reward.kind not in ("NONE", "SERVICE") and not reward.trigger:
            yield Finding(where, "reward hangs on no trigger", "E01", reward.kind, listed(decisions.legality))
    for offer_id in decisions.offers:
        card = OfferCard.of(offer_id, decisions)
        if card.category in _ASSET_CATEGORIES and card.reward > 0:
            yield Finding(f"offer {offer_id}", "reward on buying the product", _ASSET_CATEGORIES[card.category],
                          str(card.reward), "reward_amount: 0")  # fmt: skip


def _check_channels(decisions: DecisionsPolicy) -> Iterator[Finding]:
    for name in decisions.channels.keys() - set(EVENT_CHANNELS):
        yield Finding(f"channel {name}", "no channel of the bank's tables", "C10", name, listed(EVENT_CHANNELS))
    outlets = {f"product {product_id}": product.channels for product_id, product in decisions.products.items()}
    outlets |= {f"service {service_id}": service.channels for service_id, service in decisions.services.items()}
    for where, channels in outlets.items():
        if not channels:
            yield Finding(where, "goes out by no channel", "C10", allowed=listed(decisions.channels))


def _check_labels(segments: SegmentsPolicy, decisions: DecisionsPolicy) -> Iterator[Finding]:
    for stage, targets in segments.lifecycle.legal_moves.items():
        for name in {stage, *targets} - set(Stage):
            yield Finding(f"legal moves from {stage}", "no such stage", "B01", name, listed(Stage))
    for stage in set(Stage) - segments.lifecycle.legal_moves.keys():
        yield Finding("legal moves", "a stage has no row", "B01", stage)
    tiers = segments.tiers.thresholds
    for tier in set(decisions.arbitration.holdout_exempt_tiers) - tiers.keys():
        yield Finding("arbitration", "holdout exempts no such tier", "R47", tier, listed(tiers))
    codes = [exclusion.code for exclusion in decisions.exclusions]
    for code in {code for code in codes if codes.count(code) > 1}:
        yield Finding(f"exclusion {code}", "reason code stands twice", "D11", code)
    weights = decisions.readiness.weights
    if weights.keys() != _READINESS or abs(sum(weights.values()) - 1) > 1e-9:
        yield Finding("readiness", "weights must name four parts and sum to 1", "D08", str(weights), listed(_READINESS))
