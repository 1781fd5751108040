"""What a decision is: the offers of one customer at one moment, why these, and why not the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from decisioning.catalogue.cards import Words
from decisioning.catalogue.variants import Variant
from decisioning.playbooks import Playbook
from decisioning.reasons import Reason, what_would_allow


@dataclass(frozen=True, slots=True)
class Parts:
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

    def to_json(self) -> dict[str, float | bool]:
        return {
            "p": self.p,
            "uplift": self.uplift,
            "uplift_is_assumed": self.uplift_is_assumed,
            "value": self.value,
            "reward": self.reward,
            "cost": self.cost,
            "context": self.context,
            "lever": self.lever,
            "shadow_price": self.shadow_price,
        }


@dataclass(frozen=True, slots=True)
class Slot:
    """One offer in one slot. `propensity` is its probability given the slots above it."""

    rank: int
    offer_id: str
    product_id: str | None
    hook_id: str | None
    treatment_id: str
    channel: str
    name: Words
    score: float
    components: Parts
    p_channel: float | None
    propensity: float
    reasons: tuple[Reason, ...]
    playbook: Playbook
    expires_at: datetime

    def to_json(self) -> dict[str, Any]:
        return {
            "rank": self.rank,
            "offer_id": self.offer_id,
            "product_id": self.product_id,
            "hook_id": self.hook_id,
            "treatment_id": self.treatment_id,
            "channel": self.channel,
            "name": self.name.to_json(),
            "score": self.score,
            "components": self.components.to_json(),
            "p_channel": self.p_channel,
            "propensity": self.propensity,
            "reasons": [reason.to_json() for reason in self.reasons],
            "playbook": self.playbook.to_json(self.reasons),
            "expires_at": self.expires_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class ShadowSlot:
    """What a holdout would have been offered."""

    rank: int
    offer_id: str
    score: float
    propensity: float

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class Suppressed(NamedTuple):  # a tuple, not a dataclass: a night makes forty of them a customer
    """An offer that is not in the list, and its one reason."""

    offer_id: str
    filter: str
    code: str
    until: datetime | None

    def to_json(self) -> dict[str, Any]:
        return {
            "offer_id": self.offer_id,
            "filter": self.filter,
            "code": self.code,
            "until": None if self.until is None else self.until.isoformat(),
            "what_would_allow_it": what_would_allow(self.code).to_json(),
        }


@dataclass(frozen=True, slots=True)
class Arm:
    """The customer's arm in the bank's yearly holdout."""

    name: str
    holdout: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """One customer's decision; `marks` are codes of what was assumed, `no_action` the code of why nothing is offered.

    `variant` is the customer's cell as his tier sees it, None where he switched personal recommendation off or the
    policy tells none. `end_propensity` is the probability with which NO_ACTION ended the list where it did, None where
    it is full.
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
    suppressed: tuple[Suppressed, ...]
    shadow: tuple[ShadowSlot, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data under the names of `POST /v1/decisions`, without the ids that serving adds."""
        return self.stated() | {
            "suppressed": [out.to_json() for out in self.suppressed],
            "shadow": [slot.to_json() for slot in self.shadow],
        }

    def stated(self) -> dict[str, Any]:
        """The part of `to_json` that says what was decided and why, without the offers that were left out."""
        return {
            "decided_at": self.decided_at.isoformat(),
            "customer_id": self.customer_id,
            "cell": {"customer_class": self.customer_class, "stage": self.stage},
            "tier": self.tier,
            "grade": self.grade,
            "benefits": list(self.benefits),
            "variant": None if self.variant is None else self.variant.to_json(),
            "release_id": self.release_id,
            "prices_version": self.prices_version,
            "arm": {"name": self.arm.name, "holdout": self.arm.holdout},
            "offers": [slot.to_json() for slot in self.offers],
            "no_action": self.no_action is not None,
            "no_action_reason": None if self.no_action is None else Reason(self.no_action).to_json(),
            "end_propensity": self.end_propensity,
            "marks": [Reason(code).to_json() for code in self.marks],
            "degraded": self.degraded,
            "stale": self.stale,
            "fallback": self.fallback,
        }
