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
_MILLION = 1e6


def growth_of(home: Path, month: date) -> dict[str, Any]:
    """Net growth of AUM in `month` as plain data, `says` its sentence; a first month has nothing to be told by.

    `foretold` says for each model with a champion how much of the money lay with the tenth it had put first, scored on
    the month's opening; a champion that was trained on what the month brought is left out.
    """
    months = line(home, month)
    if len(months) < 2:
        return {"says": "a first month has nothing to be compared with", "foretold": {}}
    with open_history(months) as history:
        found, rows = growth(history), moved(history)
    told: dict[str, Any] = {}
    for model, parts in FORETOLD.items():
        scores = _at_opening(home, model, months[-2])
        if scores is not None:
            told[model] = foretold(rows, scores, parts).to_json()
    steps = {"new": found.new, "upsell": found.upsell, "churn": -found.churn, "net": found.net}
    says = "AUM in millions: " + ", ".join(f"{name} {amount / _MILLION:+,.2f}" for name, amount in steps.items())
    return {"says": says, **found.to_json(), "foretold": told}


def _at_opening(home: Path, model: str, opening: Build) -> pd.Series[float] | None:
    """The champion's scores of the opening's customers; None without one, or one that has seen what came after."""
    champion = registry.with_alias(home, model, registry.CHAMPION)
    if champion is None or datetime.fromisoformat(champion.facts["horizon"]) > opening.available_at:
        return None
    frame = with_own(home, opening, pq.read_table(opening.path).to_pandas(), own_views(home))
    return pd.Series(champion.read().predict(frame), index=frame[CUSTOMER_ID])
