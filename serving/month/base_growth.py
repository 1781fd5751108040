"""How the base grew in a month, and how much of it the champions of its opening had foretold (G05)."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from features.lineages import Build
from features.own import own_views, with_own
from features.vocabulary import CUSTOMER_ID
from insight.base_growth import CHURN, UPSELL, foretold, growth, moved
from insight.history import line, open_history
from training import registry
from training.models import churn, next_step

FORETOLD = {churn.NAME: CHURN, next_step.NAME: UPSELL}  # whose score should point at which money
STEPS_ZH = {"new": "新增", "upsell": "提升", "churn": "流失", "net": "净增"}
_MILLION = 1e6


def growth_of(home: Path, month: date) -> dict[str, Any]:
    """Net growth of AUM in `month` as plain data, `says` its sentence; a first month has nothing to be told by.

    `foretold` says for each model with a champion how much of the money lay with the tenth it had put first, scored on
    the month's opening; a champion that was trained on what the month brought is left out.
    """
    months = line(home, month)
    if len(months) < 2:
        return {"says": "a first month has nothing to be compared with", "says_zh": "第一个月没有可比的月份",
                "foretold": {}}  # fmt: skip
    with open_history(months) as history:
        found, rows = growth(history), moved(history)
    told: dict[str, Any] = {}
    for model, parts in FORETOLD.items():
        scores = _at_opening(home, model, months[-2])
        if scores is not None:
            told[model] = foretold(rows, scores, parts).to_json()
    steps = {"new": found.new, "upsell": found.upsell, "churn": -found.churn, "net": found.net}
    says = "AUM in millions: " + ", ".join(f"{name} {amount / _MILLION:+,.2f}" for name, amount in steps.items())
    says_zh = "AUM（百万）：" + "，".join(
        f"{STEPS_ZH[name]} {amount / _MILLION:+,.2f}" for name, amount in steps.items()
    )
    return {"says": says, "says_zh": says_zh, **found.to_json(), "foretold": told}


def _at_opening(home: Path, model: str, opening: Build) -> pd.Series[float] | None:
    """The champion's scores of the opening's customers; None without one, for one that has seen what came after,
    and for one that asks for a column that the opening was built without."""
    champion = registry.with_alias(home, model, registry.CHAMPION)
    if champion is None or datetime.fromisoformat(champion.facts["horizon"]) > opening.available_at:
        return None
    frame = with_own(home, opening, pq.read_table(opening.path).to_pandas(), own_views(home))
    fitted = champion.read()
    if not set(fitted.recipe.names) <= set(frame.columns):
        return None
    return pd.Series(fitted.predict(frame), index=frame[CUSTOMER_ID])
