"""What the bank has: products of four kinds, and service actions, which are offers too (服务、行为亦是新的产品概念)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from features.policy import Frozen, Rule, Share

HORIZON_DAYS = 180  # value of every offer is its margin over half a year, so that hooks and cores compare
_YEAR_DAYS = 365


class Margin(Frozen):
    """What a converted customer earns: `value` in `unit`, on `expected_amount` where the unit is a share.

    bp_balance: basis points a year on a balance kept · amount_year: currency a year · pct_first_premium: percent of
    the first premium, once · amount_txn: currency a transaction, `n_per_year` of them.
    """

    value: float
    unit: Literal["bp_balance", "amount_year", "pct_first_premium", "amount_txn"]
    expected_amount: Annotated[float, Field(ge=0)] = 0
    n_per_year: Annotated[float, Field(ge=0)] = 0

    def over_horizon(self) -> float:
        """Margin in reporting currency over the horizon of 180 days.

        >>> round(Margin(value=40, unit="bp_balance", expected_amount=50_000).over_horizon(), 2)
        98.63
        """
        share = HORIZON_DAYS / _YEAR_DAYS
        if self.unit == "bp_balance":
            return self.value / 1e4 * self.expected_amount * share
        if self.unit == "pct_first_premium":
            return self.value / 100 * self.expected_amount
        if self.unit == "amount_txn":
            return self.value * self.n_per_year * share
        return self.value * share


class Product(Frozen):
    """A product card: the part that decides. `gate` names who may be offered it; None is everybody."""

    zh: str
    en: str
    kind: Literal["financial", "platform", "user", "tool"]
    category: str
    subcategory: str
    role: Literal["hook", "core", "platform", "user", "tool"]
    risk_issuer: Annotated[int, Field(ge=0, le=5)]
    risk_own: Annotated[int, Field(ge=0, le=5)]
    min_amount: Annotated[float, Field(ge=0)]
    margin: Margin
    follow_on_amount: float = 0
    gate: Rule | None = None
    channels: tuple[str, ...]
    readiness_min: Share = 0
    outcome_days: Annotated[int, Field(ge=1)]
    is_repeatable: bool = False
    is_record_required: bool = False
    is_private_placement: bool = False
    mass_amount_max: float | None = None

    @property
    def risk_level(self) -> int:
        """R0 (none) to R5: the higher of issuer's and our own rating (R26)."""
        return max(self.risk_issuer, self.risk_own)


class ServiceAction(Frozen):
    """Care that ranks beside products: worth `retention_amount` × probability of leaving, never capped as sales."""

    zh: str
    en: str
    when: Rule
    value_amount: Annotated[float, Field(ge=0)]
    retention_amount: Annotated[float, Field(ge=0)] = 0
    channels: tuple[str, ...]
    outcome_days: Annotated[int, Field(ge=1)] = 30
