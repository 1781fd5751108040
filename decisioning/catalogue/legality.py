"""What may be given for what: the table of reward triggers and kinds, as dated law (R35-R38, R55, R56)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from decisioning.catalogue.hooks import Reward, RewardKind, Trigger
from features.policy import Frozen

__all__ = ["Ruling", "Trigger", "TriggerLaw", "Verdict", "judge"]

Verdict = Literal["pass", "sign_off", "reject"]
_SEVERITY: Mapping[Verdict, int] = {"pass": 0, "sign_off": 1, "reject": 2}


class TriggerLaw(Frozen):
    """What a reward of each kind is when it hangs on this trigger; `with_task` where a task stands beside it.

    `rule` is the law behind the row; `rules` names another one for some kinds.
    """

    rule: str
    rules: dict[RewardKind, str] = Field(default_factory=dict)
    verdicts: dict[RewardKind, Verdict]
    with_task: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict on a reward, and the rule that gave it."""

    verdict: Verdict
    rule: str


def judge(reward: Reward, law: Mapping[Trigger, TriggerLaw]) -> Ruling:
    """The strictest ruling over the reward's triggers; KeyError where the table has no row for a trigger.

    >>> none = {"COUPON": "reject", "NONE": "pass"}
    >>> law = {"DEPOSIT": TriggerLaw(rule="R35", verdicts=none)}
    >>> judge(Reward(kind="COUPON", trigger=("DEPOSIT",)), law)
    Ruling(verdict='reject', rule='R35')
    """
    if reward.kind == "NONE":
        return Ruling("pass", "")
    rulings = [_ruling(trigger, reward, law[trigger]) for trigger in reward.trigger]
    return max(rulings, key=lambda ruling: _SEVERITY[ruling.verdict], default=Ruling("pass", ""))


def _ruling(trigger: Trigger, reward: Reward, law: TriggerLaw) -> Ruling:
    verdict = law.verdicts[reward.kind]
    if law.with_task is not None and "TASK" in reward.trigger and trigger != "TASK":
        verdict = min(verdict, law.with_task, key=_SEVERITY.__getitem__)
    return Ruling(verdict, law.rules.get(reward.kind, law.rule))
