"""The filters and the score once more, for one customer in plain loops over the policy: what the arrays must equal.

Written from the rules, not from the arrays: it reads policy objects and plain values, and asks each predicate itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from decisioning.catalogue.variants import TierVariant
from decisioning.policy import DecisionsPolicy
from features.predicates import Predicate
from tests.decisioning.builders import column


@dataclass
class Customer:
    """One customer's facts, recent rows and requests, as plain values."""

    facts: dict[str, Any]
    recent: list[Mapping[str, Any]]
    now: datetime
    consent_basis: str
    channel: str
    asked: tuple[str, ...]
    moment: tuple[str, ...]
    policy: DecisionsPolicy

    def __post_init__(self) -> None:
        matrix = self.policy.matrix
        if self.facts.get("customer_class") not in matrix:
            self.facts["customer_class"] = list(matrix)[-1]
        if self.facts.get("stage") is None:
            self.facts["stage"] = "NEW" if self.facts.get("first_product_on") else "PROSPECT"
        order = [tier for tiers in self.policy.variants.bands.values() for tier in tiers]
        held, newcomer = self.facts.get("tier"), self.facts.get("newcomer_tier")
        if newcomer in order and (held not in order or order.index(newcomer) > order.index(held)):
            self.facts["tier"] = newcomer

    def number(self, name: str) -> float | None:
        value = self.facts.get(name)
        return None if value is None else float(value)

    def says_generic(self) -> bool:
        """Whether personal recommendation is off, or consent to profiling withdrawn."""
        return self.number("has_marketing_optout") == 1 or self.number("has_profiling_optout") == 1

    def says(self, rule: Predicate | None) -> bool | None:
        """True, False, or None where it cannot be told."""
        if rule is None:
            return True
        arrays = {name: column(name, [self.facts.get(name)]) for name in rule.columns()}
        truth = rule.truth(arrays)
        return bool(truth.true[0]) if truth.known[0] else None

    def has(self, name: str, code: str) -> bool:
        return f"|{code}|" in (self.facts.get(name) or "")

    def times(self, kind: str, *, product: str | None = None, **wanted: Any) -> list[datetime]:
        """Instants of recent rows of this kind that have all wanted values, latest first."""
        rows = (row for row in self.recent if row["kind"] == kind)
        return sorted(
            (row["at"].replace(tzinfo=None) for row in rows if all(row.get(k) in v for k, v in wanted.items())),
            reverse=True,
        )

    def within(self, times: Iterable[datetime], days: int) -> int:
        now = self.now.replace(tzinfo=None)
        return sum(at + timedelta(days=days) > now for at in times)


def channels_of(offer_id: str, policy: DecisionsPolicy) -> list[str]:
    offer = policy.offers[offer_id]
    if offer.channels is not None:
        return list(offer.channels)
    if offer.product:
        return list(policy.products[offer.product].channels)
    if offer.service:
        return list(policy.services[offer.service].channels)
    return list(dict.fromkeys(name for step in policy.hooks[offer.hook or ""].steps for name in step.channels))


def is_care(offer_id: str, policy: DecisionsPolicy) -> bool:
    offer = policy.offers[offer_id]
    return bool(offer.service or (offer.hook and not offer.product and policy.hooks[offer.hook].is_care))


def verdict(offer_id: str, customer: Customer) -> tuple[str, str] | list[str]:
    """Filter and code of the offer, or the channels by which it may go, cheapest first."""
    policy = customer.policy
    left = sorted(channels_of(offer_id, policy), key=lambda name: (policy.channels[name].unit_cost_amount, name))
    for name, whole, single in (
        ("exclusion", _exclusion, None),
        ("consent", _withheld, _consent),
        ("eligibility", _eligibility, None),
        ("applicability", _applicability, None),
        ("suitability", _suitability, None),
        ("contact_policy", _contact_policy, _contact_channel),
    ):
        code = whole(offer_id, customer) if whole else None
        if code:
            return name, code
        barred = {channel: single(offer_id, channel, customer) if single else None for channel in left}
        if left and all(barred.values()):
            return name, str(barred[left[0]])
        if barred.get(customer.channel):
            customer.facts.setdefault("_closed", {})[offer_id] = (name, barred[customer.channel])
        left = [channel for channel in left if not barred[channel]]
    return left or ("treatment", "NOT_IN_CHANNEL")


