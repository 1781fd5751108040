"""What randomised treatments of price and service did to customers' money, soon and in the long run, side by side.

A better price shows at once and may leave again; better service shows late. An effect at one horizon alone would choose
between them by the choice of the horizon, so every treatment is told at all of them, on the same customers.

The figure is AUM after d days ÷ AUM on the eve of the draw, cut at CUT so that a few who won a fortune do not decide; a
customer who left with everything counts 0. The effect is its mean among the treated less that among the others, both
weighted by 1 ÷ the known probability of their arm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from rich.table import Table

from features.bank.tables import AUM_CLASSES

HORIZONS_DAYS = (30, 180)
CUT = 3.0
NEEDS = ("assignment", "balance")
_ARMS = ("TREAT", "CONTROL")
_Z = 1.959964

Tables = Mapping[str, ir.Table]


@dataclass(frozen=True, slots=True)
class LateEffect:
    """The effect of one treatment after `days` as a share of the AUM it began with, with its interval at 95 %."""

    treatment: str
    days: int
    effect: float
    low: float
    high: float
    n_treated: int
    n_control: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LongRun:
    """Every treatment at every horizon; `n_open` draws are too young for the longest, `n_empty` began without money."""

    effects: tuple[LateEffect, ...]
    n_open: int
    n_empty: int

    def at(self, treatment: str, days: int) -> LateEffect:
        """The effect of `treatment` after `days`."""
        return next(e for e in self.effects if (e.treatment, e.days) == (treatment, days))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def table(self) -> Table:
        """One row a treatment, one column a horizon."""
        days = sorted({effect.days for effect in self.effects})
        shown = Table(title="What treatments did to AUM")
        shown.add_column("treatment")
        for day in days:
            shown.add_column(f"after {day} days", justify="right")
        shown.add_column("treated / control", justify="right")
        for name in dict.fromkeys(effect.treatment for effect in self.effects):
            found = [self.at(name, day) for day in days]
            cells = [f"{one.effect:+.1%} [{one.low:+.1%}, {one.high:+.1%}]" for one in found]
            shown.add_row(name, *cells, f"{found[0].n_treated:,} / {found[0].n_control:,}")
        shown.caption = f"left out: {self.n_open:,} draws too young for the longest, {self.n_empty:,} without money"
        return shown


def long_run(
    tables: Tables, horizon: datetime, zone: str, *, horizons_days: Sequence[int] = HORIZONS_DAYS
) -> LongRun | None:
    """The effects of every experiment without an offer, pooled by the word before the first dash of its name.

    `tables` are the bank's as known at `horizon`. None where the bank has no such experiment, or no balances.
    """
    if not set(NEEDS) <= set(tables):
        return None
    drawn = tables["assignment"].filter(lambda t: t.offer_id.isnull() & t.arm.isin(_ARMS))
    drawn = drawn.select("experiment_id", "customer_id", "arm", "propensity", drawn_on="business_on")
    rows = drawn.to_pandas()
    if rows.empty:
        return None
    last = pd.Timestamp(horizon.astimezone(ZoneInfo(zone)).date())
    is_open = pd.to_datetime(rows["drawn_on"]) + pd.Timedelta(days=max(horizons_days)) >= last
    money = _money(tables["balance"], drawn, (-1, *horizons_days)).to_pandas()
    kept = rows[~is_open].merge(money, on=["experiment_id", "customer_id"], how="left").fillna(0.0)
    is_empty = kept["aum_before"] <= 0
    return LongRun(tuple(_effects(kept[~is_empty], horizons_days)), int(is_open.sum()), int(is_empty.sum()))


def _money(balance: ir.Table, drawn: ir.Table, days: Sequence[int]) -> ir.Table:
    """AUM of each drawn customer on the evening `d` days after the draw, one column a day: aum_before, aum_30, …"""
    counted = balance.filter(balance.asset_class.isin(AUM_CLASSES))
    amount = counted.amount - counted.in_transit_amount.fill_null(0) - counted.loan_proceeds_amount.fill_null(0)
    held = counted.select("customer_id", "from_on", "to_on", money=amount.cast("float64"))
    joined = drawn.join(held, "customer_id")
    columns = {}
    for d in days:
        day = joined.drawn_on + ibis.interval(days=d)
        stands = (joined.from_on <= day) & (joined.to_on.isnull() | (joined.to_on > day))
        columns["aum_before" if d < 0 else f"aum_{d}"] = ibis.ifelse(stands, joined.money, 0.0).sum()
    return joined.group_by("experiment_id", "customer_id").aggregate(**columns)


def _effects(kept: pd.DataFrame, horizons_days: Sequence[int]) -> Iterator[LateEffect]:
    for name, rows in kept.groupby(kept["experiment_id"].str.split("-").str[0], sort=True):
        is_treated = (rows["arm"] == "TREAT").to_numpy()
        weight = 1 / rows["propensity"].to_numpy(dtype=np.float64)
        for days in horizons_days:
            ratio = np.clip(rows[f"aum_{days}"] / rows["aum_before"], 0, CUT).to_numpy(dtype=np.float64)
            sides = [_mean(ratio[side], weight[side]) for side in (is_treated, ~is_treated)]
            value, half = sides[0][0] - sides[1][0], _Z * float(np.hypot(sides[0][1], sides[1][1]))
            yield LateEffect(
                str(name), days, value, value - half, value + half, int(is_treated.sum()), int((~is_treated).sum())
            )


def _mean(values: Any, weights: Any) -> tuple[float, float]:
    """The weighted mean and its standard error."""
    if not len(values):
        return float("nan"), float("nan")
    mean = float(np.average(values, weights=weights))
    return mean, float(np.sqrt(((weights * (values - mean)) ** 2).sum()) / weights.sum())
