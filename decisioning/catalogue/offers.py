"""What is ranked: offers, the channels they go out by, and the treatments that this gives."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from features.policy import Frozen, Rule


class Offer(Frozen):
    """An action that is ranked: a product, a service action, a hook alone, or a product under a hook.

    `offer_id` (its key in the policy) is stable and never reused. An offer of kind information is a contact only:
    it is never ranked. `copy_zh` and `copy_en` are the approved texts; `name_*` falls back to the product's.
    """

    product: str | None = None
    hook: str | None = None
    service: str | None = None
    is_information: bool = False
    zh: str | None = None
    en: str | None = None
    follow_on_amount: float | None = None
    reward_amount: Annotated[float, Field(ge=0)] | None = None
    min_amount: Annotated[float, Field(ge=0)] | None = None
    outcome_days: Annotated[int, Field(ge=1)] | None = None
    needs_view: bool = False
    channels: tuple[str, ...] | None = None
    version: Annotated[int, Field(ge=1)] = 1
    copy_zh: str
    copy_en: str

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if self.service is not None and (self.product or self.hook):
            raise ValueError("a service action stands alone, without product or hook")
        if not (self.product or self.hook or self.service or self.is_information):
            raise ValueError("an offer names a product, a hook, both, or a service action")
        return self


class Channel(Frozen):
    """A channel's position: what it costs, how much it can carry, whether the bank reaches out or the customer comes.

    `cap` bounds SALES contacts a customer, `sales_max` in `sales_window_days`; None is no cap of its own.
    """

    zh: str
    en: str
    mode: Literal["outbound", "in_session", "face_to_face"]
    unit_cost_amount: Annotated[float, Field(ge=0)]
    capacity_per_day: Annotated[int, Field(ge=0)] | None = None
    sales_max: Annotated[int, Field(ge=0)] | None = None
    sales_window_days: Annotated[int, Field(ge=1)] = 30
    has_quiet_hours: bool = False
    allowed_for: Rule | None = None
