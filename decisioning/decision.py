"""What a decision is: the offers of one customer at one moment, why these, and why not the others."""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from decisioning.catalogue.cards import Words
from decisioning.catalogue.variants import Variant
from decisioning.grounds import Grounds
from decisioning.playbooks import Playbook
from decisioning.treatments import Treatment


class Parts(NamedTuple):
    """The components of one score: probabilities, times, and amounts in reporting currency."""

    p: float
    uplift: float
    uplift_is_assumed: bool
    value: float
    reward: float
    cost: float
    context: float
    lever: float
    shadow_price: float


class Slot(NamedTuple):
    """One offer in one slot. `propensity` is its probability given the slots above it."""

    rank: int
    treatment: Treatment
    score: float
    components: Parts
    p_channel: float | None
    propensity: float
    reasons: Grounds
    expires_at: datetime

    @property
    def offer_id(self) -> str:
        return self.treatment.offer_id

    @property
    def product_id(self) -> str | None:
        return self.treatment.product_id

    @property
    def hook_id(self) -> str | None:
        return self.treatment.hook_id

    @property
    def treatment_id(self) -> str:
        return self.treatment.treatment_id

    @property
    def channel(self) -> str:
        return self.treatment.channel

    @property
    def name(self) -> Words:
        return self.treatment.name

    @property
    def playbook(self) -> Playbook:
        return self.treatment.playbook


class ShadowSlot(NamedTuple):
    """What a holdout would have been offered."""

    rank: int
    offer_id: str
    score: float
    propensity: float


class Suppressed(NamedTuple):
    """An offer that is not in the list, and its one reason."""

    offer_id: str
    filter: str
    code: str
    until: datetime | None


class LeftOut(NamedTuple):
    """Offers that are not in the list for one reason, in order of their id; `until` is when it lapses, if known."""

    filter: str
    code: str
    until: datetime | None
    offer_ids: tuple[str, ...]


class Arm(NamedTuple):
    """The customer's arm in the bank's yearly holdout."""

    name: str
    holdout: bool


class Decision(NamedTuple):
    """One customer's decision; `marks` are codes of what was assumed, `no_action` the code of why nothing is offered.

    `variant` is the customer's cell as his tier sees it, None where he switched personal recommendation off or the
    policy tells none. `end_propensity` is the probability with which NO_ACTION ended the list where it did, None where
    it is full. `left_out` are the other offers reason by reason, in order of each reason's first offer.
    `shadow` is what a holdout would have been offered. `fallback`: no model, ranked with the policy's prior.
    """

    decided_at: datetime
    customer_id: str
    customer_class: str
    stage: str
    tier: str | None
    grade: str | None
    benefits: tuple[str, ...]
    variant: Variant | None
    release_id: str
    prices_version: str
    arm: Arm
    offers: tuple[Slot, ...]
    no_action: str | None
    end_propensity: float | None
    marks: tuple[str, ...]
    degraded: bool
    stale: bool
    fallback: bool
    left_out: tuple[LeftOut, ...]
    shadow: tuple[ShadowSlot, ...]

    @property
    def suppressed(self) -> tuple[Suppressed, ...]:
        """The offers that are not in the list one by one, in order of their id."""
        every = [Suppressed(name, out.filter, out.code, out.until) for out in self.left_out for name in out.offer_ids]
        return tuple(sorted(every, key=itemgetter(0)))