def outcome(offer_id: str, customer: Customer, effect: float | None = None) -> tuple[str, str] | list[str]:
    """As `verdict`, once the requested channel and what arms measured of the offer have had their say."""
    found = verdict(offer_id, customer)
    if isinstance(found, list) and customer.channel and customer.channel not in found:
        return customer.facts.get("_closed", {}).get(offer_id, ("treatment", "NOT_IN_CHANNEL"))  # type: ignore[no-any-return]  # facts are of any kind
    harms = effect is not None and effect < 0 and not customer.says_generic()
    if isinstance(found, list) and harms and _is_sold(offer_id, customer) and not _is_tool(offer_id, customer.policy):
        return "arbitration", "SLEEPING_DOG"
    return found


def _is_tool(offer_id: str, policy: DecisionsPolicy) -> bool:
    product = policy.offers[offer_id].product
    return product is not None and policy.products[product].kind == "tool"


def _exclusion(offer_id: str, customer: Customer) -> str | None:
    for rule in customer.policy.exclusions:
        if customer.says(rule.when) is True and not (rule.keeps_care and is_care(offer_id, customer.policy)):
            return rule.code
    return None


def _consent(offer_id: str, channel: str, customer: Customer) -> str | None:
    if customer.has("do_not_call", channel) or customer.has("do_not_call", "ALL"):
        return "DO_NOT_CALL"
    opened = customer.has("consented_channels", channel) or customer.has("consented_channels", "ALL")
    is_told = customer.facts["consented_channels"] is not None
    allowed = customer.consent_basis != "none" and (
        opened or (customer.consent_basis == "bank_attests" and not is_told)
    )
    if customer.policy.channels[channel].mode == "outbound" and not allowed:
        return "NO_CONSENT"
    return _withheld(offer_id, customer, f"/{channel}")


def _withheld(offer_id: str, customer: Customer, channel: str = "") -> str | None:
    product = customer.policy.offers[offer_id].product
    if not product or not _is_sold(offer_id, customer):
        return None
    category = customer.policy.products[product].category
    return "CATEGORY_WITHHELD" if customer.has("withheld_categories", f"{category}{channel}") else None


def _eligibility(offer_id: str, customer: Customer) -> str | None:
    policy, offer = customer.policy, customer.policy.offers[offer_id]
    rules = [
        policy.products[offer.product].gate if offer.product else None,
        policy.hooks[offer.hook].entry if offer.hook else None,
        policy.services[offer.service].when if offer.service else None,
    ]
    answers = [customer.says(rule) for rule in rules]
    if False not in answers and None in answers:
        return "DATA_MISSING"
    if False in answers:
        return "GATE"
    if offer.product is None:
        return None
    product, asked = policy.products[offer.product], offer_id in customer.asked
    if product.role == "core" and not asked:
        if customer.facts["stage"] in policy.arbitration.core_barred_stages:
            return "CELL_BARRED"
        if product.readiness_min > 0 and not _is_ready(product.readiness_min, customer):
            return "NOT_READY"
    floor = offer.min_amount if offer.min_amount is not None else product.min_amount
    money = customer.number("aum_now")
    if product.role == "core" and product.category != "贷款" and money is not None and money < floor:
        return "BELOW_MINIMUM"
    return None


def _is_ready(least: float, customer: Customer) -> bool:
    figures = customer.policy.readiness
    days = customer.number("days_with_product") or 0
    share = {
        "days": min(days / figures.full_days, 1),
        "services": min((customer.number("n_services_3m") or 0) / figures.full_services, 1),
        "active_days": min((customer.number("active_days_3m") or 0) / figures.full_active_days, 1),
        "hook_done": float((customer.number("n_conversions_12m") or 0) >= 1),
    }
    total = 0.0
    for name, weight in figures.weights.items():
        total += weight * share[name]
    return days >= figures.stranger_days and total >= least


