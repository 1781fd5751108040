"""Hook campaigns: a reward that hangs on a task, and ordered follow-up steps (没有系列跟进计划的营销是傻)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from features.policy import Frozen, Rule
from features.vocabulary import Purpose

RewardKind = Literal["COUPON", "POINTS", "SERVICE", "RATE", "DRAW", "NONE"]
Trigger = Literal["TASK", "ACCOUNT", "DEPOSIT", "SALARY", "AUM", "WMP", "FUND", "INSURANCE"]


class Reward(Frozen):
    """What is given for what: a reward hangs on a task, never on a balance or a purchase (R35-R38)."""

    kind: RewardKind
    trigger: tuple[Trigger, ...] = ()
    amount: Annotated[float, Field(ge=0)] = 0
    sign_off: str | None = None


class Step(Frozen):
    """One step of a journey: `delay_days` after (or before) its anchor, if `condition` holds, unless `stop` does.

    `zh` and `en` say what happens, `only_zh` and `only_en` say the condition; people read code where they are empty.
    """

    no: Annotated[int, Field(ge=1)]
    anchor: Literal["ENTRY", "MATURITY", "PAYDAY", "LOAN_END", "MONTH_END"]
    delay_days: int
    condition: Rule | None = None
    channels: tuple[str, ...]
    purpose: Purpose
    template: str
    zh: str = ""
    en: str = ""
    only_zh: str = ""
    only_en: str = ""
    offers: tuple[str, ...] = ()
    stop: Rule | None = None
    is_mandatory: bool = True


class Hook(Frozen):
    """A hook campaign. `entry` names whom it is for; None is everybody.

    `steps` is empty for a hook whose journey the bank has not yet written down; no cell may name such a hook. A care
    hook without a product is care; a product offered under it remains a sale.
    """

    zh: str
    en: str
    reward: Reward
    entry: Rule | None = None
    follow_on_amount: float = 0
    is_care: bool = False
    steps: tuple[Step, ...] = ()
    kpi: str
    kpi_zh: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if [step.no for step in self.steps] != list(range(1, len(self.steps) + 1)):
            raise ValueError("steps are numbered 1, 2, 3 … in order")
        if len(self.steps) == 1:
            raise ValueError("a journey needs at least two follow-up steps")
        return self
