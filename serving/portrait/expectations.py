"""What the scores expect of one customer beyond a decision (预期): his next step, and his value; or why they do not.

Both models learn from customers who are there, so that they say nothing of prospects, sleepers and those who left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from decisioning.catalogue.cards import Words
from features.vocabulary import Stage
from serving.customer_reader import Facts
from serving.scorer import Champions
from training.fitted import FittedModel
from training.models.expected import AHEAD, expected

AWAY = frozenset({Stage.PROSPECT.value, Stage.DORMANT.value, Stage.LOST.value})
WHY_NOT = {
    "NO_MODEL": Words("本行还没有上线该模型。", "The bank has no such model in service."),
    "AWAY": Words(
        "模型不预期潜客、休眠和流失客户。", "The model says nothing of prospects, sleepers and those who left."
    ),
    "NO_VALUE": Words("近 12 个月价值未知。", "His value of the last twelve months is not known."),
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """One figure, or the code of why there is none; `stays` is the share of his money there after so many days."""

    figure: float | None
    why_not: str | None = None
    stays: tuple[tuple[int, float], ...] = ()

    @property
    def reason(self) -> dict[str, Any] | None:
        """The code and its sentence, None where there is a figure."""
        return None if self.why_not is None else {"code": self.why_not, "text": WHY_NOT[self.why_not].to_json()}


def next_step(champions: Champions, facts: Facts) -> Expectation:
    """p_next: that he looks at a product in the month after the profile."""
    model = champions.next_step
    if model is None or _is_away(facts):
        return Expectation(None, "NO_MODEL" if model is None else "AWAY")
    return Expectation(float(model.score(model.recipe.encode(_filled(model, facts)))[0]))


def value(champions: Champions, facts: Facts) -> Expectation:
    """value_exp: the margin of the last twelve months, as far as his money stays."""
    model = champions.value
    if model is None or _is_away(facts):
        return Expectation(None, "NO_MODEL" if model is None else "AWAY")
    told = expected(model, _filled(model, facts) | {"value_12m": facts["value_12m"]})
    figure = float(told.value_exp[0])
    if np.isnan(figure):
        return Expectation(None, "NO_VALUE")
    return Expectation(figure, stays=((90, float(told.stays_90[0])), (180, float(told.stays_180[0]))))


def _is_away(facts: Facts) -> bool:
    stage = facts["stage"][0]
    return stage is None or stage in AWAY


def _filled(model: FittedModel, facts: Facts) -> Facts:
    """What the model asks for, missing where the facts lack it."""
    asked = [feature for feature in model.recipe.features if feature.name != AHEAD.name]
    return {
        feature.name: facts.get(feature.name, np.array([None if feature.codes else np.nan],
                                                       dtype=object if feature.codes else np.float64))
        for feature in asked
    }  # fmt: skip
