"""Whether people act on what the models advise, from the ledger: the idle alert (X11)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from serving.ledger.advice import AdviceCounts
from training.judging.idleness import DAYS, LEAST_SHARE, Followed, followed

RANKING = ("response", "uplift")  # the models whose advice a decision's offers are
RULES = "rules"
Advice = Callable[[datetime, datetime], Sequence[AdviceCounts]]


def use_of(advice: Advice, models: list[str], now: datetime) -> list[dict[str, Any]]:
    """What became of the last DAYS of `advice`: of each model in `models` that ranks offers, and of rules alone.

    Each row says `use` (IN_USE, IDLE, UNASKED, TOO_YOUNG), the counts of each step, the share acted on with its
    interval, `least_share` below which a model is idle, and since when advice was given.
    """
    counts = {one.is_degraded: one for one in advice(now - timedelta(days=DAYS), now)}
    asked = [(model, False) for model in models if model in RANKING] + [(RULES, True)]
    told = []
    for name, is_degraded in asked:
        one = counts.get(is_degraded)
        if one is None and name == RULES:
            continue
        found = followed(0, 0, 0, 0, first_at=None, as_of=now) if one is None else followed(
            one.n_advised, one.n_opened, one.n_acted, one.n_converted, first_at=one.first_at, as_of=now
        )  # fmt: skip
        told.append({"model": name, "first_at": one.first_at.isoformat() if one else None, **_plain(found)})
    return told


def _plain(found: Followed) -> dict[str, Any]:
    interval = {name: getattr(found, name) for name in ("share", "low", "high")}
    return {
        "use": str(found.use), "n_advised": found.n_advised, "n_opened": found.n_opened, "n_acted": found.n_acted,
        "n_converted": found.n_converted, "days": DAYS, "least_share": LEAST_SHARE,
        **{name: None if math.isnan(value) else value for name, value in interval.items()},
    }  # fmt: skip