def _applicability(offer_id: str, customer: Customer) -> str | None:
    policy, offer = customer.policy, customer.policy.offers[offer_id]
    product = policy.products[offer.product] if offer.product else None
    held = product and (customer.has("held_products", offer.product) or customer.has("active_services", offer.product))  # type: ignore[arg-type]  # a product has an id
    if product and held and not product.is_repeatable:
        return "HELD"
    alike = [
        other for other, o in policy.offers.items() if other == offer_id or (o.product and o.product == offer.product)
    ]
    refused = customer.times("response", offer_id=alike, outcome=["refused", "dnc_requested"])
    if customer.within(refused, policy.contact.refusal_days) and offer_id not in customer.asked:
        return "REFUSED"
    service = policy.services[offer.service] if offer.service else None
    thing = product or service
    window = offer.outcome_days or (thing.outcome_days if thing else 30)
    return (
        "CONVERTED"
        if customer.within(customer.times("response", offer_id=alike, outcome=["converted"]), window)
        else None
    )


def _suitability(offer_id: str, customer: Customer) -> str | None:
    offer = customer.policy.offers[offer_id]
    if offer.product is None:
        return None
    product = customer.policy.products[offer.product]
    risk, level, valid = product.risk_level, customer.number("risk_level"), customer.number("is_risk_valid")
    if risk >= 1:
        if level is None or valid is None:
            return "DATA_MISSING"
        if valid == 0:
            return "ASSESSMENT_EXPIRED"
        if level < risk:
            return "RISK_TOO_HIGH"
    age, caps = customer.number("age"), customer.policy.suitability.age_caps
    if age is None and any(risk > cap for cap in caps.values()):
        return "DATA_MISSING"
    if age is not None and any(age >= start and risk > cap for start, cap in caps.items()):
        return "AGE_CAP"
    investor = customer.facts.get("investor_type")
    if product.is_private_placement and investor not in ("QUALIFIED", "PROFESSIONAL"):
        return "DATA_MISSING" if investor is None else "NOT_QUALIFIED"
    return None


def _is_sold(offer_id: str, customer: Customer) -> bool:
    return not is_care(offer_id, customer.policy) and offer_id not in customer.asked


def _contact_policy(offer_id: str, customer: Customer) -> str | None:
    contact = customer.policy.contact
    if not _is_sold(offer_id, customer):
        return None
    if (customer.number("n_open_complaints") or 0) > 0:
        return "OPEN_COMPLAINT"
    sold = customer.within(customer.times("contact", purpose=["SALES"]), contact.sales_window_days)
    return "SALES_CAP" if sold >= contact.sales_max else None


def _contact_channel(offer_id: str, channel: str, customer: Customer) -> str | None:
    place, contact = customer.policy.channels[channel], customer.policy.contact
    if customer.says(place.allowed_for) is not True:
        return "CHANNEL_NOT_FOR_CUSTOMER"
    if place.mode == "outbound" and customer.number("is_stale") == 1:
        return "STALE"
    hour = customer.now.astimezone(ZoneInfo("Asia/Shanghai")).hour
    if place.has_quiet_hours and (hour >= contact.quiet_from_hour or hour < contact.quiet_to_hour):
        return "QUIET_HOURS"
    told = customer.times("contact", purpose=["SALES", "SERVICE", "RELATION", "SURVEY"])
    if place.mode == "outbound" and customer.within(told, contact.all_window_days) >= contact.all_max:
        return "MESSAGE_CAP"
    sold = customer.within(customer.times("contact", purpose=["SALES"], channel=[channel]), place.sales_window_days)
    if _is_sold(offer_id, customer) and place.sales_max is not None and sold >= place.sales_max:
        return "CHANNEL_CAP"
    return None


def score(
    offer_id: str, customer: Customer, *, p: float, share: float, channels: list[str], price: float = 0.0,
    effect: float | None = None,
) -> float:  # fmt: skip
    """The score of an offer that may go out by `channels`, straight from its formula."""
    policy, offer = customer.policy, customer.policy.offers[offer_id]
    figures, generic = policy.arbitration, customer.says_generic()
    cost = policy.channels[channels[0]].unit_cost_amount
    p = figures.prior_p if generic else p
    if offer.service:
        service = policy.services[offer.service]
        churn = 0.0 if generic else customer.number("p_churn") or 0.0
        p, uplift, value = 1.0, 1.0, service.value_amount + churn * service.retention_amount
    else:
        is_known = effect is not None and effect == effect and not generic
        uplift, value = effect if is_known else p * share, _value(offer_id, policy)
    hook = policy.hooks[offer.hook] if offer.hook else None
    reward = offer.reward_amount if offer.reward_amount is not None else (hook.reward.amount if hook else 0.0)
    category = policy.products[offer.product].category if offer.product else ("service" if offer.service else "hook")
    lever = min(max(figures.levers.get(category, 1.0), figures.lever_min), figures.lever_max)
    gross = uplift * value
    weight = 1.0 if generic else context(offer_id, customer)
    return lever * weight * max(gross, 0.0) + min(gross, 0.0) - p * reward - cost - price


