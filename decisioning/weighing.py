"""The one scoring function for one customer, without arrays: `matrix.context` and `arbitration.components`, to the bit.

Every operation stands in the order in which the arrays do it, since the order of additions decides the last bit.
"""

from __future__ import annotations

from typing import NamedTuple, Self

from decisioning.decision import Parts
from decisioning.shelf import Offers, Scene, places


class Weighed(NamedTuple):
    """One offer's score and what it is made of; `channel` is the cheapest that is open for it."""

    score: float
    p: float
    uplift: float
    value: float
    gain: float  # τ · V
    context: float
    cost: float
    channel: int
    overlay: int | None
    is_prior: bool
    is_assumed: bool  # the uplift: no arm measured it


class Weighing(NamedTuple):
    """What the cell and the situation say of the offers: how much each one's gain counts for this customer."""

    scene: Scene
    listed: Offers
    secondary: Offers
    leading: Offers  # first in the cell for the customer's tier
    lifted: Offers  # offers that some overlay lets in
    factor: dict[int, float]
    overlay: dict[int, int]
    p_churn: float

    @classmethod
    def of(cls, scene: Scene) -> Self:
        shelf, case = scene.shelf, scene.case
        lifted, factor, overlay = _overlaid(scene)
        if case.terms.moment and not scene.is_generic:
            moment = shelf.policy.arbitration.moment_factor
            factor |= {j: max(factor.get(j, 1.0), moment) for j in places(shelf.named(case.terms.moment))}
        leading = 0 if scene.seen is None else shelf.leading[scene.customer_class, scene.stage, scene.seen.variant.band]
        if leading:
            lead = shelf.policy.arbitration.lead_factor
            factor |= {j: max(factor.get(j, 1.0), lead) for j in places(leading)}
        p_churn = case.number("p_churn")
        return cls(
            scene=scene,
            listed=shelf.listed.get((scene.customer_class, scene.stage), 0),
            secondary=_secondary(scene),
            leading=leading,
            lifted=lifted,
            factor=factor,
            overlay=overlay,
            p_churn=0.0 if scene.is_generic or p_churn != p_churn else p_churn,
        )

    def weigh(self, j: int, channel: int) -> Weighed:
        """The score of offer j at its cheapest open channel, currency per contact."""
        case, shelf = self.scene.case, self.scene.shelf
        card = shelf.catalogue.cards[j]
        p, is_prior = self._p(j)
        uplift, is_assumed = self._uplift(j, p)
        value = card.value + self.p_churn * card.retention
        context = self._context(j)
        cost = shelf.channel_cost[channel]
        gain = uplift * value
        price = 0.0 if case.shadow_price is None else case.shadow_price[j]
        score = shelf.lever[j] * context * max(gain, 0.0) + min(gain, 0.0) - p * card.reward - cost - price
        return Weighed(score, p, uplift, value, gain, context, cost, channel, self.overlay.get(j), is_prior, is_assumed)

    def parts(self, weighed: Weighed, j: int) -> Parts:
        """The components as a decision states them."""
        case, shelf = self.scene.case, self.scene.shelf
        card = shelf.catalogue.cards[j]
        return Parts(
            p=weighed.p,
            uplift=weighed.uplift,
            uplift_is_assumed=weighed.is_assumed,
            value=weighed.value,
            reward=card.reward,
            cost=weighed.cost,
            context=weighed.context,
            lever=shelf.lever[j],
            shadow_price=0.0 if case.shadow_price is None else case.shadow_price[j],
        )

    def _p(self, j: int) -> tuple[float, bool]:
        if self.scene.shelf.service >> j & 1:
            return 1.0, False
        p = None if self.scene.case.p is None or self.scene.is_generic else self.scene.case.p[j]
        return (self.scene.shelf.policy.arbitration.prior_p, True) if p is None or p != p else (p, False)

    def _uplift(self, j: int, p: float) -> tuple[float, bool]:
        """τ of offer j, and that no arm measured it."""
        case = self.scene.case
        if self.scene.shelf.service >> j & 1:
            return 1.0, True
        if case.uplift is not None and not self.scene.is_generic:
            measured = case.uplift[j]
            if measured == measured:
                return measured, False
        return p * case.uplift_share[j], case.uplift_is_assumed[j]

    def _context(self, j: int) -> float:
        if self.scene.is_generic:
            return 1.0
        figures = self.scene.shelf.policy.arbitration
        weight = figures.weight_unlisted
        if (self.listed | self.lifted) >> j & 1:
            weight = figures.weight_listed
        elif self.secondary >> j & 1:
            weight = figures.weight_secondary
        return weight * self.factor.get(j, 1.0)


def _overlaid(scene: Scene) -> tuple[Offers, dict[int, float], dict[int, int]]:
    """The offers that overlays let in, the largest factor of each, and the overlay that it comes from."""
    lifted, factor, overlay = 0, dict[int, float](), dict[int, int]()
    if scene.is_generic:
        return lifted, factor, overlay
    for k, verdict in enumerate(scene.shelf.asked.overlays):
        if verdict.holds(scene.known):
            mine = scene.shelf.overlay_offers[k]
            lifted |= mine
            strength = scene.shelf.policy.overlays[k].factor
            for j in places(mine):
                if j not in overlay or strength > factor[j]:
                    factor[j], overlay[j] = strength, k
    return lifted, factor, overlay


def _secondary(scene: Scene) -> Offers:
    """The offers that the cells of the customer's other classes list."""
    found = 0
    for name in (scene.case.code("other_classes") or "").split("|"):
        found |= scene.shelf.listed.get((name, scene.stage), 0)
    return found