def _value(offer_id: str, policy: DecisionsPolicy) -> float:
    offer = policy.offers[offer_id]
    own = policy.products[offer.product].margin.over_horizon() if offer.product else 0.0
    follow = (policy.products[offer.product].follow_on_amount if offer.product else 0.0) + (
        policy.hooks[offer.hook].follow_on_amount if offer.hook else 0.0
    )
    return own + (offer.follow_on_amount if offer.follow_on_amount is not None else follow)


def context(offer_id: str, customer: Customer) -> float:
    policy, figures = customer.policy, customer.policy.arbitration
    others = [code for code in (customer.facts.get("other_classes") or "").split("|") if code]
    weight = figures.weight_unlisted
    if any(_lists(name, offer_id, customer) for name in others):
        weight = figures.weight_secondary
    if _lists(customer.facts["customer_class"], offer_id, customer):
        weight = figures.weight_listed
    factor = figures.moment_factor if offer_id in customer.moment else 1.0
    for overlay in policy.overlays:
        named = offer_id in overlay.offers or policy.offers[offer_id].hook == overlay.hook
        if named and customer.says(overlay.when) is True:
            weight, factor = figures.weight_listed, max(factor, overlay.factor)
    if leads(offer_id, customer):
        factor = max(factor, figures.lead_factor)
    return weight * factor


def leads(offer_id: str, customer: Customer) -> bool:
    """Whether the offer stands first in the customer's cell for the band of his tier."""
    band = row_of(customer)
    mine = _lists(customer.facts["customer_class"], offer_id, customer)
    return band is not None and mine and customer.policy.offers[offer_id].product in band.leads


def row_of(customer: Customer) -> TierVariant | None:
    """What the policy says of his class for the band of his tier."""
    bands = customer.policy.variants.bands
    name = next((name for name, tiers in bands.items() if customer.facts.get("tier") in tiers), next(iter(bands)))
    return customer.policy.variants.classes.get(customer.facts["customer_class"], {}).get(name)


def told_by(offer_id: str, customer: Customer, channels: list[str]) -> str:
    """The channel of an offer that may go by `channels`, cheapest first, where none is asked for."""
    row = None if customer.says_generic() else row_of(customer)
    return next((name for name in row.channels if name in channels), channels[0]) if row else channels[0]


def _lists(name: str, offer_id: str, customer: Customer) -> bool:
    offer = customer.policy.offers[offer_id]
    if offer.service:
        return True
    cell = customer.policy.matrix.get(name, {}).get(customer.facts["stage"])
    if cell is None:
        return False
    return (offer.product is None or offer.product in cell.products) and offer.hook in (None, cell.hook)


def greedy_list(scores: Mapping[str, float], policy: DecisionsPolicy, limit: int) -> list[str]:
    """The best list without chance: highest score above the floor that the list's rules let in, slot by slot."""
    figures, left, chosen = policy.arbitration, dict(scores), []
    while len(chosen) < limit:
        fits = [name for name in left if _fits(name, chosen, policy, is_short=len(scores) < figures.diversity_top)]
        best = max(fits, key=lambda name: (left[name], [-ord(c) for c in name]), default=None)
        if best is None or left[best] <= figures.relevance_floor_amount:
            break
        chosen.append(best)
        del left[best]
    return chosen


def _fits(name: str, chosen: list[str], policy: DecisionsPolicy, *, is_short: bool) -> bool:
    product = policy.offers[name].product
    others = [policy.offers[other].product for other in chosen]
    if product is None:
        return True
    if product in others or (policy.products[product].kind == "tool" and not chosen):
        return False
    group = policy.products[product].subcategory
    alike = sum(other is not None and policy.products[other].subcategory == group for other in others)
    is_top = len(chosen) < policy.arbitration.diversity_top
    return is_short or not is_top or alike < policy.arbitration.diversity_max
